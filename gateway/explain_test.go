package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/retry"
)

// explained are requests of all kinds, with the scopes of their caller; a caller
// that is not known has none.
var explained = []struct {
	method, target, body string
	subject              string
	scopes               []string
	header               http.Header
}{
	{method: "GET", target: "/v1/books"},
	{method: "GET", target: "/v1/shelves/1/books?page_size=3"},
	{method: "GET", target: "/v1/books?nonsense=1"},
	{method: "GET", target: "/v1/books?page_size=x"},
	{method: "GET", target: "/v1/books?%zz"},
	{method: "GET", target: "/v1/books", header: http.Header{"Accept": {"text/html"}}},
	{method: "GET", target: "/v1/books", header: http.Header{"Grpc-Timeout": {"soon"}}},
	{method: "GET", target: "/v1/books", header: http.Header{"If-Match": {`"a"`}}},
	{method: "HEAD", target: "/v1/books"},
	{method: "HEAD", target: "/v1/books:watch"},
	{method: "GET", target: "/v1/books:watch?count=0"},
	{method: "OPTIONS", target: "/v1/books"},
	{method: "PUT", target: "/v1/books"},
	{method: "GET", target: "/v1/nothing"},
	{method: "GET", target: "/livez"},
	{method: "GET", target: "/" + strings.Repeat("a", 9000)},
	{method: "GET", target: "/v1/shelves/1/books/2"},
	{method: "GET", target: "/v1/shelves/1/books/2", subject: "ann"},
	{method: "GET", target: "/v1/shelves/1/books/2", subject: "ann", scopes: []string{"books.read"}},
	{method: "GET", target: "/v1/shelves/1/books/%ff", subject: "ann", scopes: []string{"books.read"}},
	{method: "POST", target: "/v1/shelves/1/books/2:rate", body: `{"stars": 3}`},
	{method: "POST", target: "/v1/shelves/1/books/2:rate", body: `{"stars": 30}`},
	{method: "POST", target: "/v1/shelves/1/books/2:rate", body: `{"stars": "x"}`},
	{method: "POST", target: "/v1/shelves/1/books/2:rate", body: `stars=3`, header: http.Header{"Content-Type": {"text/plain"}}},
	{method: "GET", target: "/v1/books", body: `{}`},
	{method: "GET", target: "/v1/echo/number/12"},
	{method: "GET", target: "/v1/echo/number/twelve"},
	{method: "POST", target: "/v1/echo", body: `{"text": "a", "text": "b"}`},
	{method: "POST", target: "/v1/shelves/1:guard", body: `{}`},
	{method: "POST", target: "/v1/shelves/1:guard", body: `{}`, subject: "ann"},
	{method: "POST", target: "/v1/shelves/1:guard", body: `{}`, subject: "ann", scopes: []string{"books.admin"}},
	{method: "POST", target: "/v1/shelves/ann:guard", body: `{}`, subject: "ann", scopes: []string{"books.admin"}},
	{method: "PATCH", target: "/v1/shelves/1/books/2", body: `{"title": "New"}`, subject: "ann"},
	{method: "GET", target: "/v1/scarce"},
	{method: "GET", target: "/v1/vital"},
	{method: "GET", target: "/v1/files/a/b"},
	{method: "PUT", target: "/v1/files/a/b", body: "x", header: http.Header{"Content-Type": {"text/plain"}}},
}

func TestWhatIsExplainedIsWhatTheDoorDoes(t *testing.T) {
	d := newDoor(t, nil)
	for _, c := range explained {
		q := gateway.Question{Method: c.method, Target: c.target, Body: []byte(c.body), Header: c.header}
		var with []with
		for name, values := range c.header {
			with = append(with, header(name, values[0]))
		}
		if c.subject != "" {
			q.Principal = &auth.Principal{Subject: c.subject, Issuer: issuer, Scopes: c.scopes, Method: auth.MethodJWT}
			with = append(with, bearer(token(t, c.subject, c.scopes...)))
		}
		before := d.books.callCount()
		e, err := d.Explain(t.Context(), q)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		if d.books.callCount() != before {
			t.Fatalf("%s %s: explaining it called the backend", c.method, c.target)
		}
		got := d.do(c.method, c.target, c.body, with...)
		called := d.books.callCount() != before || got.status >= 500 && got.status != 503
		if e.Called != called {
			t.Errorf("%s %s: explained as called %v, but it was %v: %d %s", c.method, c.target, e.Called, called, got.status, got.body)
			continue
		}
		if called {
			continue
		}
		if e.Status != got.status {
			t.Errorf("%s %s: explained as %d, answered %d %s", c.method, c.target, e.Status, got.status, got.body)
		}
		if e.Problem != nil && !strings.Contains(got.body, e.Problem.Code) && c.method != "HEAD" {
			t.Errorf("%s %s: explained as %s, answered %s", c.method, c.target, e.Problem.Code, got.body)
		}
		if last := e.Steps[len(e.Steps)-1]; last.Passed != (e.Problem == nil) {
			t.Errorf("%s %s: the last step is %+v, the problem %v", c.method, c.target, last, e.Problem)
		}
	}
}

func TestExplainingCountsAgainstNoRate(t *testing.T) {
	d := newDoor(t, nil)
	for range 20 {
		e, err := d.Explain(t.Context(), gateway.Question{Target: "/v1/scarce"})
		if err != nil || !e.Called {
			t.Fatalf("%+v %v", e, err)
		}
	}
	d.do("GET", "/v1/scarce", "").want(200)
}

func TestAnExplanationNamesRuleRateTimeoutRetryAndOverload(t *testing.T) {
	limiter, err := overload.New(overload.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, nil, func(s *libraryService) {
		s.Retry = &retry.Config{Codes: []codes.Code{codes.Unavailable}}
		s.Overload = limiter
	})
	e, err := d.Explain(t.Context(), gateway.Question{Target: "/v1/scarce"})
	if err != nil {
		t.Fatal(err)
	}
	r := e.Route
	if len(r.Rates) == 0 || r.Timeout.Default == 0 || r.Overload == nil || r.Overload.Priority == "" || r.Retry == nil || !r.Retry.Idempotent || r.Retry.MaxAttempts != 3 {
		t.Errorf("%+v", r)
	}
	e, err = d.Explain(t.Context(), gateway.Question{Target: "/v1/shelves/1/books/2"})
	if err != nil || e.Variables["name"] != "shelves/1/books/2" || e.Status != 401 || len(e.Route.Access.Scopes) == 0 {
		t.Errorf("%+v %v", e, err)
	}
	vital, err := d.Explain(t.Context(), gateway.Question{Target: "/v1/vital"})
	if err != nil || vital.Route.Overload.Priority != "critical" {
		t.Errorf("%+v %v", vital, err)
	}
}

func TestAnExplanationListsTheRulesOfTheRequest(t *testing.T) {
	d := newDoor(t, nil)
	for _, c := range []struct {
		method, target string
		want           []string
	}{
		{"POST", "/v1/shelves/1/books", []string{
			"book: required true",
			"book.title: string.min_len 1",
			"book.title: string.max_len 50",
			"book.pageCount: int32.gte 1",
			"book.authors[].fullName: string.min_len 1",
			"book.labels: map.values.string.max_len 5",
			"book.kind: enum.defined_only true",
		}},
		{"PATCH", "/v1/shelves/1/books/2/notes/7", []string{"note: ignore IGNORE_ALWAYS"}},
		{"GET", "/v1/download/a", []string{`trap: cel trap "must not be 7" this != 7 || 1 / (this - 7) == 0`}},
		{"GET", "/v1/whoami", nil},
		{"GET", "/v1/nothing", nil},
	} {
		e, err := d.Explain(t.Context(), gateway.Question{Method: c.method, Target: c.target})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range e.Rules {
			got = append(got, r.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s: rules\n\t%s\nwant\n\t%s", c.method, c.target, strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
		}
	}
}

func TestWhatIsNoRequestIsNotExplained(t *testing.T) {
	d := newDoor(t, nil)
	for _, q := range []gateway.Question{{}, {Target: "v1/books"}, {Target: "http://a/b"}, {Target: "/a", Method: "G T"}, {Target: "/%"}} {
		if e, err := d.Explain(t.Context(), q); err == nil {
			t.Errorf("%+v: %+v", q, e)
		}
	}
}

func TestRoutesAreToldInOrder(t *testing.T) {
	d := newDoor(t, nil)
	routes := d.Routes()
	for i := 1; i < len(routes); i++ {
		a, b := routes[i-1], routes[i]
		if a.Template > b.Template || a.Template == b.Template && a.Method >= b.Method {
			t.Errorf("%s %s before %s %s", a.Method, a.Template, b.Method, b.Template)
		}
	}
	seen := map[string]gateway.Route{}
	for _, r := range routes {
		seen[r.Method+" "+r.Template] = r
	}
	if r := seen["GET /v1/books:watch"]; r.Stream != "server" || r.Timeout.Default != r.Timeout.Max || !r.Access.Public {
		t.Errorf("%+v", r)
	}
	if r := seen["POST /v1/chat"]; r.Stream != "bidirectional" || r.Body != "*" {
		t.Errorf("%+v", r)
	}
	if r := seen["POST /v1/{name=shelves/*}:guard"]; r.Policy == nil || len(r.Policy.Conditions) == 0 || r.Policy.Conditions[0].Expression == "" {
		t.Errorf("%+v", r)
	}
}

// TestWhatIsExplainedIsNotHeld explains more bodies than may be held at once, one
// after the other.
func TestWhatIsExplainedIsNotHeld(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.HeldBytes = 1 << 20 })
	body := `{"text":"` + strings.Repeat("a", 200<<10) + `"}`
	for range 20 {
		e, err := d.Explain(t.Context(), gateway.Question{Method: "POST", Target: "/v1/echo", Body: []byte(body)})
		if err != nil || e.Problem != nil {
			t.Fatalf("%+v %v", e, err)
		}
	}
	d.do("POST", "/v1/echo", body).want(200)
}

package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/compress"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/openapi"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

func described(c *gateway.Config) { c.OpenAPI = &gateway.OpenAPI{Title: "Library", Version: "1.0.0"} }

func TestTheAPIIsDescribedOnlyIfAskedFor(t *testing.T) {
	d := newDoor(t, nil)
	for _, path := range openapi.Paths() {
		d.do("GET", path, "").wantProblem(http.StatusNotFound, "NOT_FOUND")
	}
	if d.OpenAPI() != nil {
		t.Error("there is a document")
	}
}

func TestTheDescriptionIsServedByTheRunningDoor(t *testing.T) {
	d, client := serveTLS(t, described)
	for path, want := range map[string]string{
		"/openapi.json":     "application/json",
		"/openapi":          "text/html; charset=utf-8", // where it leads to
		"/openapi/":         "text/html; charset=utf-8",
		"/openapi/app.js":   "text/javascript; charset=utf-8",
		"/openapi/app.css":  "text/css; charset=utf-8",
		"/openapi/problems": "text/html; charset=utf-8",
	} {
		resp, err := client.Get("https://door" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != want || len(body) == 0 {
			t.Errorf("%s: %s %v %v", path, resp.Status, resp.Header, err)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	if !strings.Contains(d.logs.String(), `"status":200`) {
		t.Error("it leaves no record")
	}
}

func TestTheDescriptionIsWithinTheDoorsLimits(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		described(c)
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 3, Period: time.Hour}}}
		c.Compress, _ = compress.New(compress.Config{})
	})
	d.do("GET", "/openapi.json?"+strings.Repeat("a", 9000), "").wantProblem(http.StatusRequestURITooLong, "INVALID_ARGUMENT")
	a := d.do("POST", "/openapi.json", "{}")
	a.wantProblem(http.StatusMethodNotAllowed, "UNIMPLEMENTED")
	if a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
	if a := d.do("GET", "/openapi.json", "", header("Accept-Encoding", "gzip")).want(200); a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", a.header)
	}
	if a := d.do("HEAD", "/openapi.json", "").want(200); a.body != "" || a.header.Get("RateLimit") == "" {
		t.Errorf("%q %v", a.body, a.header)
	}
	d.do("GET", "/openapi/", "").want(200)
	if a := d.do("GET", "/openapi/", "").want(429); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
	d.do("GET", "/openapi/nothing", "").wantProblem(http.StatusNotFound, "NOT_FOUND")
}

// spec is what the tests below read of a document.
type spec struct {
	Rates []struct{ Name string } `json:"x-ratelimit"`
	Paths map[string]map[string]struct {
		RPC       string                    `json:"x-grpc-method"`
		Template  string                    `json:"x-path-template"`
		Rates     []struct{ Name string }   `json:"x-ratelimit"`
		Security  []map[string][]string     `json:"security"`
		Responses map[string]map[string]any `json:"responses"`
	} `json:"paths"`
	Components struct {
		SecuritySchemes map[string]map[string]any `json:"securitySchemes"`
	} `json:"components"`
}

func specOf(t *testing.T, d *door) spec {
	t.Helper()
	// Unmarshal takes the path items' own fields as they are.
	var loose struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	body := []byte(d.do("GET", "/openapi.json", "").want(200).body)
	if err := json.Unmarshal(body, &loose); err != nil {
		t.Fatal(err)
	}
	for _, item := range loose.Paths {
		for name := range item {
			if strings.HasPrefix(name, "x-") {
				delete(item, name)
			}
		}
	}
	trimmed, err := json.Marshal(loose)
	if err != nil {
		t.Fatal(err)
	}
	var s spec
	if err := json.Unmarshal(trimmed, &s); err != nil {
		t.Fatal(err)
	}
	var rest struct {
		Rates      []struct{ Name string } `json:"x-ratelimit"`
		Components struct {
			SecuritySchemes map[string]map[string]any `json:"securitySchemes"`
		} `json:"components"`
	}
	if err := json.Unmarshal(body, &rest); err != nil {
		t.Fatal(err)
	}
	s.Rates, s.Components.SecuritySchemes = rest.Rates, rest.Components.SecuritySchemes
	return s
}

func TestTheDescriptionSaysWhatTheDoorEnforces(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		described(c)
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 1000, Period: time.Second}}}
	})
	s := specOf(t, d)
	if len(s.Rates) != 1 || s.Rates[0].Name != "all" {
		t.Errorf("rates for all: %+v", s.Rates)
	}
	if len(s.Components.SecuritySchemes) != 2 || s.Components.SecuritySchemes["bearer"] == nil || s.Components.SecuritySchemes["apiKey"] == nil {
		t.Errorf("security: %v", s.Components.SecuritySchemes)
	}
	// Each route of the door is an operation, with the scopes that the door asks
	// for, and the door answers 401 just where credentials are needed.
	operations := map[string]bool{}
	for _, item := range s.Paths {
		for verb, op := range item {
			key := strings.ToUpper(verb) + " " + op.Template
			operations[key] = true
			for _, r := range d.Routes() {
				if r.Method+" "+r.Template != key {
					continue
				}
				if "/"+op.RPC != r.RPC || r.Access.Public != (len(op.Security) == 0) {
					t.Errorf("%s: %+v, the door has %+v", key, op, r)
				}
				for _, alternative := range op.Security {
					for _, scopes := range alternative {
						if fmt.Sprint(scopes) != fmt.Sprint(r.Access.Scopes) {
							t.Errorf("%s: scopes %v, the door asks for %v", key, scopes, r.Access.Scopes)
						}
					}
				}
				if len(op.Rates)+len(s.Rates) != len(r.Rates) || op.Responses["429"] == nil {
					t.Errorf("%s: rates %v, the door has %v", key, op.Rates, r.Rates)
				}
			}
		}
	}
	for _, r := range d.Routes() {
		standard := strings.Contains("GET PUT POST DELETE PATCH", r.Method)
		if standard && !operations[r.Method+" "+r.Template] {
			t.Errorf("%s %s is not described", r.Method, r.Template)
		}
	}
}

// TestTheDescriptionHasTheDoorsFormsAndLimits compares it with what the door
// answers.
func TestTheDescriptionHasTheDoorsFormsAndLimits(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		described(c)
		c.JSON = gateway.JSON{ProtoNames: true, EnumNumbers: true, Int64Numbers: true, URLBytes: true, NullUnset: true}
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 1000, Period: time.Second}, Key: ratelimit.Everybody}}
		c.Limits.BodyBytes, c.Timeouts.Call = 12345, 7*time.Second
	})
	var doc struct {
		Limits map[string]any         `json:"x-limits"`
		Rates  []struct{ Key string } `json:"x-ratelimit"`
		Paths  map[string]map[string]struct {
			Parameters []struct{ Name, In string } `json:"parameters"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Type       any
				Properties map[string]map[string]any
			} `json:"schemas"`
		} `json:"components"`
	}
	body := d.do("GET", "/openapi.json", "").want(200).body
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Limits["bodyBytes"] != 12345. || doc.Limits["call"] != "7s" || doc.Limits["callMax"] != "1m0s" || doc.Limits["jsonDepth"] != 64. {
		t.Errorf("limits %v", doc.Limits)
	}
	if len(doc.Rates) != 1 || doc.Rates[0].Key != "everybody" {
		t.Errorf("rates %v", doc.Rates)
	}
	request := doc.Components.Schemas["evenkeel.test.v1.EchoRequest"].Properties
	echoed, _ := d.do("POST", "/v1/echo", `{"int64Value":"5","kind":"KIND_FACT","bytesValue":"/w=="}`).want(200).decode()["echoed"].(map[string]any)
	for name, value := range echoed {
		if request[name] == nil {
			t.Errorf("%s is answered, and not described", name)
		}
		if _, number := value.(float64); number && name == "int64_value" && request[name]["type"] != "integer" {
			t.Errorf("%s is a number, and described as %v", name, request[name])
		}
	}
	if echoed["bytes_value"] != "_w" || request["bytes_value"]["contentEncoding"] != "base64url" {
		t.Errorf("bytes %v, described as %v", echoed["bytes_value"], request["bytes_value"])
	}
	if kind := doc.Components.Schemas["evenkeel.test.v1.Kind"]; kind.Type != "integer" {
		t.Errorf("an enum is described as %v", kind.Type)
	}
	names := map[string]bool{}
	for _, p := range doc.Paths["/v1/echo"]["get"].Parameters {
		names[p.Name] = true
	}
	if !names["int64_value"] || names["int64Value"] {
		t.Errorf("parameters %v", names)
	}
}

func TestPrioritiesAreDescribedWhereTheyHold(t *testing.T) {
	priority := func(serve ...func(*libraryService)) any {
		var doc struct {
			Paths map[string]map[string]map[string]any `json:"paths"`
		}
		if err := json.Unmarshal([]byte(newDoor(t, described, serve...).do("GET", "/openapi.json", "").want(200).body), &doc); err != nil {
			t.Fatal(err)
		}
		return doc.Paths["/v1/scarce"]["get"]["x-priority"]
	}
	if got := priority(); got != nil {
		t.Errorf("without a limiter: %v", got)
	}
	limiter, err := overload.New(overload.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := priority(func(s *libraryService) { s.Overload = limiter }); got != "sheddable" {
		t.Errorf("with one: %v", got)
	}
}

func TestAMountChangesTheDescription(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		described(c)
		c.Health.LivePath = "/alive"
	})
	if strings.Contains(string(d.OpenAPI().JSON()), "HiddenService") {
		t.Fatal("it is there already")
	}
	if err := gateway.Mount(d.Gateway, gateway.Service[testv1.HiddenServiceClient]{
		Desc: &testv1.HiddenService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewHiddenServiceClient, Register: testv1.RegisterHiddenServiceHandlerClient,
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.do("GET", "/openapi.json", "").want(200).body, "HiddenService") {
		t.Error("it is not described")
	}
}

func TestADescriptionThatCannotBeMadeIsRefusedAtStart(t *testing.T) {
	if _, err := gateway.New(gateway.Config{OpenAPI: &gateway.OpenAPI{Title: "T"}}); err == nil || !strings.Contains(err.Error(), "Config.OpenAPI: ") || !strings.Contains(err.Error(), "Version") {
		t.Error(err)
	}
	config := gateway.Config{Authenticators: []auth.Authenticator{custom{}}}
	described(&config)
	if _, err := gateway.New(config); err == nil || !strings.Contains(err.Error(), "Security") {
		t.Error(err)
	}
	config.OpenAPI.Security.Bearer = true
	if _, err := gateway.New(config); err != nil {
		t.Error(err)
	}
}

func TestTheDescriptionsPathsAreExplained(t *testing.T) {
	d := newDoor(t, described)
	e, err := d.Explain(t.Context(), gateway.Question{Target: "/openapi.json"})
	if err != nil || e.Status != 200 || e.Called {
		t.Errorf("%+v %v", e, err)
	}
}

// TestTheTypeOfAProblemIsWhereItIsExplained follows types as a caller would.
func TestTheTypeOfAProblemIsWhereItIsExplained(t *testing.T) {
	d, client := serveTLS(t, func(c *gateway.Config) {
		described(c)
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 20, Period: 24 * time.Hour}}}
	})
	base, err := url.Parse("https://door/v1/books")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, target, body string, change ...with) (int, string) {
		t.Helper()
		return exchange(t, client, method, "https://door"+target, body, change...)
	}
	_, page := ask("GET", "/openapi/problems", "")
	explained := func(kind string) {
		t.Helper()
		to, err := base.Parse(kind)
		if err != nil || to.Path != "/openapi/problems" || to.Host != "door" || !strings.Contains(page, `<h2 id="`+to.Fragment+`"`) {
			t.Errorf("type %q leads to no section of the page (%v)", kind, err)
		}
	}
	var p problem
	for _, r := range []struct {
		method, target, body string
		with                 []with
		status               int
	}{
		{"GET", "/nothing", "", nil, 404},
		{"PUT", "/v1/books", "", nil, 405},
		{"GET", "/v1/books?nonsense=1", "", []with{bearer(token(t, "ada", "books.read"))}, 400},
		{"DELETE", "/v1/shelves/1/books/1", "", nil, 401},
		{"GET", "/v1/books", "", []with{header("Accept", "image/png"), bearer(token(t, "ada", "books.read"))}, 406},
	} {
		status, told := ask(r.method, r.target, r.body, r.with...)
		if err := json.Unmarshal([]byte(told), &p); err != nil || status != r.status {
			t.Fatalf("%s %s: %d %s", r.method, r.target, status, told)
		}
		explained(p.Type)
	}

	// In band, in each form of a stream.
	for accept, prefix := range map[string]string{"application/x-ndjson": `{"error":`, "text/event-stream": "data: ", "application/json": ``} {
		status, told := ask("GET", "/v1/books:watch?count=1&code=14", "", header("Accept", accept), bearer(token(t, "ada", "books.read")))
		at := strings.LastIndex(told, `{"type":"`)
		if status != 200 || at < 0 || !strings.Contains(told, prefix) {
			t.Fatalf("%s: %d %s", accept, status, told)
		}
		if err := json.NewDecoder(strings.NewReader(told[at:])).Decode(&p); err != nil || p.Code != "UNAVAILABLE" {
			t.Fatalf("%s: %v in %s", accept, err, told)
		}
		explained(p.Type)
	}

	// What would be answered is what is answered.
	e, err := d.Explain(t.Context(), gateway.Question{Target: "/nothing"})
	if err != nil || e.Problem == nil {
		t.Fatalf("%+v %v", e, err)
	}
	explained(e.Problem.Type)

	// A type that others define stays; the page tells of it.
	status, told := 0, ""
	for range 30 {
		if status, told = ask("GET", "/v1/books", ""); status == 429 {
			break
		}
	}
	if err := json.Unmarshal([]byte(told), &p); err != nil || status != 429 || p.Type != "https://iana.org/assignments/http-problem-types#quota-exceeded" || !slices.Equal(p.ViolatedPolicies, []string{"all"}) || !strings.Contains(page, p.Type) {
		t.Errorf("%d %s", status, told)
	}
}

func TestProblemsAreExplainedBelowTheFirstServer(t *testing.T) {
	for server, want := range map[string]string{
		"/":                         "/openapi/problems#404-not-found",
		"/library":                  "/library/openapi/problems#404-not-found",
		"https://api.test/library/": "https://api.test/library/openapi/problems#404-not-found",
	} {
		d := newDoor(t, func(c *gateway.Config) {
			described(c)
			c.OpenAPI.Servers = []string{server, "https://other.test"}
		})
		if p := d.do("GET", "/nothing", "").wantProblem(http.StatusNotFound, "NOT_FOUND"); p.Type != want {
			t.Errorf("%s: type %q, want %q", server, p.Type, want)
		}
	}
}

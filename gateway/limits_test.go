package gateway_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// unreadable fails the test if anybody reads it.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (unreadable) Close() error { return nil }

func TestTooLargeABodyIsRefusedBeforeItIsRead(t *testing.T) {
	d := newDoor(t, nil)
	d.do("POST", "/v1/echo", "", header("Content-Type", "application/json"), func(r *http.Request) {
		r.ContentLength, r.Body = 8<<20, unreadable{t}
	}).wantProblem(http.StatusRequestEntityTooLarge, "INVALID_ARGUMENT")
}

func TestABodyIsNotReadForACallerWhoIsNotLetIn(t *testing.T) {
	d := newDoor(t, nil)
	body := func(r *http.Request) { r.ContentLength, r.Body = 100, unreadable{t} }
	d.do("POST", "/v1/shelves/1/books", "", body).want(http.StatusUnauthorized)
	d.do("POST", "/v1/shelves/1/books", "", body, bearer(token(t, "ann", "books.read"))).want(http.StatusForbidden)
	d.do("POST", "/v1/nothing", "", body).want(http.StatusNotFound)
	d.do("PUT", "/v1/books", "", body).want(http.StatusMethodNotAllowed)
}

func TestABodyOfUnknownLengthIsCutAtTheLimit(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes = 1000 })
	unknown := func(r *http.Request) { r.ContentLength = -1 }
	d.do("POST", "/v1/echo", `{"text":"`+strings.Repeat("a", 989)+`"}`, unknown).want(200)
	d.do("POST", "/v1/echo", `{"text":"`+strings.Repeat("a", 990)+`"}`, unknown).wantProblem(413, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", `{"text":"`+strings.Repeat("a", 9000)+`"}`, unknown).wantProblem(413, "INVALID_ARGUMENT")
}

func TestGzipIsDecodedAndLimitedAfterInflating(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes = 10_000 })
	gz := header("Content-Encoding", "gzip")
	a := d.do("POST", "/v1/echo", zipped(t, `{"text":"small"}`), gz).want(200)
	if !strings.Contains(a.body, "small") {
		t.Errorf("body %s", a.body)
	}
	bomb := zipped(t, `{"text":"`+strings.Repeat("a", 5_000_000)+`"}`)
	if len(bomb) > 10_000 {
		t.Fatalf("the bomb is no bomb: %d bytes", len(bomb))
	}
	d.do("POST", "/v1/echo", bomb, gz).wantProblem(413, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", zipped(t, bomb), gz).wantProblem(400, "INVALID_ARGUMENT")
	valid := zipped(t, `{"text":"small"}`)
	d.do("POST", "/v1/echo", valid[:len(valid)-4], gz).wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", "not gzip at all", gz).wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", valid[:len(valid)-6]+"xxxxxx", gz).wantProblem(400, "INVALID_ARGUMENT")
}

func TestUnknownContentCodingIsAnswered415(t *testing.T) {
	d := newDoor(t, nil)
	for _, coding := range []string{"br", "zstd", "deflate", "gzip, gzip", "x"} {
		a := d.do("POST", "/v1/echo", "x", header("Content-Encoding", coding))
		a.wantProblem(http.StatusUnsupportedMediaType, "INVALID_ARGUMENT")
		if a.header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("%s: Accept-Encoding %q", coding, a.header.Get("Accept-Encoding"))
		}
	}
	d.do("POST", "/v1/echo", `{}`, header("Content-Encoding", "identity")).want(200)
}

func TestTooLongAURLIsAnswered414(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.URLBytes = 200 })
	d.do("GET", "/v1/books?page_token="+strings.Repeat("a", 200), "").wantProblem(http.StatusRequestURITooLong, "INVALID_ARGUMENT")
	d.do("GET", "/v1/books?page_token="+strings.Repeat("a", 100), "").want(200)
}

func TestEmptyListsAndTokensAreInTheAnswer(t *testing.T) {
	d := newDoor(t, nil)
	v := d.do("GET", "/v1/books", "").want(200).decode()
	if books, ok := v["books"].([]any); !ok || len(books) != 0 {
		t.Errorf("books %v, want an empty list", v["books"])
	}
	if token, ok := v["nextPageToken"].(string); !ok || token != "" {
		t.Errorf("nextPageToken %v, want an empty string", v["nextPageToken"])
	}
	if _, there := v["totalSize"]; there {
		t.Error("totalSize is there although it is optional and unset")
	}
}

func TestPatchMasksWhatTheBodySets(t *testing.T) {
	d := newDoor(t, nil)
	ann := bearer(token(t, "ann"))
	for body, want := range map[string]string{
		`{"title":"x"}`:                     "title",
		`{"title":"x","pageCount":3}`:       "page_count,title",
		`{"page_count":null}`:               "page_count",
		`{}`:                                "",
		`{"authors":[],"labels":{"a":"b"}}`: "authors,labels",
	} {
		d.do("PATCH", "/v1/shelves/1/books/2", body, ann).want(200)
		r, _ := d.books.lastRequest().(*testv1.UpdateBookRequest)
		if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != want {
			t.Errorf("%s: mask %q, want %q", body, got, want)
		}
		if r.GetBook().GetName() != "shelves/1/books/2" {
			t.Errorf("%s: name %q", body, r.GetBook().GetName())
		}
	}
	d.do("PATCH", "/v1/shelves/1/books/2?update_mask=title,kind", `{"title":"x"}`, ann).want(200)
	r, _ := d.books.lastRequest().(*testv1.UpdateBookRequest)
	if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != "title,kind" {
		t.Errorf("mask %q", got)
	}
}

func TestAPatchIsValidatedByWhatItChanges(t *testing.T) {
	d := newDoor(t, nil)
	ann := bearer(token(t, "ann"))
	const book = "/v1/shelves/1/books/2"
	long := strings.Repeat("x", 51)
	for _, body := range []string{`{"pageCount":3}`, `{"labels":{"a":"b"}}`, `{"title":"x"}`, `{}`, ``, `{"authors":[]}`} {
		// A book without a title is not valid, but its title stays.
		d.do("PATCH", book, body, ann).want(200)
	}
	calls := d.books.callCount()
	for _, c := range []struct{ query, body, field string }{
		{"", `{"title":""}`, "book.title"},
		{"", `{"title":null}`, "book.title"},
		{"", `{"title":"` + long + `"}`, "book.title"},
		{"", `{"pageCount":0}`, "book.pageCount"},
		{"", `{"authors":[{}]}`, "book.authors[0].fullName"},
		{"", `{"labels":{"a":"too long"}}`, `book.labels["a"]`},
		{"", `{"kind":7}`, "book.kind"},
		{"?updateMask=title", `{"pageCount":3}`, "book.title"},
		{"?updateMask=*", `{"pageCount":3}`, "book.title"},
		// What is there is looked at, whether the mask names it or not.
		{"?updateMask=page_count", `{"pageCount":3,"title":"` + long + `"}`, "book.title"},
	} {
		d.do("PATCH", book+c.query, c.body, ann).wantField(c.field)
	}
	if d.books.callCount() != calls {
		t.Error("the backend was called")
	}
	// Another method has no mask.
	d.do("POST", "/v1/shelves/1/books", `{"pageCount":3}`, bearer(token(t, "ann", "books.read", "books.write"))).wantField("book.title")
}

func TestBindingsOfEveryKindReachTheirMethod(t *testing.T) {
	d := newDoor(t, nil)
	d.do("LOCK", "/v1/shelves/1/books/2", "").want(200)
	d.do("POST", "/v1/shelves/1/books/2:rate", `{"stars":5}`).want(200)
	r, _ := d.books.lastRequest().(*testv1.RateBookRequest)
	if r.GetName() != "shelves/1/books/2" || r.GetStars() != 5 {
		t.Errorf("request %v", r)
	}
	d.do("GET", "/v1/shelves/1/books?page_size=3", "").want(200)
	list, _ := d.books.lastRequest().(*testv1.ListBooksRequest)
	if list.GetParent() != "shelves/1" || list.GetPageSize() != 3 {
		t.Errorf("request %v", list)
	}
	a := d.do("GET", "/v1/files/a/b%2Fc/d%20e", "").want(200)
	if a.body != "file a/b%2Fc/d e" || a.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
	}
	v := d.do("GET", "/v1/echo/only/nested?text=a", "").want(200).decode()
	if v["text"] != "a" {
		t.Errorf("response_body: %v", v)
	}
	d.do("PUT", "/v1/echo/names", `["a","b"]`).want(200)
	echo, _ := d.books.lastRequest().(*testv1.EchoRequest)
	if strings.Join(echo.GetNames(), "") != "ab" {
		t.Errorf("request %v", echo)
	}
	d.do("POST", "/v1/shelves/1/books?book_id=7", `{"title":"New"}`, bearer(token(t, "ann", "books.read", "books.write"))).want(200)
	created, _ := d.books.lastRequest().(*testv1.CreateBookRequest)
	if created.GetBookId() != "7" || created.GetParent() != "shelves/1" || created.GetBook().GetTitle() != "New" {
		t.Errorf("request %v", created)
	}
}

func TestMethodsThatHTTPDoesNotKnow(t *testing.T) {
	d := newDoor(t, nil)
	for _, method := range []string{"GET", "POST", "PROPFIND", "DELETE"} {
		if v := d.do(method, "/v1/shelves/1/books/2:anything", "").want(200).decode(); v["name"] != "shelves/1/books/2" {
			t.Errorf("%s: %v", method, v)
		}
	}
	if v := d.do("REPORT", "/v1/anything", `{"name":"x"}`).want(200).decode(); v["name"] != "x" {
		t.Errorf("%v", v)
	}
	if a := d.do("POST", "/v1/anything", `{"name":"x"}`).want(405); a.header.Get("Allow") != "OPTIONS, REPORT" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
}

func TestValidationRulesAreCheckedBeforeTheBackend(t *testing.T) {
	d := newDoor(t, nil)
	writer := bearer(token(t, "ann", "books.read", "books.write"))
	d.do("GET", "/v1/books?page_size=1000", "").wantField("pageSize")
	d.do("POST", "/v1/shelves/1/books/2:rate", `{"stars":9}`).wantField("stars")
	d.do("POST", "/v1/shelves/1/books", ``, writer).wantField("book")
	a := d.do("POST", "/v1/shelves/1/books", `{"title":"","pageCount":0,"authors":[{"fullName":"A"},{}],"labels":{"k":"too long"}}`, writer)
	for _, field := range []string{"book.title", "book.pageCount", "book.authors[1].fullName", `book.labels["k"]`} {
		a.wantField(field)
	}
	p := a.wantProblem(400, "INVALID_ARGUMENT")
	if len(p.Details) != 1 || p.Details[0]["@type"] != "type.googleapis.com/google.rpc.BadRequest" {
		t.Errorf("details %v", p.Details)
	}
	reasons := map[string]bool{}
	for _, e := range p.Errors {
		reasons[e.Reason] = true
	}
	if !reasons["string.min_len"] || !reasons["int32.gte"] {
		t.Errorf("reasons %v", reasons)
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

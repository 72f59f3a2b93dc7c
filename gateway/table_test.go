package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// The rows of the table "wanted" in the design: how peers answer what is not
// quite right, and how this gateway does. Row by row:
//
//	wrong method, HEAD, OPTIONS                TestWrongMethodIsAnswered405WithAllow, TestHeadIsAnsweredLikeGet, TestOptionsIsAnswered
//	unknown path                               TestUnknownPathIsA404Problem
//	unknown query parameter                    TestUnknownQueryParameterIsNamed; lenient: TestWhatIsUnknownCanBeIgnored
//	unknown body field, unknown enum name      TestUnknownBodyFieldAndEnumNameAreNamed; lenient: TestWhatIsUnknownCanBeIgnored
//	bad number in path or query                TestBadNumberInThePathIsNamedWithoutInternals, TestQueryIsReadToTheLetter
//	trailing bytes, second JSON value          TestTrailingBytesAndSecondValuesAreRefused
//	duplicate key                              TestDuplicateKeysAreRefused
//	text/plain body                            TestOnlyJSONBodiesAreTaken
//	Accept that cannot be met                  TestAcceptThatCannotBeMetIsAnswered406
//	gzip body                                  TestGzipIsDecodedAndLimitedAfterInflating
//	20,000-deep JSON                           TestDeepJSONIsRefused
//	8 MiB body                                 TestTooLargeABodyIsRefusedBeforeItIsRead
//	8 MiB body on GET                          TestBodyOnGetIsRefused
//	X-HTTP-Method-Override                     TestMethodOverrideIsOff
//	client's Grpc-Timeout                      TestTheCallersDeadlineIsHonouredAndCapped
//	%2F in a literal segment                   TestEscapedSlashDoesNotMatchALiteral, TestAuthorizationIsByMethodHoweverThePathIsWritten

func TestWrongMethodIsAnswered405WithAllow(t *testing.T) {
	d := newDoor(t, nil)
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/v1/shelves/1/books/2", "DELETE, GET, HEAD, LOCK, OPTIONS, PATCH"},
		{"GET", "/v1/shelves/1/books/2:rate", "OPTIONS, POST"},
		{"DELETE", "/v1/books", "GET, HEAD, OPTIONS"},
		{"TRACE", "/v1/books", "GET, HEAD, OPTIONS"},
		{"NONSENSE", "/v1/echo", "GET, HEAD, OPTIONS, POST"},
	} {
		a := d.do(c.method, c.path, "")
		a.wantProblem(http.StatusMethodNotAllowed, "UNIMPLEMENTED")
		if got := a.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestHeadIsAnsweredLikeGet(t *testing.T) {
	d := newDoor(t, nil)
	get := d.do("GET", "/v1/books", "").want(200)
	head := d.do("HEAD", "/v1/books", "").want(200)
	for _, h := range []string{"Content-Type", "Content-Length"} {
		if get.header.Get(h) == "" || get.header.Get(h) != head.header.Get(h) {
			t.Errorf("%s: GET %q, HEAD %q", h, get.header.Get(h), head.header.Get(h))
		}
	}
	d.do("HEAD", "/v1/shelves/1/books/2", "").want(http.StatusUnauthorized)
	d.do("HEAD", "/v1/nothing", "").want(http.StatusNotFound)
}

func TestHeadOfAStreamOpensNone(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("HEAD", "/v1/books:watch?linger=true", "").want(200)
	if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("Content-Type %q", got)
	}
	// What a stream of a media type of its own is, its first message tells.
	if got, there := d.do("HEAD", "/v1/download/a?parts=1", "").want(200).header["Content-Type"]; there {
		t.Errorf("Content-Type %q", got)
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestOptionsIsAnswered(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("OPTIONS", "/v1/shelves/1/books", "").want(http.StatusNoContent)
	if got := a.header.Get("Allow"); got != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("Allow %q", got)
	}
	if got, there := a.header["Accept-Patch"]; there {
		t.Errorf("Accept-Patch %q", got)
	}
	a = d.do("OPTIONS", "/v1/shelves/1/books/2", "").want(http.StatusNoContent)
	if got := a.header.Get("Accept-Patch"); got != "application/json" {
		t.Errorf("Accept-Patch %q", got)
	}
	d.do("OPTIONS", "/v1/nothing", "").wantProblem(http.StatusNotFound, "NOT_FOUND")
}

func TestUnknownPathIsA404Problem(t *testing.T) {
	d := newDoor(t, nil)
	for _, path := range []string{"/", "/v1", "/v1/nothing", "/v1/shelves/1/books/2/3", "/v1/shelves//books/2", "/v1/shelves/1/books/", "//v1/books", "/v1/books/"} {
		d.do("GET", path, "").wantProblem(http.StatusNotFound, "NOT_FOUND")
	}
}

func TestUnknownQueryParameterIsNamed(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1/books?page_size=3&nonsense=1", "").wantField("nonsense")
	d.do("GET", "/v1/echo?nested.nonsense=1", "").wantField("nested.nonsense")
	d.do("GET", "/v1/echo?access_token=x", "").wantField("access_token")
	// Set by the path, by the body, or belonging into it.
	d.do("GET", "/v1/shelves/1/books?parent=shelves/2", "").wantField("parent")
	d.do("PATCH", "/v1/shelves/1/books/2?book.title=x", `{}`, bearer(token(t, "ann"))).wantField("book.title")
	d.do("POST", "/v1/shelves/1/books/2:rate?stars=3", `{"stars":3}`).wantField("stars")
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestQueryIsReadToTheLetter(t *testing.T) {
	d := newDoor(t, nil)
	for query, field := range map[string]string{
		"text=a&text=b":                   "text",
		"pageSize=1":                      "pageSize",
		"int32_value=1&int32Value=2":      "int32Value",
		"counts=1":                        "counts",
		"text[a]=1":                       "text",
		"nested=1":                        "nested",
		"text=%ff":                        "text",
		"int32_value=1x":                  "int32Value",
		"int32_value=99999999999":         "int32Value",
		"uint32_value=-1":                 "uint32Value",
		"numbers=1&numbers=x":             "numbers",
		"kind=KIND_NONSENSE":              "kind",
		"time=yesterday":                  "time",
		"bool_value=maybe":                "boolValue",
		"counts%5Ba%5D=x":                 `counts["a"]`,
		"several=1":                       "several",
		"bytes_value=%24%24":              "bytesValue",
		"nested.number.deeper=1":          "nested.number.deeper",
		"wrapped=x":                       "wrapped",
		strings.Repeat("x", 300) + "=1":   strings.Repeat("x", 100) + "…",
		"span=quickly":                    "span",
		"names=%ff":                       "names",
		"nested.deeper.deeper.number=one": "nested.deeper.deeper.number",
	} {
		a := d.do("GET", "/v1/echo?"+query, "")
		a.wantField(field)
		wantNoInternals(t, a.body)
	}
	d.do("GET", "/v1/echo?text=a;b=c", "").wantProblem(400, "INVALID_ARGUMENT")
	d.do("GET", "/v1/echo?text=%zz", "").wantProblem(400, "INVALID_ARGUMENT")
	d.do("GET", "/v1/echo?left=a&right=1", "").wantProblem(400, "INVALID_ARGUMENT")
	d.do("GET", "/v1/echo?"+strings.Repeat("names=a&", 200)+"names=b", "").wantProblem(400, "INVALID_ARGUMENT")
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestQuerySetsFieldsOfEveryKind(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("GET", "/v1/echo?text=a%20b&bool_value=true&int64_value=-5&names=x&names=y&numbers=1&counts[a]=1&nested.deeper.number=7"+
		"&kind=KIND_FACT&kinds=1&time=2020-01-02T03:04:05Z&span=1.5s&mask=a,b&wrapped=4&maybe=&right=3&double_value=1.5&bytes_value=AQI=", "").want(200)
	echoed, _ := a.decode()["echoed"].(map[string]any)
	if echoed["text"] != "a b" || echoed["int64Value"] != "-5" || echoed["span"] != "1.500s" || echoed["mask"] != "a,b" || echoed["maybe"] != "" || echoed["kind"] != "KIND_FACT" {
		t.Errorf("echoed %v", echoed)
	}
}

// wantNoInternals checks that an answer speaks neither Go nor of its parsers.
func wantNoInternals(t *testing.T, body string) {
	t.Helper()
	for _, word := range []string{"strconv", "proto:", "json:", "unmarshal", "syntax error", ".go:", "grpc", "runtime", "goroutine", "line 1", "secret", "parsing"} {
		if strings.Contains(body, word) {
			t.Errorf("%q is internal: %s", word, body)
		}
	}
}

func TestUnknownBodyFieldAndEnumNameAreNamed(t *testing.T) {
	d := newDoor(t, nil)
	d.do("POST", "/v1/echo", `{"text":"a","nonsense":1}`).wantField("nonsense")
	d.do("POST", "/v1/echo", `{"nested":{"deeper":{"nonsense":1}}}`).wantField("nested.deeper.nonsense")
	d.do("POST", "/v1/echo", `{"kind":"KIND_NONSENSE"}`).wantField("kind")
	d.do("POST", "/v1/echo", `{"several":[{"number":1},{"nonsense":1}]}`).wantField("several[1].nonsense")
	d.do("POST", "/v1/echo", `{"byName":{"a":{"nonsense":1}}}`).wantField(`byName["a"].nonsense`)
	d.do("POST", "/v1/shelves/1/books", `{"nonsense":1}`, bearer(token(t, "ann", "books.read", "books.write"))).wantField("book.nonsense")
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestBadValuesInBodiesAreNamedWithoutInternals(t *testing.T) {
	d := newDoor(t, nil)
	for body, field := range map[string]string{
		`{"int32Value":"x"}`:               "int32Value",
		`{"int32Value":1.5}`:               "int32Value",
		`{"int32Value":3000000000}`:        "int32Value",
		`{"text":5}`:                       "text",
		`{"boolValue":"true"}`:             "boolValue",
		`{"bytesValue":"$$"}`:              "bytesValue",
		`{"names":"x"}`:                    "names",
		`{"names":[1]}`:                    "names[0]",
		`{"numbers":[1,"x"]}`:              "numbers[1]",
		`{"counts":{"a":"x"}}`:             `counts["a"]`,
		`{"counts":[]}`:                    "counts",
		`{"nested":[]}`:                    "nested",
		`{"time":"yesterday"}`:             "time",
		`{"span":"quickly"}`:               "span",
		`{"left":"a","right":1}`:           "right",
		`{"text":"a","text":"b"}`:          "text",
		`{"int32Value":1,"int32_value":2}`: "int32Value",
		`{"counts":{"a":1,"a":2}}`:         `counts["a"]`,
		`{"anything":5}`:                   "anything",
	} {
		a := d.do("POST", "/v1/echo", body)
		a.wantField(field)
		wantNoInternals(t, a.body)
	}
	d.do("PUT", "/v1/echo/names", `[1]`).wantField("names[0]")
	d.do("PUT", "/v1/echo/names", `{"a":1}`).wantField("names")
}

func TestDuplicateKeysAreRefused(t *testing.T) {
	d := newDoor(t, nil)
	for body, field := range map[string]string{
		`{"text":"a","text":"a"}`:                  "text",
		`{"int32Value":1,"int32_value":1}`:         "int32Value",
		`{"nested":{"number":1,"number":2}}`:       "nested.number",
		`{"counts":{"a":1,"a":1}}`:                 `counts["a"]`,
		`{"several":[{"number":1,"number":1}]}`:    "several[0].number",
		`{"left":"a","right":1,"text":"b"}`:        "right",
		`{"byName":{"x":{"number":1,"number":0}}}`: `byName["x"].number`,
	} {
		d.do("POST", "/v1/echo", body).wantField(field)
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestBadNumberInThePathIsNamedWithoutInternals(t *testing.T) {
	d := newDoor(t, nil)
	for path, field := range map[string]string{
		"/v1/echo/number/x":           "int32Value",
		"/v1/echo/number/99999999999": "int32Value",
		"/v1/echo/kind/NONSENSE":      "kind",
		"/v1/echo/text/%ff":           "text",
	} {
		a := d.do("GET", path, "").wantField(field)
		wantNoInternals(t, a.body)
	}
	d.do("GET", "/v1/echo/number/7", "").want(200)
	d.do("GET", "/v1/echo/kind/KIND_FACT", "").want(200)
}

func TestTrailingBytesAndSecondValuesAreRefused(t *testing.T) {
	d := newDoor(t, nil)
	for _, body := range []string{`{"text":"a"} x`, `{"text":"a"}{"text":"b"}`, `{"text":"a"}}`, `{"text":"a"},`, `[]`, `"a"`, `5`, `null`, `{`, `{"text"`, `{'text':'a'}`, "{\"text\":\"a\xff\"}", "\ufeff{}"} {
		a := d.do("POST", "/v1/echo", body)
		a.wantProblem(400, "INVALID_ARGUMENT")
		wantNoInternals(t, a.body)
	}
	d.do("PUT", "/v1/echo/names", `["a"] ["b"]`).wantProblem(400, "INVALID_ARGUMENT")
	d.do("PUT", "/v1/echo/names", `["a"]`).want(200)
	d.do("POST", "/v1/echo", " \n{\"text\":\"a\"}\r\n ").want(200)
}

func TestOnlyJSONBodiesAreTaken(t *testing.T) {
	d := newDoor(t, nil)
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "none", "nonsense", "application/json; charset=latin1", "application/octet-stream"} {
		a := d.do("POST", "/v1/echo", `{"text":"a"}`, header("Content-Type", contentType))
		a.wantProblem(http.StatusUnsupportedMediaType, "INVALID_ARGUMENT")
		if a.header.Get("Accept") != "application/json" {
			t.Errorf("%s: Accept %q", contentType, a.header.Get("Accept"))
		}
	}
	// A PATCH is neither of these: a map is not merged, but set.
	for _, contentType := range []string{"application/json-patch+json", "application/merge-patch+json"} {
		a := d.do("PATCH", "/v1/shelves/1/books/2", `{}`, bearer(token(t, "ann")), header("Content-Type", contentType)).want(415)
		if got := a.header.Get("Accept-Patch"); got != "application/json" {
			t.Errorf("Accept-Patch %q", got)
		}
	}
	d.do("POST", "/v1/echo", `{}`, header("Content-Type", "application/json"), header("Content-Type", "application/json")).want(415)
	d.do("POST", "/v1/echo", `{}`, header("Content-Type", "Application/JSON; Charset=UTF-8")).want(200)
	d.do("POST", "/v1/echo", ``).want(200)
}

func TestAcceptThatCannotBeMetIsAnswered406(t *testing.T) {
	d := newDoor(t, nil)
	for accept, status := range map[string]int{
		"text/html": 406, "application/xml, text/*": 406, "application/json;q=0": 406, "*/*;q=0": 406,
		"application/json;q=0, */*": 406, "application/json": 200, "text/html, */*;q=0.1": 200, "application/*": 200,
		"APPLICATION/JSON": 200, "application/json;q=0.5": 200,
	} {
		a := d.do("GET", "/v1/books", "", header("Accept", accept))
		if a.status != status {
			t.Errorf("Accept %q: %d, want %d", accept, a.status, status)
		}
	}
}

func TestDeepJSONIsRefused(t *testing.T) {
	d := newDoor(t, nil)
	deep := func(n int) string {
		return strings.Repeat(`{"nested":`, 1) + strings.Repeat(`{"deeper":`, n) + "{}" + strings.Repeat("}", n+1)
	}
	d.do("POST", "/v1/echo", deep(20_000)).wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", `{"anything":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}").wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", strings.Repeat("[", 20_000)).wantProblem(400, "INVALID_ARGUMENT")
	d.do("POST", "/v1/echo", deep(60)).want(200)
	d.do("POST", "/v1/echo", `{"text":"`+strings.Repeat("[{", 1000)+`\"{"}`).want(200)
}

func TestMethodOverrideIsOff(t *testing.T) {
	d := newDoor(t, nil)
	d.do("POST", "/v1/shelves/1/books/2", "", header("X-HTTP-Method-Override", "DELETE")).wantProblem(405, "UNIMPLEMENTED")
	d.do("POST", "/v1/books", "page_size=1", header("Content-Type", "application/x-www-form-urlencoded"), header("X-HTTP-Method-Override", "GET")).want(405)
}

func TestEscapedSlashDoesNotMatchALiteral(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1%2Fbooks", "").wantProblem(404, "NOT_FOUND")
	d.do("GET", "/v1/echo%2Ftext/a", "").wantProblem(404, "NOT_FOUND")
	d.do("GET", "/v1/shelves%2F1/books", "").wantProblem(404, "NOT_FOUND")
	// Within a variable it is data.
	a := d.do("GET", "/v1/echo/text/a%2Fb", "").want(200)
	if echoed, _ := a.decode()["echoed"].(map[string]any); echoed["text"] != "a/b" {
		t.Errorf("echoed %v", echoed)
	}
	a = d.do("GET", "/v1/shelves/1/books/2%2F3", "", bearer(token(t, "ann", "books.read"))).want(200)
	if name := a.decode()["name"]; name != "shelves/1/books/2%2F3" {
		t.Errorf("name %v", name)
	}
}

func TestBodyOnGetIsRefused(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1/books", `{}`).wantProblem(400, "INVALID_ARGUMENT")
	d.do("DELETE", "/v1/shelves/1/books/2", `{}`, bearer(token(t, "ann", "books.write"))).wantProblem(400, "INVALID_ARGUMENT")
	d.do("GET", "/v1/books", strings.Repeat(" ", 2<<20)).wantProblem(413, "INVALID_ARGUMENT")
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	d.do("GET", "/v1/books", `{}`, chunked).wantProblem(400, "INVALID_ARGUMENT")
	empty := func(r *http.Request) { r.ContentLength = -1; r.Body = http.NoBody }
	d.do("GET", "/v1/books", "", empty).want(200)
	if n := d.books.callCount(); n != 1 {
		t.Errorf("the backend was called %d times", n)
	}
}

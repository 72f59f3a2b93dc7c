package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// Attacks by how a request is written: its path, its method, its framing.

// aroundThePath are ways to write the path of a book, which only those may read
// who are known, so that something on the way takes it for another.
var aroundThePath = []string{
	"/v1/shelves/1/books/2", "/v1/%73helves/1/books/2", "/v1/shelves/1/b%6f%6Fks/2", "/%76%31/shelves/1/books/2",
	"/v1/shelves/%31/books/%32", "/v1/shelves/1/books/2?", "/v1/shelves/1/books/2?alt=json",
	// Slashes that are none, or too many.
	"/v1/shelves%2F1/books/2", "/v1/shelves/1%2fbooks%2f2", "/v1%2Fshelves%2F1%2Fbooks%2F2", "/v1%252Fshelves%252F1/books/2",
	"//v1/shelves/1/books/2", "/v1//shelves/1/books/2", "/v1/shelves/1/books//2", "/v1/shelves/1/books/2/", "/v1/shelves/1/books/2//",
	`\v1\shelves\1\books\2`, `/v1\shelves\1\books\2`, "/v1/shelves/1/books/2%5c", "/v1/shelves/1%5C/books/2",
	// Dot segments, escaped, and escaped twice.
	"/v1/./shelves/1/books/2", "/v1/books/../shelves/1/books/2", "/v1/books/%2e%2e/shelves/1/books/2", "/v1/books/..%2fshelves/1/books/2",
	"/v1/books/%252e%252e/shelves/1/books/2", "/v1/shelves/../shelves/1/books/2", "/v1/shelves/1/books/..", "/v1/shelves/1/books/%2e%2e",
	"/livez/../v1/shelves/1/books/2", "/readyz/%2e%2e/v1/shelves/1/books/2", "/openapi/../v1/shelves/1/books/2", "/v1/files/../shelves/1/books/2",
	"/v1/shelves/1/books/%c0%ae%c0%ae", "/v1/shelves/1/books/2/..;/2", "/v1/books;/../shelves/1/books/2",
	// Parameters, ends of strings and of lines.
	"/v1/shelves/1/books/2;a=b", "/v1/shelves;a=b/1/books/2", "/v1/shelves/1/books/2%00", "/v1/shelves/1/books/2%00.css", "/v1/shelves/1/books/2%0d%0aX:y",
	"/v1/shelves/1/books/2%23", "/v1/shelves/1/books/2#/v1/books", "/v1/shelves/1/books/2%3f", "/v1/shelves/1/books/2.json", "/v1/books#/../shelves/1/books/2",
	// Other letters, other verbs.
	"/V1/Shelves/1/Books/2", "/v1/shelves/1/books/2%3Arate", "/v1/shelves/1/books/2:", "/v1/shelves/1/books/2%20",
	// Targets that name a host, or none.
	"http://door/v1/shelves/1/books/2", "http://evil@door/v1/shelves/1/books/2", "http://door:80//v1/shelves/1/books/2", "https://door/v1/books/../shelves/1/books/2",
	"file:///v1/shelves/1/books/2", "http:/v1/shelves/1/books/2", "v1/shelves/1/books/2", "*",
}

func TestAttackPathTricksCallNothingWithoutCredentials(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.UnencryptedHTTP2, c.OpenAPI = true, &gateway.OpenAPI{Title: "Library", Version: "1"}
	}, func(t *testing.T, r *running) {
		for _, path := range aroundThePath {
			a := r.one(t, "GET "+path+" HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if b := r.frames(t, pseudo("GET", path), ""); !b.reset && (b.status < 400 || b.status >= 500) {
				t.Errorf("HTTP/2, %s: %d %s", path, b.status, b.body)
			}
		}
		if n := r.books.callCount(); n != 0 {
			t.Errorf("the backend was called %d times: %v", n, r.books.methods())
		}
		othersAreServed(t, r)
	})
}

// With credentials, each of them is the book's path, or none at all: never that
// of another method.
func TestAttackPathTricksReachNoOtherMethod(t *testing.T) {
	tok := token(t, "ann", "books.read")
	inBubble(t, nil, func(t *testing.T, r *running) {
		names := 0
		for _, path := range aroundThePath {
			a := r.one(t, "GET "+path+" HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer "+tok+"\r\nConnection: close\r\n\r\n")
			if a.status != 200 && (a.status < 400 || a.status >= 500) {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if a.status == 200 {
				names++
			}
		}
		for _, method := range r.books.methods() {
			if method != "GetBook" {
				t.Errorf("%s was called", method)
			}
		}
		if book, ok := r.books.lastRequest().(*testv1.GetBookRequest); names < 10 || !ok || !strings.HasPrefix(book.GetName(), "shelves/") {
			t.Errorf("%d were the book's path, the last is %v: the table shows nothing", names, r.books.lastRequest())
		}
		othersAreServed(t, r)
	})
}

func TestAttackOtherMethodsThanTheAuthorizedOne(t *testing.T) {
	reader := "Authorization: Bearer " + token(t, "ann", "books.read") + "\r\n"
	inBubble(t, nil, func(t *testing.T, r *running) {
		for _, c := range []struct {
			request string
			status  int
		}{
			{"POST /v1/shelves/1/books/2 HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\n" + reader, 405},
			{"POST /v1/shelves/1/books/2 HTTP/1.1\r\nX-Method-Override: DELETE\r\n" + reader, 405},
			{"POST /v1/shelves/1/books/2?_method=DELETE HTTP/1.1\r\n" + reader, 405},
			{"GET /v1/shelves/1/books/2?_method=DELETE HTTP/1.1\r\n" + reader, 400},
			{"GET /v1/shelves/1/books/2 HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\n" + reader, 200},
			{"LOCK /v1/shelves/1/books/2 HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\n" + reader, 200},
			{"DELETE /v1/shelves/1/books/2 HTTP/1.1\r\n" + reader, 403},
			{"delete /v1/shelves/1/books/2 HTTP/1.1\r\n" + reader, 405},
			{"GETDELETE /v1/shelves/1/books/2 HTTP/1.1\r\n" + reader, 405},
			{"TRACE /v1/shelves/1/books/2 HTTP/1.1\r\n" + reader, 405},
			{"CONNECT door:80 HTTP/1.1\r\n" + reader, 404},
			{"CONNECT /v1/shelves/1/books/2 HTTP/1.1\r\n" + reader, 405},
		} {
			if a := r.one(t, c.request+"Host: door\r\nConnection: close\r\n\r\n"); a.status != c.status {
				t.Errorf("%q: %d, want %d; %s", brief(c.request), a.status, c.status, a.body)
			}
		}
		if got := r.books.methods(); !slices.Equal(got, []string{"GetBook", "LockBook"}) {
			t.Errorf("the backend was called for %v", got)
		}
		othersAreServed(t, r)
	})
}

// smuggled is a request that something in front takes for a part of the one
// before.
func smuggled(token string) string {
	return "DELETE /v1/shelves/1/books/2 HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer " + token + "\r\n\r\n"
}

func TestAttackRequestSmuggling(t *testing.T) {
	inner := smuggled(token(t, "ann", "books.write"))
	post := "POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"
	inBubble(t, nil, func(t *testing.T, r *running) {
		if got := r.one(t, inner); got.status != 200 {
			t.Fatalf("sent openly, it is answered %d: the test shows nothing", got.status)
		}
		for name, text := range map[string]string{
			"a length and chunks":                  post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + inner,
			"chunks and a length":                  post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + inner,
			"a GET with both":                      "GET /v1/books HTTP/1.1\r\nHost: door\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
			"health with both":                     "GET /livez HTTP/1.1\r\nHost: door\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
			"what is refused, with both":           "POST /v1/nothing HTTP/1.1\r\nHost: door\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
			"chunks in HTTP/1.0":                   "POST /v1/echo HTTP/1.0\r\nHost: door\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}" + inner,
			"chunks in HTTP/1.0, for GET":          "GET /v1/books HTTP/1.0\r\nHost: door\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + inner,
			"two lengths":                          post + "Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}" + inner,
			"two lengths in a list":                post + "Content-Length: 2, 2\r\n\r\n{}" + inner,
			"a signed length":                      post + "Content-Length: +2\r\n\r\n{}" + inner,
			"a negative length":                    post + "Content-Length: -2\r\n\r\n{}" + inner,
			"a hexadecimal length":                 post + "Content-Length: 0x2\r\n\r\n{}" + inner,
			"a length too large for any number":    post + "Content-Length: 99999999999999999999\r\n\r\n{}" + inner,
			"an empty length":                      post + "Content-Length: \r\n\r\n{}" + inner,
			"an unknown coding":                    post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
			"a coding twice":                       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
			"codings in a list":                    post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + inner,
			"a tab before the coding":              post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
			"a space before the colon":             post + "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}" + inner,
			"a name that is not one":               post + "Content-Length\x00: 2\r\n\r\n{}" + inner,
			"a zero byte in a value":               post + "X-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}" + inner,
			"a bare return in a value":             post + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}" + inner,
			"a chunk whose size is too large":      post + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n" + inner,
			"a chunk whose size is signed":         post + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n" + inner,
			"a chunk whose size is no number":      post + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n" + inner,
			"a chunk that is longer than it says":  post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n" + inner,
			"an extension with a bare line feed":   post + "Transfer-Encoding: chunked\r\n\r\n2;a\n{}\r\n0\r\n\r\n" + inner,
			"trailers that say how long it is":     post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 200\r\n\r\n" + inner,
			"two hosts":                            "GET /v1/books HTTP/1.1\r\nHost: door\r\nHost: evil\r\n\r\n" + inner,
			"no host":                              "GET /v1/books HTTP/1.1\r\n\r\n" + inner,
			"a host that is not one":               "GET /v1/books HTTP/1.1\r\nHost: door/v1\r\n\r\n" + inner,
			"no version":                           "GET /v1/books\r\nHost: door\r\n\r\n" + inner,
			"another version":                      "GET /v1/books HTTP/1.2 HTTP/1.1\r\nHost: door\r\n\r\n" + inner,
			"a version of the next protocol":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
			"a body that is refused, of some size": post + "Content-Length: 99999999\r\n\r\n" + inner,
		} {
			before := r.books.callCount()
			replies := r.raw(text)
			if slices.Contains(r.books.methods()[before:], "DeleteBook") {
				t.Errorf("%s: what was smuggled in was done", name)
			}
			if len(replies) != 1 {
				t.Errorf("%s: %d answers, want one, and the end of the connection", name, len(replies))
			}
		}
		othersAreServed(t, r)
	})
}

// What is sent with chunks is the last on its connection, see exchange: a
// caller that says so openly comes back on another.
func TestAttackChunksAreTheLastOfAConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		post := "POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"
		chunks := post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
		whole := post + "Content-Length: 2\r\n\r\n{}"
		if a := r.one(t, chunks+whole); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		// A body of known length keeps the connection.
		if replies := r.raw(whole + whole); len(replies) != 2 {
			t.Errorf("%d answers to two requests", len(replies))
		}
	})
}

func TestAttackHTTP2HeadersThatAreNone(t *testing.T) {
	tok := token(t, "ann", "books.write")
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		get := pseudo("GET", "/v1/books")
		if a := r.frames(t, get, ""); a.status != 200 {
			t.Fatalf("as it should be, it is answered %+v: the test shows nothing", a)
		}
		before := r.books.callCount()
		for name, fields := range map[string][]field{
			"two paths":                  append(get[:4:4], field{":path", "/v1/whoami"}),
			"two methods":                append(get[:4:4], field{":method", "DELETE"}),
			"no path":                    get[:3],
			"no method":                  get[1:],
			"an empty path":              pseudo("GET", ""),
			"an unknown one":             append(get[:4:4], field{":evil", "x"}),
			"one of a response":          append(get[:4:4], field{":status", "200"}),
			"one behind the others":      append([]field{{"x-a", "b"}}, get...),
			"capitals":                   append(get[:4:4], field{"X-A", "b"}),
			"a line in a value":          append(get[:4:4], field{"x-a", "b\r\nauthorization: Bearer " + tok}),
			"a line in a name":           append(get[:4:4], field{"x-a: b\r\nx-c", "d"}),
			"a zero byte":                append(get[:4:4], field{"x-a", "b\x00"}),
			"an empty name":              append(get[:4:4], field{"", "b"}),
			"a space in a name":          append(get[:4:4], field{"content-length ", "2"}),
			"of one connection":          append(get[:4:4], field{"connection", "close"}),
			"a coding":                   append(get[:4:4], field{"transfer-encoding", "chunked"}),
			"an upgrade":                 append(get[:4:4], field{"upgrade", "websocket"}),
			"te for more than trailers":  append(get[:4:4], field{"te", "chunked"}),
			"a line in the method":       pseudo("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", "/v1/books"),
			"a line in the path":         pseudo("GET", "/v1/books HTTP/1.1\r\nAuthorization: Bearer "+tok+"\r\n\r\n"),
			"a connect to a path":        pseudo("CONNECT", "/v1/books"),
			"a connect with a protocol":  append(pseudo("CONNECT", "/v1/books"), field{":protocol", "websocket"}),
			"a path without its slash":   pseudo("GET", "v1/books"),
			"a host with a line":         {{":method", "GET"}, {":scheme", "http"}, {":authority", "door\r\nx: y"}, {":path", "/v1/books"}},
			"a host with a user":         {{":method", "GET"}, {":scheme", "http"}, {":authority", "user@door/x"}, {":path", "/v1/nowhere"}},
			"nothing":                    {},
			"a path that names the host": pseudo("GET", "http://door/v1/whoami"),
		} {
			if a := r.frames(t, fields, ""); !a.reset && (a.status < 400 || a.status >= 500) {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		// A body that is longer or shorter than it was said to be.
		for _, length := range []string{"1", "3"} {
			a := r.frames(t, append(pseudo("POST", "/v1/echo"), field{"content-type", "application/json"}, field{"content-length", length}), "{}")
			if !a.reset && (a.status < 400 || a.status >= 500) {
				t.Errorf("a body of 2 that is said to be %s: %d", length, a.status)
			}
		}
		if n := r.books.callCount(); n != before {
			t.Errorf("the backend was called: %v", r.books.methods()[before:])
		}
		othersAreServed(t, r)
	})
}

// What a caller sends comes back in few places, and breaks no line there.
func TestAttackAnswersCannotBeSplit(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		const evil = "x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<script>alert(1)</script>"
		for _, request := range []string{
			"GET /v1/books?" + evil + "=1 HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"GET /v1/echo/kind/" + evil + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"GET /v1/" + evil + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"OPTIONS /v1/shelves/" + evil + "/books HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"GET /v1/books HTTP/1.1\r\nHost: door\r\nX-Request-Id: a\"<b>\r\nConnection: close\r\n\r\n",
			"POST /v1/shelves/1/books/" + evil + "/notes HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
			"GET /v1/books HTTP/1.1\r\nHost: door\r\nAuthorization: " + evil + "\r\nConnection: close\r\n\r\n",
		} {
			a := r.one(t, request)
			if a.header.Get("Set-Cookie") != "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%q: headers %v", brief(request), a.header)
			}
			for name, values := range a.header {
				for _, v := range values {
					if strings.ContainsAny(v, "\r\n<>") {
						t.Errorf("%q: %s: %q", brief(request), name, v)
					}
				}
			}
			if strings.Contains(a.body, "<script>") || !strings.HasPrefix(a.header.Get("Content-Type"), "application/") && a.status != http.StatusNoContent {
				t.Errorf("%q: %s as %q", brief(request), a.body, a.header.Get("Content-Type"))
			}
		}
		othersAreServed(t, r)
	})
}

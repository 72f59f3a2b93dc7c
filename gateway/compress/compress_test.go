package compress_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/evenkeel/evenkeel/gateway/compress"
)

func newCompressor(t testing.TB, config compress.Config) *compress.Compressor {
	t.Helper()
	c, err := compress.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t testing.TB, coding string, body io.Reader) []byte {
	t.Helper()
	var err error
	switch coding {
	case "gzip":
		body, err = gzip.NewReader(body)
	case "zstd":
		body, err = zstd.NewReader(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func answer(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, body)
	})
}

func get(h http.Handler, method, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var long = strings.Repeat(`{"name":"value"}`, 1000)

func TestAnAnswerIsCompressedAsItsCallerLikesBest(t *testing.T) {
	h := newCompressor(t, compress.Config{}).Middleware(answer("application/json; charset=utf-8", long))
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "GZIP": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "gzip, zstd;q=0.5": "gzip",
		"*": "zstd", "*;q=0.1, gzip;q=0": "zstd", "zstd;q=0": "", "br": "", "identity": "", "gzip;q=0.5, identity": "",
		"gzip;q=x": "", "gzip;q=2": "", "gzip; q=0.001": "gzip", ",,": "", "identity;q=0, gzip": "gzip",
	} {
		w := get(h, http.MethodGet, accept)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
			continue
		}
		n := w.Body.Len()
		if plain := decode(t, want, w.Body); string(plain) != long || want != "" && n > len(long)/10 {
			t.Errorf("%q: %d bytes of %d", accept, n, len(plain))
		}
		if w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("ETag") != `"1"` || (w.Header().Get("Content-Length") != "") != (want == "") {
			t.Errorf("%q: %v", accept, w.Header())
		}
	}
}

func TestWhatIsNotWorthItStaysPlain(t *testing.T) {
	c := newCompressor(t, compress.Config{})
	for name, h := range map[string]http.Handler{
		"short":   answer("application/json", long[:1000]),
		"image":   answer("image/png", long),
		"unknown": answer("application/octet-stream", long),
		"broken":  answer("/;;", long),
		"encoded": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			answer("application/json", long).ServeHTTP(w, r)
		}),
		"part": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-15999/99999")
			answer("application/json", long).ServeHTTP(w, r)
		}),
		"secret": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store, No-Transform")
			answer("application/json", long).ServeHTTP(w, r)
		}),
	} {
		w := get(c.Middleware(h), http.MethodGet, "gzip, zstd")
		if enc := w.Header().Get("Content-Encoding"); enc != "" && enc != "br" || w.Body.Len() < 1000 || w.Header().Get("Content-Length") == "" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}

// TestHeadIsToldWhatGetIs asks a server, since it is net/http that would tell a
// length, of what a handler writes or says.
func TestHeadIsToldWhatGetIs(t *testing.T) {
	c := newCompressor(t, compress.Config{})
	for name, h := range map[string]http.Handler{
		"long":  answer("application/json", long),
		"short": answer("application/json", long[:1000]),
		"small": answer("application/json", long[:1500]), // fits into a buffer of net/http
		"image": answer("image/png", long),
		"of a handler that knows HEAD": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, long)
			}
		}),
	} {
		server := httptest.NewServer(c.Middleware(h))
		ask := func(method string) *http.Response {
			r, err := http.NewRequest(method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "gzip")
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return resp
		}
		got, head := ask(http.MethodGet), ask(http.MethodHead)
		for _, field := range []string{"Content-Type", "Content-Encoding", "Vary", "ETag"} {
			if got.Header.Get(field) != head.Header.Get(field) {
				t.Errorf("%s: %s: GET %q, HEAD %q", name, field, got.Header.Get(field), head.Header.Get(field))
			}
		}
		// It may be left out, but must not be another.
		if length := head.Header.Get("Content-Length"); length != "" && length != got.Header.Get("Content-Length") {
			t.Errorf("%s: GET has %d bytes, HEAD says %s", name, got.ContentLength, length)
		}
		server.Close()
	}
}

func TestAnswersWithoutABodyAreLeftAlone(t *testing.T) {
	c := newCompressor(t, compress.Config{})
	for _, status := range []int{200, 204, 304, 404} {
		w := get(c.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })), http.MethodGet, "gzip")
		if w.Code != status || w.Body.Len() != 0 || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%d: %d %v", status, w.Code, w.Header())
		}
		// RFC 9110, section 15.4.5: as 200 would have.
		if vary := w.Header().Get("Vary"); (vary != "") != (status == http.StatusNotModified) {
			t.Errorf("%d: Vary %q", status, vary)
		}
	}
	if w := get(c.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), http.MethodGet, "gzip"); w.Code != 200 {
		t.Errorf("nothing: %d", w.Code)
	}
}

// A caller sees each message when it is flushed, and the headers even before
// the first.
func TestAStreamIsFlushedThrough(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd"} {
		next := make(chan string)
		server := httptest.NewServer(newCompressor(t, compress.Config{}).Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.WriteHeader(http.StatusCreated)
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
			for line := range next {
				_, _ = io.WriteString(w, line)
				if err := control.Flush(); err != nil {
					t.Error(err)
				}
			}
		})))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", coding)
		resp, err := server.Client().Do(r) // returns when the headers are there
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 201 || resp.Header.Get("Content-Encoding") != coding {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		next <- "{\"first\":1}\n"
		var plain io.Reader
		if coding == "gzip" {
			plain, err = gzip.NewReader(resp.Body)
		} else {
			plain, err = zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(plain)
		for i := range 3 {
			if i > 0 {
				next <- fmt.Sprintf("{\"line\":%d}\n", i)
			}
			if line, err := lines.ReadString('\n'); err != nil || len(line) < 9 {
				t.Fatalf("%s: %q %v", coding, line, err)
			}
		}
		close(next)
		if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
			t.Errorf("%s: %q %v", coding, rest, err)
		}
		_ = resp.Body.Close()
		server.Close()
	}
}

func TestWhatAPanicBreaksOffDoesNotLookWhole(t *testing.T) {
	h := newCompressor(t, compress.Config{}).Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, long)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	w := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		h.ServeHTTP(w, r)
	}()
	reader, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(reader); err == nil {
		t.Error("it ends as if it were whole")
	}
}

func TestEncodersAreUsedAgainWithoutTraces(t *testing.T) {
	c := newCompressor(t, compress.Config{MinBytes: 1})
	for i := range 100 {
		body := strings.Repeat(fmt.Sprint(i), 1+i*37)
		for _, coding := range []string{"gzip", "zstd"} {
			w := get(c.Middleware(answer("text/plain", body)), http.MethodGet, coding)
			if got := decode(t, coding, w.Body); string(got) != body {
				t.Fatalf("%s %d: %q", coding, i, got)
			}
		}
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	for want, config := range map[string]compress.Config{
		"MinBytes: -1 is out of range": {MinBytes: -1},
		"Level: 10 is out of range":    {Level: 10},
		"DisableGzip: with":            {DisableGzip: true, DisableZstd: true},
	} {
		if _, err := compress.New(config); err == nil || !strings.HasPrefix(err.Error(), "compress: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for level := 1; level <= 9; level++ {
		for _, coding := range []string{"gzip", "zstd"} {
			w := get(newCompressor(t, compress.Config{Level: level}).Middleware(answer("text/plain", long)), http.MethodGet, coding)
			if got := decode(t, coding, w.Body); string(got) != long {
				t.Errorf("level %d %s", level, coding)
			}
		}
	}
}

// Whatever a caller says that it accepts, it can read the answer by what the
// answer says of itself, and a coding that it excludes is not used.
func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip", "zstd;q=0,*", "identity;q=0", ";;q=,", "gzip;q=0.5;q=1, zstd;x=y"} {
		f.Add(seed)
	}
	c := newCompressor(f, compress.Config{MinBytes: 1})
	h := c.Middleware(answer("text/plain", "a body"))
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept-Encoding"] = []string{accept}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		coding := w.Header().Get("Content-Encoding")
		if got := decode(t, coding, bytes.NewReader(w.Body.Bytes())); string(got) != "a body" {
			t.Errorf("%q: %q", accept, got)
		}
		if coding != "" && !strings.Contains(strings.ToLower(accept), coding) && !strings.Contains(accept, "*") {
			t.Errorf("%q: %s was not asked for", accept, coding)
		}
	})
}

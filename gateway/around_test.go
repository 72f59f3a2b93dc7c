package gateway_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/compress"
	"github.com/evenkeel/evenkeel/gateway/cors"
)

func TestPagesOfOtherOriginsAreLetInAsMeant(t *testing.T) {
	policy, err := cors.New(cors.Config{Origins: []string{"https://app.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, func(c *gateway.Config) { c.CORS = policy })
	// A browser asks first, without credentials.
	ask := func(origin string) *answer {
		return d.do("OPTIONS", "/v1/shelves/1/books/2", "", header("Origin", origin), header("Access-Control-Request-Method", "DELETE"), header("Access-Control-Request-Headers", "authorization"))
	}
	if a := ask("https://app.example.com").want(204); a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || a.header.Get("Access-Control-Allow-Methods") != "DELETE" {
		t.Errorf("%v", a.header)
	}
	if a := ask("https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.header)
	}
	// Errors can be read, too, with what explains them.
	a := d.do("GET", "/v1/whoami", "", header("Origin", "https://app.example.com")).want(401)
	if a.header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Errorf("%v", a.header)
	}
	// OPTIONS that is no such question is answered as ever.
	if a := d.do("OPTIONS", "/v1/books", "").want(204); a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("%v", a.header)
	}
	if a := newDoor(t, nil).do("GET", "/v1/books", "", header("Origin", "https://app.example.com")).want(200); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v without a policy", a.header)
	}
}

func TestAnswersAreCompressedAsAccepted(t *testing.T) {
	compressor, err := compress.New(compress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, func(c *gateway.Config) { c.Compress = compressor })
	text := strings.Repeat("a", 5000)
	a := d.do("POST", "/v1/echo", `{"text":"`+text+`"}`, header("Accept-Encoding", "gzip")).want(200)
	if a.header.Get("Content-Encoding") != "gzip" || len(a.body) > 1000 || !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
		t.Fatalf("%v, %d bytes", a.header, len(a.body))
	}
	gz, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(gz); err != nil || !strings.Contains(string(plain), text) {
		t.Errorf("%v in %q", err, plain)
	}
	if a := d.do("POST", "/v1/echo", `{"text":"`+text+`"}`).want(200); a.header.Get("Content-Encoding") != "" || !strings.Contains(a.body, text) {
		t.Errorf("%v", a.header)
	}
	d.do("DELETE", "/v1/shelves/1/books/2/notes/7", "", header("Accept-Encoding", "gzip")).want(204)
	d.do("GET", "/v1/shelves/1/books/2/notes/7", "", header("Accept-Encoding", "gzip"), header("If-None-Match", "*")).want(304)
}

func TestACompressedStreamArrivesMessageByMessage(t *testing.T) {
	compressor, err := compress.New(compress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(c *gateway.Config) { c.Compress = compressor }, func(t *testing.T, r *running) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://door/v1/events?count=2&pause=10s&alt=sse", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		gz, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		n, err := gz.Read(buf) // while the backend rests
		if err != nil || !strings.Contains(string(buf[:n]), `"text":"0"`) || strings.Contains(string(buf[:n]), `"text":"1"`) {
			t.Errorf("%q, %v", buf[:n], err)
		}
		if rest, err := io.ReadAll(gz); err != nil || !strings.Contains(string(rest), "event: end") {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

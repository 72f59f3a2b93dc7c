package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// nowhere is an http.ResponseWriter that keeps the status only.
type nowhere struct {
	h      http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.h }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
func (n *nowhere) Flush()                      {}

// BenchmarkRequest answers requests through a handler, with the backend behind
// bufconn: this gateway with all it does on, beside stock grpc-gateway with
// nothing. What HTTP itself costs is not in it.
func BenchmarkRequest(b *testing.B) {
	d := newDoor(b, func(c *gateway.Config) { c.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) })
	stock := runtime.NewServeMux()
	if err := testv1.RegisterLibraryServiceHandlerClient(b.Context(), stock, testv1.NewLibraryServiceClient(d.conn)); err != nil {
		b.Fatal(err)
	}
	tok := token(b, "ann", "books.read", "books.write")
	for _, c := range []struct{ name, method, target, body string }{
		{"GET", "GET", "/v1/shelves/1/books/2", ""},
		{"POST", "POST", "/v1/shelves/1/books", `{"title":"A book","pageCount":300,"authors":[{"fullName":"Ann Author"},{"fullName":"Bob Writer"}],"labels":{"a":"b","c":"d"},"kind":"KIND_FICTION"}`},
	} {
		for _, h := range []struct {
			name    string
			handler http.Handler
		}{{"evenkeel", d}, {"stock", stock}} {
			b.Run(c.name+"/"+h.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := http.NewRequestWithContext(b.Context(), c.method, c.target, strings.NewReader(c.body))
					if err != nil {
						b.Fatal(err)
					}
					if c.body == "" {
						r.Body, r.ContentLength = http.NoBody, 0
					} else {
						r.Header.Set("Content-Type", "application/json")
					}
					r.Header.Set("Authorization", "Bearer "+tok)
					w := &nowhere{h: http.Header{}, status: 200}
					h.handler.ServeHTTP(w, r)
					if w.status != 200 {
						b.Fatal(w.status)
					}
				}
			})
		}
	}
}

// BenchmarkRouting finds the route of a path among 10 and 1,000: this gateway's
// tree with the parameters taken, beside the mux of grpc-gateway with a handler
// that does nothing.
func BenchmarkRouting(b *testing.B) {
	for _, n := range []int{10, 1000} {
		tree := &route.Tree[int]{}
		mux := runtime.NewServeMux()
		for i := range n {
			template := fmt.Sprintf("/v1/{name=kind%d/*/items/*}", i)
			if err := tree.Insert("GET", template, i); err != nil {
				b.Fatal(err)
			}
			if err := mux.HandlePath("GET", template, func(http.ResponseWriter, *http.Request, map[string]string) {}); err != nil {
				b.Fatal(err)
			}
		}
		// The mux looks at the newest first; the middle is the mean.
		path := fmt.Sprintf("/v1/kind%d/7/items/8", n/2)
		b.Run(fmt.Sprintf("tree/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := tree.Match("GET", path, false)
				if !m.Found || m.Params()["name"] == "" {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("ServeMux/%d", n), func(b *testing.B) {
			r, err := http.NewRequestWithContext(context.Background(), "GET", path, nil)
			if err != nil {
				b.Fatal(err)
			}
			w := &nowhere{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				mux.ServeHTTP(w, r)
			}
		})
	}
}

package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// stalled are requests whose bodies never come, and how they are answered when
// they have not come for long enough.
var stalled = map[string]struct {
	request string // without its Host
	status  int
}{
	"for one who is not let in":     {"POST /v1/shelves/1/books HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 401},
	"chunked, for the same":         {"POST /v1/shelves/1/books HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 401},
	"where nothing is":              {"POST /v1/nothing HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 404},
	"for a method that is not":      {"PUT /v1/books HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 405},
	"of no type":                    {"POST /v1/echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 415},
	"where none belongs":            {"GET /v1/books HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 400},
	"where none belongs, chunked":   {"GET /v1/books HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 408},
	"for health":                    {"GET /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 200},
	"for OPTIONS":                   {"OPTIONS /v1/books HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 204},
	"for the server as such":        {"OPTIONS * HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 204},
	"that is awaited":               {"POST /v1/echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", 408},
	"that is awaited with 100":      {"POST /v1/shelves/1/books HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 401},
	"that lacks its trailer only":   {"POST /v1/echo HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0", 408},
	"that is larger than it may be": {"POST /v1/echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n", 413},
}

// TestABodyThatNeverComesHoldsNoConnection: net/http reads what the gateway did
// not, and has no limit of its own for that.
func TestABodyThatNeverComesHoldsNoConnection(t *testing.T) {
	for name, c := range stalled {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadBody = 5 * time.Second }, func(t *testing.T, r *running) {
				conn := r.dial()
				defer conn.Close()
				start := time.Now()
				if _, err := io.WriteString(conn, strings.Replace(c.request, "\r\n", "\r\nHost: door\r\n", 1)); err != nil {
					t.Fatal(err)
				}
				reader := bufio.NewReader(conn)
				resp, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != c.status {
					t.Errorf("answered %s, want %d", resp.Status, c.status)
				}
				if _, err := io.Copy(io.Discard, reader); err != nil {
					t.Error(err)
				}
				// Half a second is what net/http lingers.
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("the connection was held for %v", took)
				}
			})
		})
	}
}

// TestACallerThatReadsSlowlyGetsAllOfALargeAnswer takes much longer for it than a
// write may.
func TestACallerThatReadsSlowlyGetsAllOfALargeAnswer(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.Write = 30 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		const size = 900 << 10
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /v1/reflect HTTP/1.1\r\nHost: door\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		}()
		start := time.Now()
		slowly := readerFunc(func(p []byte) (int, error) {
			n, err := conn.Read(p[:min(len(p), 16<<10)])
			time.Sleep(time.Duration(n) * 5 * time.Second / (16 << 10))
			return n, err
		})
		resp, err := http.ReadResponse(bufio.NewReaderSize(slowly, 16<<10), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != size || err != nil {
			t.Errorf("%d bytes of %d, %v", n, size, err)
		}
		if took := time.Since(start); took < 2*time.Minute {
			t.Errorf("it took %v only: the test shows nothing", took)
		}
	})
}

// readerFunc is a reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestARefusedBodyThatComesKeepsTheConnection: the deadline of one request is
// not that of the next.
func TestARefusedBodyThatComesKeepsTheConnection(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadBody = 5 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for _, c := range []struct {
			request string
			status  int
		}{
			{"POST /v1/shelves/1/books HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\n{}", 401},
			{"GET /v1/sleep?duration=10s HTTP/1.1\r\nHost: door\r\n\r\n", 200},
			{"POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 200},
			{"GET /v1/sleep?duration=10s HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
		} {
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatalf("%q: %v", c.request, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Errorf("%q: %s, want %d", c.request, resp.Status, c.status)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

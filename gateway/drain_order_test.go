package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
)

// A drain, seen by those who are connected when it begins. That it loses nothing
// under load, over HTTP/1.1 and HTTP/2, is in drain_test.go; that the admin
// listener outlives it, in package admin.

// two is a caller in HTTP/2 that sends frames by hand and notes what comes.
type two struct {
	t       *testing.T
	framer  *http2.Framer
	status  map[uint32]int
	ended   map[uint32]bool
	goAways []*http2.GoAwayFrame
	closed  bool
}

func (c *two) ask(id uint32, path string) error {
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: encode(c.t, pseudo("GET", path)), EndStream: true, EndHeaders: true})
}

// next reads a frame, and reports whether there was one.
func (c *two) next() bool {
	frame, err := c.framer.ReadFrame()
	if err != nil {
		c.closed = true
		return false
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		c.status[f.StreamID], c.ended[f.StreamID] = statusOf(f), f.StreamEnded()
	case *http2.DataFrame:
		c.ended[f.StreamID] = f.StreamEnded()
	case *http2.RSTStreamFrame:
		c.t.Errorf("stream %d is reset: %v", f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			c.t.Errorf("GOAWAY for %v", f.ErrCode)
		}
		c.goAways = append(c.goAways, f)
	}
	return true
}

func TestADrainSendsGOAWAYAndFinishesTheStreamsOfHTTP2(t *testing.T) {
	for _, delay := range []time.Duration{-1, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, func(c *gateway.Config) {
				c.UnencryptedHTTP2, c.Drain = true, gateway.Drain{Delay: delay, Timeout: time.Minute}
			})
			conn := r.dial()
			defer conn.Close()
			c := &two{t: t, framer: http2.NewFramer(conn, conn), status: map[uint32]int{}, ended: map[uint32]bool{}}
			c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
				t.Fatal(err)
			}
			_ = c.framer.WriteSettings()
			if err := c.ask(1, "/v1/sleep?duration=10s"); err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(time.Second)
				r.stop()
			}()
			// What was sent before it heard of the end is answered, too.
			for len(c.goAways) == 0 && c.next() {
			}
			if err := c.ask(3, "/v1/sleep?duration=1s"); err != nil {
				t.Fatal(err)
			}
			for c.next() {
			}
			if len(c.goAways) == 0 || !c.closed {
				t.Fatalf("delay %v: %d GOAWAY frames, closed %v", delay, len(c.goAways), c.closed)
			}
			last := c.goAways[len(c.goAways)-1].LastStreamID
			for id := uint32(1); id <= min(last, 3); id += 2 {
				if c.status[id] != 200 || !c.ended[id] {
					t.Errorf("delay %v: stream %d is answered %d, ended %v, although GOAWAY promised up to %d", delay, id, c.status[id], c.ended[id], last)
				}
			}
			if last < 1 {
				t.Errorf("delay %v: GOAWAY gives up what was in flight", delay)
			}
			if err := <-r.done; err != nil {
				t.Error(err)
			}
			r.client.CloseIdleConnections()
			time.Sleep(time.Second) // net/http lingers; in fake time
		})
	}
}

// Open streams end when the delay is over, at once if there is none, and say so,
// each in its form.
func TestADrainTellsOpenStreamsInBand(t *testing.T) {
	for accept, end := range map[string]string{
		"application/x-ndjson": `{"error":{`,
		"text/event-stream":    "event: error\ndata: {",
		"application/json":     `{"error":{`,
	} {
		for _, over := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, delay := range []time.Duration{-1, 5 * time.Second} {
				t.Run(fmt.Sprintf("%s, %s, delay %v", over, accept, delay), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { drainWithAStream(t, over, accept, end, delay) })
				})
			}
		}
	}
}

func drainWithAStream(t *testing.T, over, accept, end string, delay time.Duration) {
	r := run(t, func(c *gateway.Config) {
		c.UnencryptedHTTP2, c.Drain = true, gateway.Drain{Delay: delay, Timeout: 10 * time.Second}
	})
	if over == "HTTP/2" {
		protocols := &http.Protocols{}
		protocols.SetUnencryptedHTTP2(true)
		r.client.Transport.(*http.Transport).Protocols = protocols
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://door/v1/books:watch?count=1&linger=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until its first message is there
	start := time.Now()
	r.stop()
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Errorf("it is cut: %v", err)
	}
	if took := time.Since(start); took != max(delay, 0) {
		t.Errorf("it ends after %v, want when the delay is over", took)
	}
	told := string(body)
	if at := strings.Index(told, end); at < 0 || !strings.Contains(told[max(at, 0):], `"UNAVAILABLE"`) || !strings.Contains(told, "open the stream again") || !strings.Contains(told, "Streamed") {
		t.Errorf("%q", told)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the drain took %v", took)
	}
	r.client.CloseIdleConnections()
	time.Sleep(time.Second) // net/http lingers; in fake time
}

// TestAServerOfOnesOwnIsDrainedToo: without Drain its Shutdown would wait for
// streams, and nobody in front of it would know.
func TestAServerOfOnesOwnIsDrainedToo(t *testing.T) {
	needsNetwork(t)
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *gateway.Config) { c.Drain.Delay = 5 * time.Second })
		listener := bufconn.Listen(1 << 13)
		server := &http.Server{Handler: d}
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) }}}
		defer client.CloseIdleConnections()
		status := func(target string) (int, bool) {
			resp, err := client.Get("http://door" + target)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode, resp.Close
		}
		status("/readyz") // asks it to connect
		synctest.Wait()
		if got, _ := status("/readyz"); got != 200 || d.Draining() {
			t.Fatalf("not ready: %d", got)
		}
		stream, err := client.Get("http://door/v1/books:watch?count=1&linger=true")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()

		start := time.Now()
		drained := make(chan struct{})
		go func() { d.Drain(t.Context()); close(drained) }()
		synctest.Wait()
		if got, _ := status("/readyz"); got != 503 || !d.Draining() {
			t.Errorf("ready while draining: %d", got)
		}
		if got, leaves := status("/v1/books"); got != 200 || !leaves {
			t.Errorf("while draining: %d, the caller is asked to leave: %v", got, leaves)
		}
		<-drained
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("it took %v", waited)
		}
		body, err := io.ReadAll(stream.Body)
		if err != nil || !strings.Contains(string(body), `{"error":{`) {
			t.Errorf("the stream ends with %q, %v", body, err)
		}
		if err := server.Shutdown(t.Context()); err != nil || time.Since(start) > 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-done

		// One who cannot wait does not.
		over, cancel := context.WithCancel(t.Context())
		cancel()
		start = time.Now()
		d.Drain(over)
		if time.Since(start) > 0 {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}

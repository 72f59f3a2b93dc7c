package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func TestLiveIsAnsweredAlwaysAndReadyOnlyWhenReady(t *testing.T) {
	needsNetwork(t)
	broken := errors.New("secret reason")
	var check error
	inBubble(t, func(c *gateway.Config) {
		c.Health.Checks = []func(context.Context) error{func(context.Context) error { return check }}
	}, func(t *testing.T, r *running) {
		r.do("GET", "/livez", "").want(200)
		r.do("HEAD", "/livez", "").want(200)
		synctest.Wait() // Serve connects to the upstream
		a := r.do("GET", "/readyz", "").want(200)
		if a.body != `{"status":"ok"}` || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
		}
		check = broken
		a = r.do("GET", "/readyz", "")
		a.wantProblem(503, "UNAVAILABLE")
		wantNoInternals(t, a.body)
		r.do("GET", "/livez", "").want(200)
		check = nil
		r.do("POST", "/readyz", "").wantProblem(405, "UNIMPLEMENTED")
		r.do("GET", "/readyz", "").want(200)
		_ = r.conn.Close()
		r.do("GET", "/readyz", "").wantProblem(503, "UNAVAILABLE")
		r.do("GET", "/livez", "").want(200)
	})
}

func TestNotReadyBeforeTheUpstreamIsConnected(t *testing.T) {
	needsNetwork(t)
	inBubbleWithoutServing(t, nil, func(t *testing.T, d *door) {
		d.do("GET", "/readyz", "").want(503) // and asks it to connect
		synctest.Wait()
		d.do("GET", "/readyz", "").want(200)
	})
	inBubbleWithoutServing(t, func(c *gateway.Config) { c.Health.IgnoreUpstreams = true }, func(t *testing.T, d *door) {
		d.do("GET", "/readyz", "").want(200)
	})
}

// unready is an authenticator without keys.
type unready struct{ custom }

func (unready) Ready(context.Context) error { return errors.New("no keys") }

func TestNotReadyWhileAnAuthenticatorIsNot(t *testing.T) {
	inBubbleWithoutServing(t, func(c *gateway.Config) {
		c.Authenticators = []auth.Authenticator{unready{}}
		c.Health.IgnoreUpstreams = true
	}, func(t *testing.T, d *door) {
		d.do("GET", "/readyz", "").want(503)
	})
}

func inBubbleWithoutServing(t *testing.T, change func(*gateway.Config), test func(*testing.T, *door)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newDoor(t, change)) })
}

func TestDrainWaitsThenFinishesWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(c *gateway.Config) { c.Drain = gateway.Drain{Delay: 5 * time.Second, Timeout: time.Minute} })
		start := time.Now()
		type result struct {
			status int
			err    error
			after  time.Duration
		}
		results := make(chan result, 1)
		go func() {
			resp, err := r.get(t.Context(), "/v1/sleep?duration=10s")
			if err != nil {
				results <- result{err: err}
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			results <- result{resp.StatusCode, err, time.Since(start)}
		}()
		synctest.Wait()
		r.stop()
		synctest.Wait()
		// For the delay it is not ready but serves, and asks callers to go.
		r.do("GET", "/readyz", "").want(503)
		resp, err := r.get(t.Context(), "/v1/books")
		if err != nil || resp.StatusCode != 200 || !resp.Close {
			t.Fatalf("during the delay: %v %v", resp, err)
		}
		resp.Body.Close()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		select {
		case err := <-r.done:
			t.Fatalf("Serve returned %v with a call in flight", err)
		default:
		}
		got := <-results
		if got.err != nil || got.status != 200 || got.after != 10*time.Second {
			t.Errorf("the call in flight: %+v", got)
		}
		if err := <-r.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestNobodyIsLeftConnectedWhenTheListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		listener := bufconn.Listen(1 << 13)
		done := make(chan error, 1)
		go func() { done <- d.Serve(t.Context(), listener) }()
		conn, err := listener.DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		_ = listener.Close()
		if err := <-done; err == nil {
			t.Error("Serve said nothing")
		}
		start := time.Now()
		if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestDrainCutsWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(c *gateway.Config) {
			c.Drain.Timeout = time.Second
			c.Timeouts.Call = time.Minute
		})
		failed := make(chan error, 1)
		go func() {
			_, err := r.get(t.Context(), "/v1/sleep?duration=30s")
			failed <- err
		}()
		synctest.Wait()
		start := time.Now()
		r.stop()
		err := <-r.done
		if err == nil || time.Since(start) != time.Second {
			t.Errorf("Serve: %v after %v, want an error after 1 s", err, time.Since(start))
		}
		if err := <-failed; err == nil {
			t.Error("the call did not fail")
		}
	})
}

// trickle writes text to conn every second, until it cannot. The channel that it
// returns is closed then.
func trickle(conn net.Conn, text string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
			time.Sleep(time.Second) // in fake time
		}
	}()
	return done
}

func TestASlowHeaderIsCutOff(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadHeader = 5 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		start := time.Now()
		trickled := trickle(conn, "G")
		_, _ = io.Copy(io.Discard, conn)
		if waited := time.Since(start); waited > 7*time.Second {
			t.Errorf("it was cut off after %v", waited)
		}
		conn.Close()
		<-trickled
	})
}

func TestASlowBodyIsAnswered408(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadBody = 5 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		start := time.Now()
		if _, err := io.WriteString(conn, "POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		trickled := trickle(conn, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout || time.Since(start) != 5*time.Second || !resp.Close {
			t.Errorf("%s after %v, close %v", resp.Status, time.Since(start), resp.Close)
		}
		conn.Close()
		<-trickled
	})
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.Idle = 7 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, _ = io.Copy(io.Discard, conn)
		if waited := time.Since(start); waited != 7*time.Second {
			t.Errorf("it was closed after %v", waited)
		}
	})
}

func TestAConnectionServesOnLongAfterAWriteDeadline(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.Write = time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for range 3 {
			// With 100 Continue, which net/http writes before the handler does.
			if _, err := io.WriteString(conn, "POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			line, err := reader.ReadString('\n')
			if err != nil || !strings.Contains(line, "100") {
				t.Fatalf("%q %v", line, err)
			}
			_, _ = reader.ReadString('\n')
			if _, err := io.WriteString(conn, "{}"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestLargeHeadersAreRefused(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Limits.HeaderBytes = 2048 }, func(t *testing.T, r *running) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://door/v1/books", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Large", strings.Repeat("a", 10_000))
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Error(resp.Status)
		}
	})
}

// speak sends text on a connection of its own, which stays open.
func (r *running) speak(t *testing.T, text string) net.Conn {
	t.Helper()
	conn := r.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestMoreConnectionsThanAllowedWaitForOneThatIsAnswered(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Limits.Connections = 1 }, func(t *testing.T, r *running) {
		first := r.speak(t, "GET /v1/sleep?duration=10s HTTP/1.1\r\nHost: door\r\n\r\n")
		defer first.Close()
		synctest.Wait()
		start := time.Now()
		second := r.speak(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n")
		defer second.Close()
		resp, err := http.ReadResponse(bufio.NewReader(second), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the second was answered after %v, want when the first was", waited)
		}
		// The first was answered, too, before it was let go.
		if resp, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("the first: %v, %v", resp, err)
		}
	})
}

func TestForOneConnectionMoreTheOneGoesThatRestsForLongest(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Limits.Connections = 3 }, func(t *testing.T, r *running) {
		const ask = "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n"
		silent := r.speak(t, "")
		time.Sleep(time.Second)
		slow := r.speak(t, "GET /v1/bo")
		time.Sleep(time.Second)
		asks := r.speak(t, ask)
		reader := bufio.NewReader(asks)
		defer asks.Close()
		for i, gone := range []net.Conn{silent, slow} {
			start := time.Now()
			more := r.speak(t, ask)
			defer more.Close()
			if _, err := gone.Read(make([]byte, 1)); err == nil {
				t.Errorf("%d: the one that rests for longest is answered", i)
			}
			if waited := time.Since(start); waited != 0 {
				t.Errorf("%d: it went after %v", i, waited)
			}
			// Who asks again rests from then on.
			if _, err := io.WriteString(asks, ask); err != nil {
				t.Fatal(err)
			}
			for range 2 - i {
				resp, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatalf("%d: who asks was closed: %v", i, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	})
}

func TestADrainEndsTheWaitForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(c *gateway.Config) { c.Limits.Connections = 1 })
		first := r.speak(t, "GET /v1/sleep?duration=10s HTTP/1.1\r\nHost: door\r\n\r\n")
		defer first.Close()
		synctest.Wait()
		second := r.speak(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n")
		defer second.Close()
		synctest.Wait()
		start := time.Now()
		r.stop()
		if _, err := second.Read(make([]byte, 1)); err == nil || time.Since(start) != 0 {
			t.Errorf("the one that waits is told %v after %v", err, time.Since(start))
		}
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // net/http lingers; in fake time
	})
}

// serveTLS serves over TLS on in-memory connections, in real time: what it
// shows does not depend on time.
func serveTLS(t *testing.T, change func(*gateway.Config)) (*door, *http.Client) {
	t.Helper()
	// The certificate of httptest, for example.com.
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	config := &tls.Config{Certificates: cert.TLS.Certificates}
	pool := cert.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cert.Close()
	d := newDoor(t, func(c *gateway.Config) {
		c.TLS = config
		if change != nil {
			change(c)
		}
	})
	listener := bufconn.Listen(1 << 20)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, listener) }()
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "example.com"},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d, &http.Client{Transport: transport}
}

func TestTLSBringsHTTP2(t *testing.T) {
	_, client := serveTLS(t, nil)
	for _, target := range []string{"/v1/books", "/v1/books:watch?count=2", "/v1/nothing"} {
		resp, err := client.Get("https://door" + target)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.ProtoMajor != 2 || len(body) == 0 {
			t.Errorf("%s: %s %v %q", target, resp.Proto, err, body)
		}
	}
}

func TestHTTP2WithoutTLSIsOffUnlessAskedFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = on }, func(t *testing.T, r *running) {
			protocols := &http.Protocols{}
			protocols.SetUnencryptedHTTP2(true)
			r.client.Transport.(*http.Transport).Protocols = protocols
			resp, err := r.get(t.Context(), "/v1/books")
			if err == nil {
				resp.Body.Close()
			}
			if got := err == nil && resp.StatusCode == 200 && resp.ProtoMajor == 2; got != on {
				t.Errorf("UnencryptedHTTP2 %v: %v, %v", on, resp, err)
			}
		})
	}
}

func TestServicesCanBeMountedWhileItServes(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Health.LivePath = "/alive" }, func(t *testing.T, r *running) {
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for range 20 {
					if a := r.do("GET", "/v1/books", ""); a.status != 200 {
						t.Errorf("status %d", a.status)
					}
				}
			})
		}
		r.do("GET", "/livez", "").want(404)
		if err := gateway.Mount(r.Gateway, gateway.Service[testv1.HiddenServiceClient]{
			Desc: &testv1.HiddenService_ServiceDesc, Conn: r.conn,
			NewClient: testv1.NewHiddenServiceClient, Register: testv1.RegisterHiddenServiceHandlerClient,
		}); err != nil {
			t.Error(err)
		}
		r.do("GET", "/livez", "").want(501) // the backend does not have it
		callers.Wait()
	})
}

func TestAnHTTP2StreamOutlivesTheWriteTimeout(t *testing.T) {
	d, client := serveTLS(t, func(c *gateway.Config) { c.Timeouts.Write = 50 * time.Millisecond })
	resp, err := client.Get("https://door/v1/sleep?duration=0.3s")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://door/v1/books:watch?count=1&linger=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err = client.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	// HTTP/2 needs real time here: its deadlines are timers of the server's own
	// connection, and TLS over bufconn blocks outside of a bubble.
	select {
	case <-d.books.gone:
		t.Error("the stream was cut")
	case <-time.After(200 * time.Millisecond):
	}
	cancel()
	<-d.books.gone
}

func TestServeTellsWhyItCannot(t *testing.T) {
	d := newDoor(t, nil)
	listener := bufconn.Listen(1)
	_ = listener.Close()
	if err := d.Serve(t.Context(), listener); err == nil {
		t.Error("Serve on a closed listener returns no error")
	}
}

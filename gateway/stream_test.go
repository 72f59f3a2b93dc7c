package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
)

func lines(body string) []string { return strings.Split(strings.TrimSuffix(body, "\n"), "\n") }

func TestServerStreamsAreNDJSON(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("GET", "/v1/books:watch?count=3", "").want(200)
	if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("Content-Type %q", got)
	}
	if got := a.header.Get("Vary"); got != "Accept" {
		t.Errorf("Vary %q", got)
	}
	got := lines(a.body)
	if len(got) != 3 {
		t.Fatalf("%d lines in %q", len(got), a.body)
	}
	for i, line := range got {
		var v struct {
			Result struct{ Book struct{ Name string } }
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Result.Book.Name == "" {
			t.Errorf("line %d: %v in %q", i, err, line)
		}
	}
	d.do("GET", "/v1/books:watch", "", header("Accept", "text/html")).wantProblem(http.StatusNotAcceptable, "INVALID_ARGUMENT")
	if a := d.do("GET", "/v1/books:watch?count=0", "").want(200); a.body != "" {
		t.Errorf("an empty stream is %q", a.body)
	}
}

func TestAStreamThatFailsAtOnceHasAStatus(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1/books:watch?code=5", "").wantProblem(http.StatusNotFound, "NOT_FOUND")
	a := d.do("GET", "/v1/books:watch?code=13", "")
	a.wantProblem(http.StatusInternalServerError, "INTERNAL")
	wantNoInternals(t, a.body)
	d.do("GET", "/v1/books:watch?count=-1", "").wantField("count")
}

func TestAnErrorBehindTheFirstMessageIsToldInBand(t *testing.T) {
	d := newDoor(t, nil)
	for _, target := range []string{"/v1/books:watch?count=2&code=13", "/v1/books:watch?early=true&code=13"} {
		a := d.do("GET", target, "").want(200)
		got := lines(a.body)
		var v struct{ Error problem }
		if err := json.Unmarshal([]byte(got[len(got)-1]), &v); err != nil {
			t.Fatalf("%v in %q", err, a.body)
		}
		if v.Error.Code != "INTERNAL" || v.Error.Status != 500 || v.Error.Instance != a.header.Get("X-Request-Id") {
			t.Errorf("error %+v", v.Error)
		}
		wantNoInternals(t, a.body)
		if !strings.Contains(d.logs.String(), `"code":"INTERNAL"`) {
			t.Error("the log does not tell that the stream failed")
		}
	}
}

func TestClientStreamsAreNDJSON(t *testing.T) {
	d := newDoor(t, nil)
	good := `{"book":{"title":"a"}}` + "\n" + `{"book":{"title":"b"}}`
	for _, contentType := range []string{"application/x-ndjson", "application/json"} {
		v := d.do("POST", "/v1/books:upload", good, header("Content-Type", contentType)).want(200).decode()
		if v["count"] != 2.0 {
			t.Errorf("answer %v", v)
		}
	}
	for body, field := range map[string]string{
		`{"book":{"title":""}}`:                      "book.title",
		`{"nonsense":1}`:                             "nonsense",
		good + `{"book":{"title":""}}`:               "book.title",
		good + `{"book":{"title":"x","nonsense":1}}`: "book.nonsense",
	} {
		a := d.do("POST", "/v1/books:upload", body).wantField(field)
		wantNoInternals(t, a.body)
	}
	a := d.do("POST", "/v1/books:upload", good+"}")
	a.wantProblem(400, "INVALID_ARGUMENT")
	wantNoInternals(t, a.body)
	a = d.do("POST", "/v1/books:upload", `nonsense`)
	a.wantProblem(400, "INVALID_ARGUMENT")
	wantNoInternals(t, a.body)
}

func TestAnInvalidFirstMessageOpensNoStream(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1/books:watch?count=-1", "").wantField("count")
	d.do("POST", "/v1/books:upload", `{"book":{"title":""}}`).wantField("book.title")
	d.do("POST", "/v1/chat", `nonsense`).wantProblem(400, "INVALID_ARGUMENT")
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestBidirectionalStreamsAnswerEachMessage(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("POST", "/v1/chat", `{"text":"a"}{"text":"b"}`).want(200)
	got := lines(a.body)
	if len(got) != 2 || !strings.Contains(got[1], "you said b") {
		t.Errorf("body %q", a.body)
	}
	// Told in band if the backend has answered by then, with a status else.
	a = d.do("POST", "/v1/chat", `{"text":"a"}{"text":""}`)
	if a.status != 200 {
		a.wantField("text")
	} else if !strings.Contains(a.body, `"error"`) || !strings.Contains(a.body, `"INVALID_ARGUMENT"`) {
		t.Errorf("a message that breaks the rules is not told: %q", a.body)
	}
}

func TestAStreamOfAMediaTypeOfItsOwnIsPassedOnOrCut(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		for target, want := range map[string]struct {
			status int
			body   string
			whole  bool
		}{
			"/v1/download/a?parts=2":        {200, "part 0\npart 1\n", true},
			"/v1/download/a?code=5":         {404, "", true},
			"/v1/download/a?parts=1&code=5": {200, "part 0\n", false},
		} {
			resp, err := r.get(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want.status || (err == nil) != want.whole || want.body != "" && string(body) != want.body {
				t.Errorf("%s: %s, %q, %v", target, resp.Status, body, err)
			}
			if want.status == 200 && resp.Header.Get("Content-Type") != "text/csv" {
				t.Errorf("%s: Content-Type %q", target, resp.Header.Get("Content-Type"))
			}
		}
	})
}

func TestARuleThatCannotBeJudgedLetsNothingThrough(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("GET", "/v1/download/a?trap=7", "")
	a.wantProblem(http.StatusInternalServerError, "INTERNAL")
	wantNoInternals(t, a.body)
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
	if !strings.Contains(d.logs.String(), "a validation rule cannot be evaluated") {
		t.Error("the log does not tell")
	}
}

// running is a gateway that serves over in-memory connections.
type running struct {
	*door
	client *http.Client
	dial   func() net.Conn
	// dialFrom connects as a caller at an address of its own.
	dialFrom func(netip.Addr) net.Conn
	stop     context.CancelFunc
	done     chan error
}

// run starts to serve. It works within a synctest bubble.
func run(t *testing.T, change func(*gateway.Config), serve ...func(*libraryService)) *running {
	t.Helper()
	r := &running{door: newDoor(t, change, serve...), done: make(chan error, 1)}
	listener := &addressed{Listener: bufconn.Listen(1 << 13), from: make(chan netip.Addr, 1)}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.done <- r.Serve(ctx, listener) }()
	usual := netip.MustParseAddr("192.0.2.1")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.dial(ctx, usual) }}
	r.client = &http.Client{Transport: transport}
	r.dialFrom = func(from netip.Addr) net.Conn {
		conn, err := listener.dial(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	r.dial = func() net.Conn { return r.dialFrom(usual) }
	t.Cleanup(transport.CloseIdleConnections)
	return r
}

// addressed is a listener in memory whose connections come from addresses.
type addressed struct {
	*bufconn.Listener
	mu   sync.Mutex
	from chan netip.Addr // of the connection that is accepted next
}

func (l *addressed) dial(ctx context.Context, from netip.Addr) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from <- from
	conn, err := l.Listener.DialContext(ctx)
	if err != nil {
		<-l.from
	}
	return conn, err
}

func (l *addressed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressedConn{conn, net.TCPAddrFromAddrPort(netip.AddrPortFrom(<-l.from, 1234))}, nil
}

type addressedConn struct {
	net.Conn
	from net.Addr
}

func (c addressedConn) RemoteAddr() net.Addr { return c.from }

func (r *running) get(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://door"+target, nil)
	if err != nil {
		return nil, err
	}
	return r.client.Do(req)
}

// end drains and returns what Serve said.
func (r *running) end() error {
	r.client.CloseIdleConnections()
	r.stop()
	return <-r.done
}

// inBubble runs a test in fake time. Serving starts within it, so that all of
// its goroutines are in the bubble, and ends before it does.
func inBubble(t *testing.T, change func(*gateway.Config), test func(t *testing.T, r *running), serve ...func(*libraryService)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, change, serve...)
		test(t, r)
		if err := r.end(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(time.Second) // net/http lingers for half of it; in fake time
	})
}

func TestAStreamThatIsAcceptedIsToldBeforeItsFirstMessage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := r.get(ctx, "/v1/books:watch?early=true&linger=true")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s %q", resp.Status, resp.Header.Get("Content-Type"))
		}
		cancel()
		resp.Body.Close()
		<-r.books.gone
	})
}

func TestACallerThatGoesAwayCancelsTheBackend(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := r.get(ctx, "/v1/books:watch?count=1&linger=true")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		cancel()
		resp.Body.Close()
		<-r.books.gone // in fake time: at once, or the bubble deadlocks
	})
}

func TestAStreamOutlivesEveryTimeoutButItsOwn(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.Timeouts = gateway.Timeouts{Write: time.Second, ReadBody: time.Second, ReadHeader: time.Second, Idle: time.Second, CallMax: time.Second, Stream: time.Hour}
	}, func(t *testing.T, r *running) {
		start := time.Now()
		resp, err := r.get(t.Context(), "/v1/books:watch?count=1&linger=true")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if lasted := time.Since(start); lasted != time.Hour {
			t.Errorf("it lasted %v, want the hour of Timeouts.Stream", lasted)
		}
		if got := lines(string(body)); len(got) != 2 || !strings.Contains(got[1], "DEADLINE_EXCEEDED") {
			t.Errorf("body %q", body)
		}
	})
}

func TestACallerThatDoesNotReadIsLetGo(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.Write = 5 * time.Second }, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /v1/books:watch?count=100000&linger=true HTTP/1.1\r\nHost: door\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-r.books.gone // its stream is cancelled although the connection is open
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("it was let go after %v, want the 5 s of Timeouts.Write", waited)
		}
	})
}

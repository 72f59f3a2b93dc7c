package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// twoDoors are an old door and a new one, with something in front that sends
// connections to the one that is ready, as a load balancer does.
type twoDoors struct {
	t       *testing.T
	old     *door
	stopOld context.CancelFunc
	oldDone chan error

	mu      sync.Mutex
	current string // where new connections go
}

func (d *twoDoors) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	address := d.current
	d.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (d *twoDoors) serve(change func(*gateway.Config)) (*door, string, context.CancelFunc, chan error) {
	d.t.Helper()
	door := newDoor(d.t, change)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	go func() { done <- door.Serve(ctx, listener) }()
	return door, listener.Addr().String(), stop, done
}

// follow sends new connections elsewhere once the old door says that it is not
// ready.
func (d *twoDoors) follow(ctx context.Context, to string) {
	for ctx.Err() == nil {
		if d.old.do("GET", "/readyz", "").status == http.StatusServiceUnavailable {
			d.mu.Lock()
			d.current = to
			d.mu.Unlock()
			return
		}
		time.Sleep(5 * time.Millisecond) // in real time, see below
	}
}

// caller sends one request and reads its answer.
type caller interface {
	call(n int) error
	close()
}

// strict is an HTTP/1.1 client that never sends a request twice, and never one
// on a connection that it was asked to leave. Its requests are POSTs.
type strict struct {
	doors  *twoDoors
	conn   net.Conn
	reader *bufio.Reader
}

func (c *strict) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *strict) call(n int) error {
	if c.conn == nil {
		conn, err := c.doors.dial(context.Background())
		if err != nil {
			return err
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	body := fmt.Sprintf(`{"text":"%d"}`, n)
	request := fmt.Sprintf("POST /v1/echo HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.close()
	}
	return judge(resp.StatusCode, answer, n, err)
}

func judge(status int, answer []byte, n int, err error) error {
	if err == nil && (status != 200 || !bytes.Contains(answer, fmt.Appendf(nil, `"%d"`, n))) {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	return err
}

// http2 is Go's client over HTTP/2. Its bodies cannot be sent twice.
type http2Caller struct{ client *http.Client }

func newHTTP2Caller(d *twoDoors) *http2Caller {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	return &http2Caller{&http.Client{Transport: &http.Transport{
		Protocols:   protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) },
	}}}
}

func (c *http2Caller) close() { c.client.CloseIdleConnections() }

func (c *http2Caller) call(n int) error {
	// What is not a strings.Reader has no GetBody.
	body := io.MultiReader(strings.NewReader(fmt.Sprintf(`{"text":"%d"}`, n)))
	resp, err := c.client.Post("http://door/v1/echo", "application/json", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return judge(resp.StatusCode, answer, n, err)
}

// TestADrainUnderLoadLosesNoRequest is in real time, over real connections: what
// it looks for are races between a caller that sends and a door that closes.
func TestADrainUnderLoadLosesNoRequest(t *testing.T) {
	const delay = 300 * time.Millisecond
	d := &twoDoors{t: t}
	change := func(c *gateway.Config) {
		c.UnencryptedHTTP2 = true
		c.Health.IgnoreUpstreams = true
		c.Drain = gateway.Drain{Delay: delay, Timeout: 10 * time.Second}
	}
	d.old, d.current, d.stopOld, d.oldDone = d.serve(change)
	newDoor, newAddress, stopNew, newDone := d.serve(change)

	callers := []caller{}
	for range 12 {
		callers = append(callers, &strict{doors: d})
	}
	for range 4 {
		callers = append(callers, newHTTP2Caller(d))
	}
	var calls, failures atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, c := range callers {
		running.Go(func() {
			defer c.close()
			for n := 0; ctx.Err() == nil; n++ {
				calls.Add(1)
				if err := c.call(n); err != nil && failures.Add(1) < 10 {
					t.Errorf("%T: %v", c, err)
				}
			}
		})
	}
	for d.old.books.callCount() < 500 {
		time.Sleep(time.Millisecond)
	}
	d.stopOld()
	d.follow(t.Context(), newAddress)
	if err := <-d.oldDone; err != nil {
		t.Errorf("the drain: %v", err)
	}
	served := newDoor.books.callCount()
	for newDoor.books.callCount() < served+500 {
		time.Sleep(time.Millisecond)
	}
	stop()
	running.Wait()
	t.Logf("%d calls, %d failed; the old door took %d, the new one %d", calls.Load(), failures.Load(), d.old.books.callCount(), newDoor.books.callCount())
	if failures.Load() > 0 {
		t.Errorf("%d of %d calls failed", failures.Load(), calls.Load())
	}
	if got := d.old.books.callCount() + newDoor.books.callCount(); int64(got) != calls.Load() {
		t.Errorf("%d calls were sent, %d came", calls.Load(), got)
	}
	stopNew()
	if err := <-newDone; err != nil {
		t.Error(err)
	}
}

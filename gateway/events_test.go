package gateway_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

func TestAStreamIsEventsForThoseWhoAcceptThem(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("GET", "/v1/events?count=2", "", header("Accept", "text/event-stream"), header("Last-Event-ID", "c9")).want(200)
	const want = "id: c9c0\nevent: tick\ndata: {\"cursor\":\"c9c0\",\"kind\":\"tick\",\"text\":\"0\"}\n\n" +
		"id: c9c1\nevent: tick\ndata: {\"cursor\":\"c9c1\",\"kind\":\"tick\",\"text\":\"1\"}\n\n" +
		"event: end\ndata: {}\n\n"
	if a.body != want || a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
	}
	a = d.do("GET", "/v1/events?count=1&code=13", "", header("Accept", "text/event-stream")).want(200)
	_, last, _ := strings.Cut(a.body, "\n\n")
	var p problem
	data, isError := strings.CutPrefix(last, "event: error\ndata: ")
	if err := json.Unmarshal([]byte(data), &p); err != nil || !isError || p.Code != "INTERNAL" || p.Instance != a.header.Get("X-Request-Id") {
		t.Errorf("%v in %q", err, a.body)
	}
	wantNoInternals(t, a.body)
	d.do("GET", "/v1/events?code=5", "", header("Accept", "text/event-stream")).wantProblem(404, "NOT_FOUND")
	for _, id := range []string{"ä", "a\x01b", strings.Repeat("x", 2000)} {
		d.do("GET", "/v1/events?count=1", "", header("Last-Event-ID", id)).wantProblem(400, "INVALID_ARGUMENT")
	}
}

func TestAStreamIsAnArrayForThoseWhoAcceptJSON(t *testing.T) {
	d := newDoor(t, nil)
	for target, want := range map[string]int{"/v1/events?count=0": 0, "/v1/events?count=1": 1, "/v1/events?count=3": 3, "/v1/events?count=2&code=13": 3} {
		a := d.do("GET", target, "", header("Accept", "application/json")).want(200)
		var all []struct {
			Cursor string
			Error  *problem
		}
		if err := json.Unmarshal([]byte(a.body), &all); err != nil || len(all) != want || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %v in %q as %q", target, err, a.body, a.header.Get("Content-Type"))
		}
		for i, e := range all {
			if failed := strings.Contains(target, "code") && i == len(all)-1; failed != (e.Error != nil) || failed && e.Error.Code != "INTERNAL" || !failed && e.Cursor == "" {
				t.Errorf("%s: element %d is %+v", target, i, e)
			}
		}
	}
}

func TestOneFieldOfAStreamsMessages(t *testing.T) {
	d := newDoor(t, nil)
	if a := d.do("GET", "/v1/events:texts?count=2", "").want(200); a.body != "{\"result\":\"0\"}\n{\"result\":\"1\"}\n" {
		t.Errorf("%q", a.body)
	}
	if a := d.do("GET", "/v1/events:texts?count=2&alt=json", "").want(200); a.body != "[\"0\",\n\"1\"]\n" {
		t.Errorf("%q", a.body)
	}
}

func TestASilentStreamOfEventsHasAHeartbeat(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Streams.Heartbeat = 10 * time.Second }, func(t *testing.T, r *running) {
		resp, err := r.get(t.Context(), "/v1/events?count=2&pause=25s&alt=sse")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		events := strings.Split(strings.TrimSpace(string(body)), "\n\n")
		if len(events) != 5 || !strings.HasPrefix(events[1], ":") || !strings.HasPrefix(events[2], ":") || !strings.HasSuffix(events[4], "data: {}") {
			t.Errorf("events %q; want one, two heartbeats, one, and the end", events)
		}
		resp, err = r.get(t.Context(), "/v1/events?count=2&pause=25s")
		if err != nil {
			t.Fatal(err)
		}
		body, _ = io.ReadAll(resp.Body)
		resp.Body.Close()
		if len(lines(string(body))) != 2 {
			t.Errorf("NDJSON has %q", body)
		}
	})
}

func TestAFastBackendWaitsForASlowReader(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		conn := r.dial()
		if _, err := io.WriteString(conn, "GET /v1/books:watch?count=1000000 HTTP/1.1\r\nHost: door\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // in fake time; below Timeouts.Write
		sent := r.books.sent.Load()
		if sent == 0 || sent > 50_000 { // the window of DialOptions holds some 28,000
			t.Errorf("the backend has sent %d messages to one who reads none", sent)
		}
		_ = resp.Body
		conn.Close()
	})
}

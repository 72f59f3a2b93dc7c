package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway"
)

// Attacks by what is sent, how much of it, and how slowly.

const post = "POST /v1/echo HTTP/1.1\r\nHost: door\r\nConnection: close\r\nContent-Type: application/json\r\n"

// with length returns a POST of a body.
func posted(target, body string, headers ...string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n" + strings.Join(append(headers, fmt.Sprintf("Content-Length: %d", len(body))), "\r\n") + "\r\n\r\n" + body
}

const asJSON = "Content-Type: application/json"

func TestAttackHugeBodies(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		before := heap()
		// Answered before any of it is there.
		for _, request := range []string{
			post + "Content-Length: 8388608\r\n\r\n",
			post + "Content-Length: 9223372036854775807\r\n\r\n",
			"GET /v1/books HTTP/1.1\r\nHost: door\r\nContent-Length: 8388608\r\n\r\n",
			"GET /livez HTTP/1.1\r\nHost: door\r\nContent-Length: 8388608\r\n\r\n",
		} {
			start := time.Now()
			conn := r.speak(t, request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := http.StatusRequestEntityTooLarge; resp.StatusCode != want && !strings.Contains(request, "livez") || time.Since(start) != 0 {
				t.Errorf("%q: %s after %v", request, resp.Status, time.Since(start))
			}
			resp.Body.Close()
			conn.Close()
		}
		// Those that never end are read up to the limit.
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat(" ", 64<<10))
		var flood sync.WaitGroup
		for range 50 {
			flood.Go(func() {
				conn := r.dial()
				defer conn.Close()
				if sent := pour(conn, post+"Transfer-Encoding: chunked\r\n\r\n", chunk); sent > 4<<20 {
					t.Errorf("%d bytes of a body were taken", sent)
				}
			})
		}
		othersAreServed(t, r)
		flood.Wait()
		if n := len(r.books.methods()); n != 1 {
			t.Errorf("the backend was called: %v", r.books.methods())
		}
		memoryIsBounded(t, before)
	})
}

// pour sends first, and then more for as long as it is taken, and returns how
// much was. A door that answers and goes on to read would take all of it.
func pour(conn net.Conn, first, more string) int {
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if _, err := io.WriteString(conn, first); err != nil {
		return 0
	}
	sent := 0
	for sent < 64<<20 {
		n, err := io.WriteString(conn, more)
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

func TestAttackBombs(t *testing.T) {
	bomb := zipped(t, `{"text":"`+strings.Repeat("a", 32<<20)+`"}`)
	deep := zipped(t, strings.Repeat("[", 900_000))
	twice := zipped(t, bomb)
	upload := zipped(t, `{"book":{"title":"`+strings.Repeat("a", 32<<20)+`"}}`)
	inBubble(t, nil, func(t *testing.T, r *running) {
		before := heap()
		var flood sync.WaitGroup
		for range 5 {
			for name, c := range map[string]struct {
				request string
				status  int
			}{
				"a bomb":                  {posted("/v1/echo", bomb, asJSON, "Content-Encoding: gzip"), 413},
				"one for a stream":        {posted("/v1/books:upload", upload, "Content-Type: application/x-ndjson", "Content-Encoding: gzip"), 413},
				"a deep one":              {posted("/v1/echo", deep, asJSON, "Content-Encoding: gzip"), 400},
				"a bomb in a bomb":        {posted("/v1/echo", twice, asJSON, "Content-Encoding: gzip"), 400},
				"a bomb, coded twice":     {posted("/v1/echo", twice, asJSON, "Content-Encoding: gzip, gzip"), 415},
				"another coding":          {posted("/v1/echo", bomb, asJSON, "Content-Encoding: zstd"), 415},
				"codings on two lines":    {posted("/v1/echo", twice, asJSON, "Content-Encoding: gzip", "Content-Encoding: gzip"), 415},
				"a coding of no coding":   {posted("/v1/echo", bomb, asJSON, "Content-Encoding: identity"), 400},
				"a coding on the way":     {posted("/v1/echo", bomb, asJSON, "Transfer-Encoding: gzip, chunked"), 501},
				"what only claims to be":  {posted("/v1/echo", "{}", asJSON, "Content-Encoding: gzip"), 400},
				"one that is cut off":     {posted("/v1/echo", bomb[:len(bomb)/2], asJSON, "Content-Encoding: gzip"), 413},
				"a small one, as it is":   {posted("/v1/echo", zipped(t, "{}"), asJSON, "Content-Encoding: gzip"), 200},
				"a sum that is not right": {posted("/v1/echo", zipped(t, "{}")[:18]+"\x00\x00\x00\x00\x00\x00\x00\x00", asJSON, "Content-Encoding: gzip"), 400},
			} {
				flood.Go(func() {
					if replies := r.raw(c.request); len(replies) != 1 || replies[0].status != c.status {
						t.Errorf("%s: %d answers, %+v; want %d", name, len(replies), replies, c.status)
					}
				})
			}
		}
		othersAreServed(t, r)
		flood.Wait()
		memoryIsBounded(t, before)
		othersAreServed(t, r)
	})
}

// What two readers could read as two things is refused.
func TestAttackBodiesThatMeanTwoThings(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		for _, body := range []string{
			`{"text":"a"} x`, `{"text":"a"}{"text":"b"}`, `{"text":"a"}}`, `{"text":"a"},`, `{"text":"a"}` + "\x00", `[]`, `"a"`, `null`, `5`, `{`,
			`{"text":"a","text":"b"}`, `{"text":"a","te\u0078t":"b"}`, `{"int32Value":1,"int32_value":2}`, `{"nested":{"number":1,"number":2}}`,
			`{"counts":{"a":1,"a":2}}`, `{"counts":{"a":1,"\u0061":2}}`, `{"anything":{"a":1,"a":2}}`,
			"{\"text\":\"a\xff\"}", "\ufeff{}", `{'text':'a'}`, `{text:"a"}`, `{"text":"a",}`, `{"text":"a" /* c */}`, "{\"text\":\"a\nb\"}",
			`{"text":"\ud800"}`, `{"int32Value":1e99}`, `{"int32Value":01}`, `{"int32Value":0x1}`, `{"int32Value":1_0}`, `{"doubleValue":NaN}`, `{"doubleValue":1e999}`,
			`{"__proto__":{"a":1}}`, `{"@type":"x"}`, `{"Text":"a"}`, `{"text ":"a"}`,
			strings.Repeat("[", 500_000), strings.Repeat(`{"nested":`, 20_000), `{"nested":{` + strings.Repeat(`"deeper":{`, 20_000) + strings.Repeat("}", 20_002),
			`{"anything":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", `{"text":"` + strings.Repeat(`\u0000`, 10),
		} {
			a := r.one(t, posted("/v1/echo", body, asJSON))
			var p problem
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 400 || p.Status != 400 {
				t.Errorf("%q: %d %s", brief(body), a.status, brief(a.body))
			}
			wantNoInternals(t, a.body)
		}
		// Of no type that a form of another site could send.
		for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", "application/json, text/plain", "application/json; charset=utf-7", ""} {
			if a := r.one(t, posted("/v1/echo", `{"text":"a"}`, "Content-Type: "+contentType)); a.status != 415 {
				t.Errorf("%q: %d", contentType, a.status)
			}
		}
		if n := r.books.callCount(); n != 0 {
			t.Errorf("the backend was called: %v", r.books.lastRequest())
		}
		othersAreServed(t, r)
	})
}

func TestAttackHugeHeaders(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		before := heap()
		const get = "GET /v1/books HTTP/1.1\r\nHost: door\r\n"
		for name, c := range map[string]struct {
			request string
			status  int
		}{
			"one that is long":      {get + "X-Long: " + strings.Repeat("a", 30<<10) + "\r\n\r\n", 431},
			"many that are short":   {get + strings.Repeat("X-A: b\r\n", 5_000) + "\r\n", 431},
			"many names":            {get + names(3_000) + "\r\n", 431},
			"a line without an end": {"GET /" + strings.Repeat("a", 40<<10), 431},
			"a long path":           {"GET /v1/echo/text/" + strings.Repeat("a", 9_000) + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n", 414},
			"a long query":          {"GET /v1/books?page_token=" + strings.Repeat("a", 9_000) + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n", 414},
			"many parameters":       {"GET /v1/echo?" + strings.Repeat("names=a&", 500) + " HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n", 400},
			"a deep parameter":      {"GET /v1/echo?nested" + strings.Repeat(".deeper", 500) + ".number=1 HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n", 400},
			"a long token":          {get + "Connection: close\r\nAuthorization: Bearer " + strings.Repeat("a", 12<<10) + "\r\n\r\n", 401},
		} {
			if a := r.one(t, c.request); a.status != c.status {
				t.Errorf("%s: %d, want %d", name, a.status, c.status)
			}
		}
		// In HTTP/2 a header that was sent once is sent again in one byte.
		small := append(pseudo("GET", "/v1/books"), field{"x-long", strings.Repeat("a", 3_000)})
		for range 4_000 {
			small = append(small, field{"x-long", strings.Repeat("a", 3_000)})
		}
		if a := r.frames(t, small, ""); !a.reset && a.status != 431 {
			t.Errorf("12 MB of headers in some 7 kB: %d", a.status)
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	})
}

// names returns headers that all have another name.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: a\r\n", i)
	}
	return b.String()
}

func TestAttackSlowBodiesOfMany(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadBody = 5 * time.Second }, func(t *testing.T, r *running) {
		before, start := heap(), time.Now()
		var slow sync.WaitGroup
		for i := range 100 {
			framing := "Content-Length: 1000\r\n\r\n"
			if i%2 == 0 {
				framing = "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"
			}
			conn := r.speak(t, post+framing)
			defer conn.Close()
			trickled := trickle(conn, " ")
			slow.Go(func() {
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != http.StatusRequestTimeout || time.Since(start) != 5*time.Second {
					t.Errorf("a slow body: %v, %v after %v", resp, err, time.Since(start))
				}
				conn.Close()
				<-trickled
			})
		}
		othersAreServed(t, r)
		slow.Wait()
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	})
}

// Those who ask and do not read hold what fits into their connection and into
// the window of their call upstream, see DialOptions, and that for a time. What
// all of them ask for here are some 55 MB.
func TestAttackSlowReadersOfMany(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.Write = 5 * time.Second }, func(t *testing.T, r *running) {
		before := heap()
		for range 10 {
			conn := r.speak(t, "GET /v1/books:watch?count=100000 HTTP/1.1\r\nHost: door\r\n\r\n")
			defer conn.Close()
		}
		time.Sleep(time.Second)
		othersAreServed(t, r)
		memoryGrewByLessThan(t, 40<<20, before)
		sent := r.books.sent.Load()
		time.Sleep(time.Minute)
		if more := r.books.sent.Load(); more > sent || sent > 10*50_000 {
			t.Errorf("%d messages were taken for callers that do not read, and %d later", sent, more-sent)
		}
		othersAreServed(t, r)
	})
}

// takeNothing asks for a target over as many streams of a connection, whose windows
// are nothing.
func (r *running) takeNothing(t *testing.T, target string, streams uint32) io.Closer {
	t.Helper()
	conn := r.dial()
	framer := http2.NewFramer(conn, conn)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range streams {
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: encode(t, pseudo("GET", target)), EndStream: true, EndHeaders: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// Each of them is bounded, but there are as many as connections and streams: what
// all of these ask for are some 150 MB, and without a bound half of it is held for
// longer than a second.
func TestAttackMoreSlowReadersThanMemory(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.UnencryptedHTTP2, c.Limits.HeldBytes, c.Timeouts.Write = true, 4<<20, time.Hour
	}, func(t *testing.T, r *running) {
		// One who reads, and goes on to.
		reading, err := r.get(t.Context(), "/v1/books:watch?count=20&linger=true")
		if err != nil {
			t.Fatal(err)
		}
		defer reading.Body.Close()
		before := heap()
		for range 8 {
			defer r.takeNothing(t, "/v1/books:watch?count=20000", 10).Close()
		}
		time.Sleep(2 * time.Second)
		memoryGrewByLessThan(t, 32<<20, before)
		othersAreServed(t, r)
		if got := strings.Count(r.logs.String(), "more is held for callers than Limits.HeldBytes"); got < 74 || got > 79 {
			t.Errorf("%d of 80 were let go, want all but 4", got)
		}
		line, err := bufio.NewReader(reading.Body).ReadString('\n')
		if err != nil || !strings.Contains(line, "Streamed") {
			t.Errorf("one who reads gets %q, %v", line, err)
		}
	})
}

// TestManyStreamsThatAreReadAreLeft writes more streams at once than HeldBytes is
// in MiB; all that keeps each of them waiting is the connection that they share.
func TestManyStreamsThatAreReadAreLeft(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.UnencryptedHTTP2, c.Limits.HeldBytes = true, 4<<20
	}, func(t *testing.T, r *running) {
		protocols := &http.Protocols{}
		protocols.SetUnencryptedHTTP2(true)
		r.client.Transport.(*http.Transport).Protocols = protocols
		var all sync.WaitGroup
		for range 80 {
			all.Go(func() {
				resp, err := r.get(t.Context(), "/v1/books:watch?count=200")
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || bytes.Count(body, []byte("Streamed")) != 200 {
					t.Errorf("%d messages, %v", bytes.Count(body, []byte("Streamed")), err)
				}
			})
		}
		all.Wait()
	})
}

// The other way round: bodies whose last byte does not come, of which
// some KiB are sent and 1 MiB is held, as one message or as one of a stream. They
// make 200 MiB.
func TestAttackMoreSlowBodiesThanMemory(t *testing.T) {
	for name, c := range map[string]struct{ request, body string }{
		"of one message":  {"POST /v1/echo HTTP/1.1\r\nContent-Type: application/json", `{"text":"`},
		"of many of them": {"POST /v1/books:upload HTTP/1.1\r\nContent-Type: application/x-ndjson", `{"book":{"title":"`},
	} {
		var small bytes.Buffer
		gz := gzip.NewWriter(&small)
		if _, err := io.WriteString(gz, c.body+strings.Repeat("a", 1<<20-50)); err != nil {
			t.Fatal(err)
		}
		if err := gz.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(c *gateway.Config) {
				c.Limits.HeldBytes, c.Timeouts.ReadBody = 8<<20, time.Minute
			}, func(t *testing.T, r *running) {
				before := heap()
				var answered [200]int
				var all sync.WaitGroup
				for i := range answered {
					conn := r.speak(t, c.request+"\r\nHost: door\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n")
					defer conn.Close()
					if _, err := conn.Write(small.Bytes()); err != nil {
						t.Fatal(err)
					}
					all.Go(func() {
						if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
							answered[i] = resp.StatusCode
							conn.Close()
						}
					})
				}
				time.Sleep(2 * time.Second)
				memoryGrewByLessThan(t, 40<<20, before)
				othersAreServed(t, r)
				for _, told := range []string{`"status":503`, `"reason":"let go: more is held for callers than Limits.HeldBytes"`} {
					if got := strings.Count(r.logs.String(), told); got < 190 || got > 199 {
						t.Errorf("%d of 200 are logged with %s", got, told)
					}
				}
				all.Wait()
				count := map[int]int{}
				for _, status := range answered {
					count[status]++
				}
				if count[503] < 190 || count[503]+count[408] != 200 {
					t.Errorf("answered %v", count)
				}
			})
		})
	}
}

// slowly is a connection to backends that take their time.
type slowly struct{ grpc.ClientConnInterface }

func (s slowly) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if strings.HasSuffix(method, "/Echo") {
		time.Sleep(10 * time.Second)
	}
	return s.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// Bodies that come at once, for a method that takes long: 1 kB each on the way,
// and 1 MiB until the backend has answered. They make 200 MiB and more.
func TestAttackMoreBodiesThanMemory(t *testing.T) {
	body := zipped(t, `{"text":"`+strings.Repeat("a", 1<<20-50)+`"}`)
	inBubble(t, func(c *gateway.Config) { c.Limits.HeldBytes = 8 << 20 }, func(t *testing.T, r *running) {
		before := heap()
		var count [600]atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				for _, a := range r.raw(post + "Content-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body) {
					count[a.status].Add(1)
					if a.status == 503 && a.header.Get("Retry-After") == "" {
						t.Error("it is not told when to try again")
					}
				}
			})
		}
		time.Sleep(2 * time.Second)
		memoryGrewByLessThan(t, 80<<20, before)
		othersAreServed(t, r)
		if a := r.one(t, "GET /v1/vital HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"); a.status != 200 {
			t.Errorf("what has no body is answered %d", a.status)
		}
		all.Wait()
		if served, refused := count[200].Load(), count[503].Load(); served < 8 || served > 16 || served+refused != 200 {
			t.Errorf("%d were served and %d refused, want 8 to 16 and all others", served, refused)
		}
		// When these have ended, there is room.
		if a := r.one(t, post+"Content-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); a.status != 200 {
			t.Errorf("a body after them is answered %d", a.status)
		}
	}, func(s *libraryService) { s.Conn = slowly{s.Conn} })
}

// In HTTP/2 a caller says how much it takes, and may say: nothing.
func TestAttackAWindowOfNothing(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2, c.Timeouts.Write = true, 5*time.Second }, func(t *testing.T, r *running) {
		before := heap()
		defer r.takeNothing(t, "/v1/books:watch?count=100000", 10).Close()
		defer r.takeNothing(t, "/v1/books:watch?count=100000&linger=true", 1).Close()
		start := time.Now()
		<-r.books.gone
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("a caller that takes nothing was let go after %v", took)
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	})
}

// Nobody holds a call longer than the door allows.
func TestAttackTimeoutsThatCallersChoose(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.CallMax = 20 * time.Second }, func(t *testing.T, r *running) {
		for timeout, want := range map[string]struct {
			status int
			took   time.Duration
		}{
			"99999999H": {504, 20 * time.Second}, "20S": {504, 19_980 * time.Millisecond}, "1S": {504, 980 * time.Millisecond}, "0S": {504, 0}, "1n": {504, time.Nanosecond},
			"": {400, 0}, "-1S": {400, 0}, "999999999S": {400, 0}, "1": {400, 0}, "1s": {400, 0}, "1.5S": {400, 0}, "0x1S": {400, 0}, "S": {400, 0}, " 1S, 2S": {400, 0}, "\u0661S": {400, 0},
		} {
			start := time.Now()
			conn := r.speak(t, "GET /v1/sleep?duration=3600s HTTP/1.1\r\nHost: door\r\nGrpc-Timeout: "+timeout+"\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); resp.StatusCode != want.status || took != want.took {
				t.Errorf("%q: %s after %v, want %d after %v", timeout, resp.Status, took, want.status, want.took)
			}
			resp.Body.Close()
			conn.Close()
		}
		twice := "GET /v1/sleep HTTP/1.1\r\nHost: door\r\nConnection: close\r\nGrpc-Timeout: 1S\r\nGrpc-Timeout: 2S\r\n\r\n"
		if a := r.one(t, twice); a.status != 400 {
			t.Errorf("two timeouts: %d", a.status)
		}
		othersAreServed(t, r)
	})
}

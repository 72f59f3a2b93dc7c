package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// Attacks by sheer number.

// Those who only open connections, or trickle into them, keep nobody out: for
// who comes, one of theirs goes.
func TestAttackAFloodOfConnections(t *testing.T) {
	for name, opening := range map[string]string{
		"silent":           "",
		"that never end":   "GET /v1/books HTTP/1.1\r\nX-A: b\r\n",
		"that asked once":  "GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n",
		"that upgrade":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"with half a line": "GET",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(c *gateway.Config) { c.Limits.Connections, c.UnencryptedHTTP2 = 50, true }, func(t *testing.T, r *running) {
				before, start := heap(), time.Now()
				var all []net.Conn
				for range 500 {
					conn := r.dial()
					all = append(all, conn)
					if _, err := conn.Write([]byte(opening)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				othersAreServed(t, r)
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("another caller waited %v", waited)
				}
				memoryIsBounded(t, before)
				for _, conn := range all {
					_ = conn.Close()
				}
			})
		})
	}
}

// One caller who calls as often as it can, from one address or from many, is
// told to wait, and makes the door remember no more than it may.
func TestAttackAFloodFromOneAddressAndFromMany(t *testing.T) {
	var store *ratelimit.Local
	inBubble(t, func(c *gateway.Config) {
		var err error
		if store, err = ratelimit.NewLocal(ratelimit.LocalConfig{Keys: 1024}); err != nil {
			t.Fatal(err)
		}
		c.RateLimit.Store = store
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 10, Period: 24 * time.Hour}}}
	}, func(t *testing.T, r *running) {
		const ask = "GET /v1/books HTTP/1.1\r\nHost: door\r\nX-Forwarded-For: 203.0.113.%d\r\nForwarded: for=203.0.113.%d\r\nX-Real-Ip: 203.0.113.%d\r\n"
		attacker := netip.MustParseAddr("198.51.100.66")
		flood := func(from netip.Addr, n int) (statuses []int) {
			text := ""
			for i := range n {
				text += fmt.Sprintf(ask, i, i, i)
				if i == n-1 {
					text += "Connection: close\r\n"
				}
				text += "\r\n"
			}
			for _, a := range r.rawFrom(from, text) {
				statuses = append(statuses, a.status)
			}
			return statuses
		}
		statuses := flood(attacker, 100)
		if got := slices.Index(statuses, 429); len(statuses) != 100 || got != 10 || slices.Contains(statuses[10:], 200) {
			t.Errorf("after %d of %d calls it is told to wait", got, len(statuses))
		}
		othersAreServed(t, r)
		// Another of the same network in IPv6 is the same.
		for i := range 11 {
			from := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i)})
			if got := flood(from, 1); (got[0] == 429) != (i == 10) {
				t.Errorf("the %d. call of one network is answered %d", i+1, got[0])
			}
		}
		before := heap()
		for i := range 5_000 {
			flood(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
			// One who goes on is not forgotten for all of those.
			if i%100 == 0 {
				if got := flood(attacker, 1); got[0] != 429 {
					t.Fatalf("after %d addresses the attacker is answered %d", i, got[0])
				}
			}
		}
		if store.Forgotten() == 0 {
			t.Error("nothing was forgotten: the test shows nothing")
		}
		memoryGrewByLessThan(t, 8<<20, before)
		othersAreServed(t, r)
	})
}

// More than the backends can do is refused at once, and what is vital served.
func TestAttackMoreThanTheBackendsCanDo(t *testing.T) {
	limiter, err := overload.New(overload.Config{InitialLimit: 8, MinLimit: 8, MaxLimit: 8})
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, nil, func(t *testing.T, r *running) {
		before := heap()
		var flood sync.WaitGroup
		var mu sync.Mutex
		count := map[int]int{}
		for range 300 {
			flood.Go(func() {
				a := r.raw("GET /v1/sleep?duration=10s HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
				mu.Lock()
				defer mu.Unlock()
				if len(a) == 1 {
					count[a[0].status]++
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		for _, path := range []string{"/v1/vital", "/livez"} {
			if a := r.one(t, "GET "+path+" HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"); a.status != 200 {
				t.Errorf("%s is answered %d", path, a.status)
			}
		}
		a := r.one(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
		if a.status != 503 || a.header.Get("Retry-After") == "" || time.Since(start) != 0 {
			t.Errorf("what is not vital is answered %d after %v, Retry-After %q", a.status, time.Since(start), a.header.Get("Retry-After"))
		}
		flood.Wait()
		if count[200] < 5 || count[200] > 8 || count[200]+count[503] != 300 {
			t.Errorf("of the flood: %v", count)
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	}, func(s *libraryService) { s.Overload = limiter })
}

// HTTP/2 has frames that cost the sender little: settings, pings, empty data,
// priorities, and windows.
func TestAttackFloodsOfSmallFrames(t *testing.T) {
	frames := map[string]string{
		"settings":        "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"pings":           "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"empty data":      "\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"windows":         "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"priorities":      "\x00\x00\x05\x02\x00\x00\x00\x00\x07\x00\x00\x00\x00\x10",
		"unknown ones":    "\x00\x00\x04\xee\x00\x00\x00\x00\x00abcd",
		"resets of none":  "\x00\x00\x04\x03\x00\x00\x00\x00\x09\x00\x00\x00\x08",
		"a frame of 16 M": "\xff\xff\xff\x00\x00\x00\x00\x00\x01",
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
				before := heap()
				conn := r.dial()
				defer conn.Close()
				go func() {
					_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames["settings"]))
					many := []byte(strings.Repeat(frame, 100))
					for range 500 {
						if _, err := conn.Write(many); err != nil {
							return
						}
					}
				}()
				// It reads nothing of what it is answered.
				time.Sleep(time.Second)
				othersAreServed(t, r)
				memoryIsBounded(t, before)
			})
		})
	}
}

// Many requests at once over one connection are answered in turn.
func TestAttackPipelinedRequests(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		before := heap()
		conn := r.dial()
		defer conn.Close()
		go func() {
			many := []byte(strings.Repeat("GET /v1/books HTTP/1.1\r\nHost: door\r\n\r\n", 100))
			for range 100 {
				if _, err := conn.Write(many); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Second)
		othersAreServed(t, r)
		memoryIsBounded(t, before)
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

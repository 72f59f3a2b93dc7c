package gateway_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/evenkeel/evenkeel/gateway"
)

// Attacks on a door that serves, with another caller beside who must go on being
// served. The list of all of them is in docs/security.md; all are named
// TestAttack. These here make the door hold memory; others are in
// attacks_*_test.go.

// othersAreServed fails if another caller is not.
func othersAreServed(t *testing.T, r *running) {
	t.Helper()
	resp, err := r.get(t.Context(), "/v1/books")
	if err != nil {
		t.Fatalf("another caller: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !bytes.Contains(body, []byte(`"books"`)) {
		t.Errorf("another caller is answered %s, %q, %v", resp.Status, body, err)
	}
}

// memoryIsBounded fails if the heap grew by more than any bound of the door
// allows.
func memoryIsBounded(t *testing.T, before uint64) {
	t.Helper()
	memoryGrewByLessThan(t, 32<<20, before)
}

func memoryGrewByLessThan(t *testing.T, most, before uint64) {
	t.Helper()
	if after := heap(); after > before+most {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // a sync.Pool keeps what it has through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAttackSlowHeadersOfMany(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadHeader = 5 * time.Second }, func(t *testing.T, r *running) {
		before, start := heap(), time.Now()
		var all []<-chan struct{}
		for range 100 {
			conn := r.dial()
			defer conn.Close()
			all = append(all, trickle(conn, "G"))
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
		for _, cut := range all {
			<-cut
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("they were held for %v", took)
		}
	})
}

func TestAttackRapidReset(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		before := heap()
		conn := r.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		block := encode(t, pseudo("GET", "/v1/sleep?duration=60s"))
		for id := uint32(1); id < 20_000; id += 2 {
			err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true})
			if err != nil {
				break // it may be given up at any time
			}
			if framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	})
}

func TestAttackContinuationFlood(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		before := heap()
		conn := r.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(t, pseudo("GET", "/v1/books"))})
		// A literal header of 8 KiB, never indexed: a name of 1, a value of 8192.
		field := append([]byte{0x10, 1, 'x', 0x7f, 0x81, 0x3f}, bytes.Repeat([]byte{'y'}, 8192)...)
		sent := 0
		for ; err == nil && sent < 64<<20; sent += len(field) {
			err = framer.WriteContinuation(1, false, field)
		}
		if err == nil {
			t.Errorf("%d bytes of one header were taken", sent)
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
	})
}

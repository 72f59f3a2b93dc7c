package gateway_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/net/http2"

	"github.com/evenkeel/evenkeel/gateway"
)

// These are attacks that make the door work or hold memory, against a door that
// serves, with another caller beside. The list of all attacks, with the test of
// each, is in docs/security.md.

// othersAreServed fails if another caller is not, or if the heap grew by more
// than any bound of the door allows.
func othersAreServed(t *testing.T, r *running, before uint64) {
	t.Helper()
	resp, err := r.get(t.Context(), "/v1/books")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("another caller is answered %s", resp.Status)
	}
	if after := heap(); after > before+32<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestSlowHeadersOfManyLeaveOthersServed(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.Timeouts.ReadHeader = 5 * time.Second }, func(t *testing.T, r *running) {
		before, start := heap(), time.Now()
		var all []<-chan struct{}
		for range 100 {
			conn := r.dial()
			defer conn.Close()
			all = append(all, trickle(conn, "G"))
		}
		othersAreServed(t, r, before)
		for _, cut := range all {
			<-cut
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("they were held for %v", took)
		}
	})
}

func TestRapidResetLeavesMemoryBoundedAndOthersServed(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		before := heap()
		conn := r.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		block := headersOf(t, "/v1/sleep?duration=60s")
		for id := uint32(1); id < 20_000; id += 2 {
			err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true})
			if err != nil {
				break // it may be given up at any time
			}
			if framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
		}
		othersAreServed(t, r, before)
	})
}

func TestAContinuationFloodIsCutOffAndOthersAreServed(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		before := heap()
		conn := r.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf(t, "/v1/books")})
		// A literal header of 8 KiB, never indexed: a name of 1, a value of 8192.
		field := append([]byte{0x10, 1, 'x', 0x7f, 0x81, 0x3f}, bytes.Repeat([]byte{'y'}, 8192)...)
		sent := 0
		for ; err == nil && sent < 64<<20; sent += len(field) {
			err = framer.WriteContinuation(1, false, field)
		}
		if err == nil {
			t.Errorf("%d bytes of one header were taken", sent)
		}
		othersAreServed(t, r, before)
	})
}

func TestForgedTokensAreRefusedByADoorThatServes(t *testing.T) {
	d, client := serveTLS(t, nil)
	claims := jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "eve", "exp": time.Now().Add(time.Hour).Unix()}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	confused := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	confused.Header["kid"] = "k1"
	public, err := signingKey().PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hs, err := confused.SignedString(public)
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM"}`))
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"alg none":            {none, 401},
		"HS256 of the EC key": {hs, 401},
		"JWE":                 {part + "..AAAA.AAAA.AAAA", 401},
		"nine thousand dots":  {strings.Repeat(".", 9_000), 401},
		"one that holds":      {token(t, "ann"), 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://example.com/v1/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", name, resp.Status, c.status)
		}
	}
	if n := d.books.callCount(); n > 1 {
		t.Errorf("the backend was called %d times", n)
	}
}

package gateway_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What an attacker sends is no request that a client would make. It is written
// here byte by byte, or frame by frame.

// reply is an answer as it comes over a connection.
type reply struct {
	status          int
	header, trailer http.Header
	body            string
	// reset is set if there was no answer but a stream that was reset, or a
	// connection that was given up.
	reset bool
}

// raw sends bytes as they are, on a connection of its own, and returns the
// answers that come until the door closes it.
func (r *running) raw(text string) []reply {
	return r.rawFrom(netip.MustParseAddr("198.51.100.66"), text)
}

func (r *running) rawFrom(address netip.Addr, text string) []reply {
	conn := r.dialFrom(address)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }()
	var replies []reply
	reader := bufio.NewReader(conn)
	method, _, _ := strings.Cut(text, " ")
	for {
		resp, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return replies
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		replies = append(replies, reply{status: resp.StatusCode, header: resp.Header, trailer: resp.Trailer, body: string(body), reset: err != nil})
	}
}

// one is raw for what must have exactly one answer.
func (r *running) one(t *testing.T, text string) reply {
	t.Helper()
	replies := r.raw(text)
	if len(replies) != 1 {
		t.Fatalf("%q has %d answers, want one: %+v", brief(text), len(replies), replies)
	}
	return replies[0]
}

// brief keeps what a test says of an attack readable.
func brief(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// field is a header in HTTP/2, in the order in which it is sent.
type field struct{ name, value string }

// pseudo are the headers that every request has.
func pseudo(method, path string) []field {
	return []field{{":method", method}, {":scheme", "http"}, {":authority", "door"}, {":path", path}}
}

// frames sends a request in HTTP/2, whatever its headers are, on a connection of
// its own, and returns what becomes of it. The door must have UnencryptedHTTP2.
func (r *running) frames(t *testing.T, fields []field, body string) reply {
	t.Helper()
	conn := r.dial()
	defer conn.Close()
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	go func() {
		_, _ = io.WriteString(conn, http2.ClientPreface)
		_ = framer.WriteSettings()
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(t, fields), EndStream: body == "", EndHeaders: true})
		if body != "" {
			_ = framer.WriteData(1, true, []byte(body))
		}
	}()
	return readReply(t, framer)
}

func encode(t *testing.T, fields []field) []byte {
	t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
			t.Error(err)
		}
	}
	return block.Bytes()
}

// readReply reads what the door answers on stream 1.
func readReply(t *testing.T, framer *http2.Framer) reply {
	t.Helper()
	got := reply{header: http.Header{}, trailer: http.Header{}}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			got.reset = true
			return got
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			into := got.header
			if got.status != 0 {
				into = got.trailer
			}
			for _, h := range f.Fields {
				into.Add(h.Name, h.Value)
			}
			if got.status == 0 {
				got.status = statusOf(f)
			}
			if f.StreamEnded() {
				return got
			}
		case *http2.DataFrame:
			got.body += string(f.Data())
			if f.StreamEnded() {
				return got
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			got.reset = true
			return got
		}
	}
}

func statusOf(f *http2.MetaHeadersFrame) int {
	status := 0
	for _, digit := range f.PseudoValue("status") {
		status = status*10 + int(digit-'0')
	}
	return status
}

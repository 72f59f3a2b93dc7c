package gateway_test

import (
	"io"
	"testing"

	"golang.org/x/net/http2"

	"github.com/evenkeel/evenkeel/gateway"
)

// TestStreamsOfOneConnectionAreBounded: HTTP/2 lets one connection ask for many
// things at once. The bound is told, and holds for one who does not care.
func TestStreamsOfOneConnectionAreBounded(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.UnencryptedHTTP2, c.Limits.StreamsPerConnection = true, 2
	}, func(t *testing.T, r *running) {
		conn := r.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		framer := http2.NewFramer(conn, conn)
		if err := framer.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		for id := uint32(1); id <= 5; id += 2 {
			err := framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: id, BlockFragment: encode(t, pseudo("GET", "/v1/sleep?duration=60s")), EndStream: true, EndHeaders: true,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		told := uint32(0)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatalf("the third stream was not refused: %v", err)
			}
			switch f := frame.(type) {
			case *http2.SettingsFrame:
				if v, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
					told = v
				}
				continue
			case *http2.RSTStreamFrame:
				if f.StreamID != 5 || told != 2 {
					t.Errorf("stream %d was reset with %v; the bound that was told is %d", f.StreamID, f.ErrCode, told)
				}
			case *http2.GoAwayFrame:
				t.Errorf("the connection was given up: %v", f.ErrCode)
			default:
				continue
			}
			return
		}
	})
}

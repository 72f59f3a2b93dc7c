package compress

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder is what both libraries make.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// codec is a content coding with encoders to be used again.
type codec struct {
	name string
	pool sync.Pool
}

func newGzip(level int) *codec {
	return &codec{name: "gzip", pool: sync.Pool{New: func() any {
		e, err := gzip.NewWriterLevel(io.Discard, level)
		if err != nil {
			return nil // not possible: the level was checked
		}
		return e
	}}}
}

// zstdWindow is far below the 8 MiB that RFC 9659 lets a browser accept, and so
// small that many streams can be open.
const zstdWindow = 256 << 10

func newZstd(level int) *codec {
	speed := zstd.SpeedFastest
	switch {
	case level >= 8:
		speed = zstd.SpeedBetterCompression
	case level >= 4:
		speed = zstd.SpeedDefault
	}
	return &codec{name: "zstd", pool: sync.Pool{New: func() any {
		e, err := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil // not possible: the options are constants
		}
		return e
	}}}
}

// get returns an encoder that writes to w.
func (c *codec) get(w io.Writer) encoder {
	e, ok := c.pool.Get().(encoder)
	if !ok {
		return nil
	}
	e.Reset(w)
	return e
}

// put gives an encoder back that was closed.
func (c *codec) put(e encoder) {
	e.Reset(io.Discard) // lets the response go
	c.pool.Put(e)
}

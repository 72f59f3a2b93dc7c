package compress

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// Config says what is compressed and how. Its zero value is usable; [New]
// refuses values outside the stated ranges with the field's name.
type Config struct {
	// MinBytes is how long an answer has to be. 1 B to 1 MiB; default 1 KiB:
	// less fits into a packet anyway. A stream that is flushed is compressed
	// whatever it holds so far.
	MinBytes int

	// Level is how hard it is tried, from 1, the fastest, to 9. Default 4.
	Level int

	// DisableZstd and DisableGzip leave one out. Default false.
	DisableZstd, DisableGzip bool

	// Compressible says which media types are worth it, in lower case and
	// without parameters. Default [Text].
	Compressible func(mediaType string) bool
}

// A Compressor makes answers smaller. Its methods may be called concurrently.
type Compressor struct {
	config Config
	codecs []*codec // the first is preferred
}

// New returns a compressor. An error names the field of config that is wrong.
func New(config Config) (*Compressor, error) {
	setting.Default(&config.MinBytes, 1<<10)
	setting.Default(&config.Level, 4)
	if config.Compressible == nil {
		config.Compressible = Text
	}
	if err := cmp.Or(
		setting.InRange("MinBytes", config.MinBytes, 1, 1<<20),
		setting.InRange("Level", config.Level, 1, 9),
	); err != nil {
		return nil, fmt.Errorf("compress: Config.%w", err)
	}
	if config.DisableZstd && config.DisableGzip {
		return nil, fmt.Errorf("compress: Config.DisableGzip: with DisableZstd nothing is left; leave the middleware out")
	}
	c := &Compressor{config: config}
	if !config.DisableZstd {
		c.codecs = append(c.codecs, newZstd(config.Level))
	}
	if !config.DisableGzip {
		c.codecs = append(c.codecs, newGzip(config.Level))
	}
	return c, nil
}

// Config returns what is compressed and how, with the defaults set.
func (c *Compressor) Config() Config { return c.config }

// Middleware compresses what next answers.
func (c *Compressor) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &writer{ResponseWriter: rw, compressor: c, codec: c.accepted(r.Header["Accept-Encoding"]), head: r.Method == http.MethodHead}
		next.ServeHTTP(w, r)
		// Not deferred: what a panic broke off must not look whole.
		w.end()
	})
}

// Text reports whether a media type is text, in the widest sense: text/*, JSON,
// XML, JavaScript, forms, WebAssembly, and whatever ends in +json, +xml or +text.
func Text(mediaType string) bool {
	if strings.HasPrefix(mediaType, "text/") {
		return true
	}
	for _, suffix := range []string{"+json", "+xml", "+text", "/json", "/xml", "/javascript", "/x-ndjson", "/ndjson", "/json-seq", "/wasm", "/x-www-form-urlencoded", "/yaml"} {
		if strings.HasSuffix(mediaType, suffix) {
			return true
		}
	}
	return false
}

// worth reports whether what h describes may be compressed for somebody.
func (c *Compressor) worth(h http.Header, status int) bool {
	if status < http.StatusOK || status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusPartialContent ||
		h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" {
		return false
	}
	for _, directives := range h["Cache-Control"] {
		if strings.Contains(strings.ToLower(directives), "no-transform") {
			return false
		}
	}
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && c.config.Compressible(mediaType)
}

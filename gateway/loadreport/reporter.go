package loadreport

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/orca"
)

// Header is where the report is, as net/http writes it.
const Header = "Endpoint-Load-Metrics"

// A Format is how a report is written.
type Format int

// The formats.
const (
	Text   Format = iota // TEXT cpu_utilization=0.3,eps=1
	JSON                 // JSON {"cpu_utilization":0.3,"eps":1}
	Binary               // BIN and an OrcaLoadReport in base64
)

// Config says what is reported, how and to whom. Its zero value is usable.
type Config struct {
	// Format is how a report is written. Default [Text].
	Format Format

	// Window is what the values are means over. 100 ms to 5 min; default
	// [orca.DefaultWindow].
	Window time.Duration

	// Utilization is that of what limits this server: 1 is full. It is called
	// ten times a window, see [orca.WithUtilization]. Default nil: only that of
	// the CPU is reported.
	Utilization func() float64

	// To says whose answers carry the report. It is called concurrently.
	// Default nil: everybody's.
	To func(r *http.Request) bool

	// Logger is told of values of Utilization that are none. Default
	// [slog.Default].
	Logger *slog.Logger
}

// A Reporter counts requests and reports. Its methods may be called
// concurrently, and, but for Middleware, on a nil Reporter, which does nothing.
type Reporter struct {
	config   Config
	process  *orca.Reporter
	finished atomic.Uint64
	failed   atomic.Uint64
	window   window // of the process's goroutine only
	rates    atomic.Pointer[rates]
	report   atomic.Pointer[report]
	closed   atomic.Bool
}

// report is what is sent until there are newer rates.
type report struct {
	of    *rates
	value []string // of the header; empty if there is nothing to tell
}

// stepMetric names the metric that is not sent: asking for it is how package
// orca tells that a step of its window is over.
const stepMetric = "step"

// New returns a Reporter, which measures until it is closed. An error names the
// field of config that is wrong.
func New(config Config) (*Reporter, error) {
	if config.Format < Text || config.Format > Binary {
		return nil, fmt.Errorf("loadreport: Config.Format: %d is none; choose Text, JSON or Binary", config.Format)
	}
	if config.Window == 0 {
		config.Window = orca.DefaultWindow
	}
	r := &Reporter{config: config, window: newWindow(config.Window, time.Now())}
	options := []orca.Option{orca.WithWindow(config.Window), orca.WithNamedMetric(stepMetric, r.step)}
	if config.Utilization != nil {
		options = append(options, orca.WithUtilization(config.Utilization))
	}
	if config.Logger != nil {
		options = append(options, orca.WithLogger(config.Logger))
	}
	var err error
	if r.process, err = orca.NewReporter(options...); err != nil {
		return nil, fmt.Errorf("loadreport: Config: %w", err)
	}
	return r, nil
}

// Close stops measuring: answers carry no report any more. The error is always
// nil.
func (r *Reporter) Close() error {
	if r == nil {
		return nil
	}
	r.closed.Store(true)
	return r.process.Close()
}

// step takes new rates.
func (r *Reporter) step() float64 {
	// In this order, so that no request has failed that was not counted.
	failed := r.failed.Load()
	now := r.window.add(sample{at: time.Now(), finished: r.finished.Load(), failed: failed})
	r.rates.Store(&now)
	return 0
}

// Count counts a request that was answered; failed if that was the server's
// fault.
func (r *Reporter) Count(failed bool) {
	if r == nil {
		return
	}
	r.finished.Add(1)
	if failed {
		r.failed.Add(1)
	}
}

// Load returns what is reported now. Its numbers of requests are those counted
// here.
func (r *Reporter) Load() orca.Load {
	if r == nil {
		return orca.Load{}
	}
	return r.loadWith(r.rates.Load())
}

func (r *Reporter) loadWith(now *rates) orca.Load {
	load := r.process.Snapshot()
	load.NamedMetrics = nil
	if now != nil {
		load.RPS, load.EPS = now.rps, now.eps
	}
	return load
}

// SetHeader puts the report into the header of the answer to q, if it gets one.
// Call it right before the header is sent.
func (r *Reporter) SetHeader(h http.Header, q *http.Request) {
	if r == nil || r.closed.Load() || r.config.To != nil && !r.config.To(q) {
		return
	}
	now := r.rates.Load()
	if now == nil {
		return // nothing was measured yet
	}
	current := r.report.Load()
	if current == nil || current.of != now {
		current = &report{of: now}
		if text := r.config.Format.write(r.loadWith(now)); text != "" {
			current.value = []string{text}
		}
		r.report.Store(current)
	}
	if current.value != nil {
		h[Header] = current.value
	}
}

// Middleware counts what next answers, and reports with it.
func (r *Reporter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		w := &writer{ResponseWriter: rw, reporter: r, request: q}
		failed := true // if it panics
		defer func() { r.Count(failed || w.status >= http.StatusInternalServerError) }()
		next.ServeHTTP(w, q)
		failed = false
		if w.status == 0 {
			w.WriteHeader(http.StatusOK) // as net/http answers
		}
	})
}

type writer struct {
	http.ResponseWriter
	reporter *Reporter
	request  *http.Request
	status   int
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		w.reporter.SetHeader(w.Header(), w.request)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Flush is there for handlers that ask for an [http.Flusher].
func (w *writer) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets [http.ResponseController] through.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// field is one value of a report.
type field struct {
	name  string
	value float64
}

// write writes a report; "" if it says nothing.
func (f Format) write(load orca.Load) string {
	if f == Binary {
		return binary(load)
	}
	open, between, end, quote := "TEXT ", "=", "", ""
	if f == JSON {
		open, between, end, quote = "JSON {", ":", "}", `"`
	}
	text := []byte(open)
	for _, field := range []field{
		{"cpu_utilization", load.CPUUtilization}, {"mem_utilization", load.MemUtilization},
		{"application_utilization", load.ApplicationUtilization}, {"rps_fractional", load.RPS}, {"eps", load.EPS},
	} {
		if field.value == 0 {
			continue
		}
		if len(text) > len(open) {
			text = append(text, ',')
		}
		text = append(text, quote+field.name+quote+between...)
		text = strconv.AppendFloat(text, field.value, 'g', 4, 64)
	}
	if len(text) == len(open) {
		return ""
	}
	return string(append(text, end...))
}

func binary(load orca.Load) string {
	message, err := proto.Marshal(&v3orcapb.OrcaLoadReport{
		CpuUtilization: load.CPUUtilization, MemUtilization: load.MemUtilization,
		ApplicationUtilization: load.ApplicationUtilization, RpsFractional: load.RPS, Eps: load.EPS,
	})
	if err != nil || len(message) == 0 {
		return "" // it holds numbers only: there is no error
	}
	return "BIN " + base64.StdEncoding.EncodeToString(message)
}

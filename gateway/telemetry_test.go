package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// told is what a door tells, kept in memory.
type told struct {
	t      *testing.T
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	*telemetry.Telemetry
}

func tell(t *testing.T) *told {
	t.Helper()
	all := &told{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	var err error
	all.Telemetry, err = telemetry.New(telemetry.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(all.spans)),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(all.reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Close() })
	return all
}

func (a *told) config(c *gateway.Config) { c.Telemetry = a.Telemetry }

// counts returns a line for each series: how much was counted, or how often
// measured.
func (a *told) counts(name string) string {
	a.t.Helper()
	var all metricdata.ResourceMetrics
	if err := a.reader.Collect(context.Background(), &all); err != nil {
		a.t.Fatal(err)
	}
	var lines []string
	add := func(set attribute.Set, n any) {
		lines = append(lines, fmt.Sprintf("%s %v\n", strings.ReplaceAll(set.Encoded(attribute.DefaultEncoder()), `\`, ""), n))
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Count)
				}
			}
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

const strangersTrace = "0af7651916cd43dd8448eb211c80319c"

func TestARequestIsOneTraceFromTheDoorToTheBackend(t *testing.T) {
	all := tell(t)
	d := newDoor(t, func(c *gateway.Config) {
		all.config(c)
		c.ForwardHeaders = []string{"Traceparent"} // even so
	})
	a := d.do("GET", "/v1/whoami", "", bearer(token(t, "ann")), header("Traceparent", "00-"+strangersTrace+"-b7ad6b7169203331-01"), header("Tracestate", "a=b")).want(200)
	metadata, _ := a.decode()["metadata"].(map[string]any)
	span := all.spans.Ended()[0]
	want := fmt.Sprintf("00-%s-%s-01", span.SpanContext().TraceID(), span.SpanContext().SpanID())
	if metadata["traceparent"] != want || metadata["tracestate"] != nil {
		t.Errorf("the backend sees %v, want %s", metadata, want)
	}
	if span.Name() != "GET /v1/whoami" || span.Parent().IsValid() || len(span.Links()) != 1 || span.Links()[0].SpanContext.TraceID().String() != strangersTrace {
		t.Errorf("span %s with parent %v and links %v", span.Name(), span.Parent(), span.Links())
	}
	if logs := d.logs.String(); !strings.Contains(logs, fmt.Sprintf(`"trace_id":"%s","span_id":"%s"`, span.SpanContext().TraceID(), span.SpanContext().SpanID())) {
		t.Errorf("the log does not name the trace: %s", logs)
	}
}

func TestSpansAndSeriesAreNamedByTheRoute(t *testing.T) {
	all := tell(t)
	d := newDoor(t, all.config)
	read := bearer(token(t, "ann", "books.read"))
	d.do("GET", "/v1/shelves/1/books/2", "", read).want(200)
	d.do("GET", "/v1/shelves/3/books/%34", "", read).want(200)
	d.do("LOCK", "/v1/shelves/1/books/2", "").want(200)
	d.do("MADE-UP", "/v1/shelves/1/books/2", "").want(405)
	d.do("GET", "/livez", "").want(200)
	got := all.counts("http.server.request.duration")
	want := `http.request.method=GET,http.response.status_code=200,http.route=/v1/{name=shelves/*/books/*},network.protocol.version=1.1,url.scheme=http 2
http.request.method=LOCK,http.response.status_code=200,http.route=/v1/{name=shelves/*/books/*},network.protocol.version=1.1,url.scheme=http 1
http.request.method=_OTHER,http.response.status_code=405,network.protocol.version=1.1,url.scheme=http 1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := all.counts("http.server.active_requests"); strings.Count(got, " 0\n") != strings.Count(got, "\n") {
		t.Errorf("still active:\n%s", got)
	}
	if got := all.spans.Ended()[1].Name(); got != "GET /v1/{name=shelves/*/books/*}" {
		t.Errorf("span %s", got)
	}
}

func TestRejectionsAreCountedByReason(t *testing.T) {
	all := tell(t)
	d := newDoor(t, all.config)
	ann := bearer(token(t, "ann"))
	d.do("GET", "/v1/whoami", "").want(401)
	d.do("GET", "/v1/whoami", "", header("Authorization", "Bearer nonsense")).want(401)
	d.do("GET", "/v1/shelves/1/books/2", "", ann).want(403)
	d.do("POST", "/v1/shelves/bob:guard", `{}`, bearer(token(t, "ann", "books.admin"))).want(403) // by the request
	d.do("GET", "/v1/nowhere", "").want(404)
	d.do("DELETE", "/v1/whoami", "").want(405)
	d.do("GET", "/v1/books?nonsense=1", "").want(400)
	d.do("POST", "/v1/echo", `{"nonsense":1}`).want(400)
	d.do("POST", "/v1/echo", `x`, header("Content-Type", "text/plain")).want(415)
	for range 3 {
		d.do("GET", "/v1/scarce", "")
	}
	// What the backend says is none of the door's.
	d.do("GET", "/v1/fail/7", "").want(403)
	d.do("GET", "/v1/fail/14", "").want(503)
	want := `http.request.method=DELETE,reason=method_not_allowed 1
http.request.method=GET,http.route=/v1/books,reason=invalid 1
http.request.method=GET,http.route=/v1/scarce,reason=rate_limited 1
http.request.method=GET,http.route=/v1/whoami,reason=unauthenticated 2
http.request.method=GET,http.route=/v1/{name=shelves/*/books/*},reason=denied 1
http.request.method=GET,reason=not_found 1
http.request.method=POST,http.route=/v1/echo,reason=invalid 2
http.request.method=POST,http.route=/v1/{name=shelves/*}:guard,reason=denied 1
`
	if got := all.counts("evenkeel.gateway.rejections"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestACallerWhoGoesAwayIsNotRejected(t *testing.T) {
	all := tell(t)
	d := newDoor(t, all.config)
	ctx, cancel := context.WithCancel(t.Context())
	d.do("POST", "/v1/echo", `{"text":"a"}`, func(r *http.Request) {
		*r = *r.WithContext(ctx)
		r.Body = &reader{read: cancel, Reader: strings.NewReader(`{"text":`)}
	})
	if got := all.counts("evenkeel.gateway.rejections"); got != "" {
		t.Error(got)
	}
}

func TestSheddingIsCountedWhereverItHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := overload.New(overload.Config{InitialLimit: 1, MinLimit: 1, MaxLimit: 1})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		all := tell(t)
		d := newDoor(t, all.config, func(s *libraryService) { s.Overload = limiter })
		d.books.block = release
		done := make(chan int)
		go func() { done <- d.do("GET", "/v1/sleep", "").status }()
		synctest.Wait()
		d.do("GET", "/v1/books", "").want(503)
		// One that is refused only when it is about to be made: the limit fills
		// while its body is read.
		close(release)
		<-done
		full, ok := limiter.Acquire("other", overload.Critical)
		if !ok {
			t.Fatal("not free")
		}
		full.Done(overload.Ignored)
		fill := func(r *http.Request) {
			r.Body = &reader{read: func() { full, _ = limiter.Acquire("other", overload.Critical) }, Reader: strings.NewReader(`{"text":"a"}`)}
		}
		d.do("POST", "/v1/echo", `{"text":"a"}`, fill).want(503)
		full.Done(overload.Ignored)
		if n := d.books.callCount(); n != 1 {
			t.Errorf("the backend was called %d times", n)
		}
		want := "http.request.method=GET,http.route=/v1/books,reason=overloaded 1\nhttp.request.method=POST,http.route=/v1/echo,reason=overloaded 1\n"
		if got := all.counts("evenkeel.gateway.rejections"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if n := strings.Count(d.logs.String(), `"reason":"overload"`); n != 2 {
			t.Errorf("the log tells of %d: %s", n, d.logs)
		}
		if got := all.counts("evenkeel.gateway.overload.calls"); !strings.Contains(got, "outcome=accepted,priority=default,rpc.service=evenkeel.test.v1.LibraryService 1\n") {
			t.Error(got)
		}
	})
}

// reader is a body that tells when it is read.
type reader struct {
	*strings.Reader
	read func()
}

func (r *reader) Read(p []byte) (int, error) {
	if r.read != nil {
		r.read()
		r.read = nil
	}
	return r.Reader.Read(p)
}

func (r *reader) Close() error { return nil }

// clumsy is an authenticator that panics.
type clumsy struct{ custom }

func (clumsy) Authenticate(context.Context, *http.Request) (*auth.Principal, error) {
	panic("secret")
}

func TestPanicsAreCountedAndTold(t *testing.T) {
	all := tell(t)
	d := newDoor(t, func(c *gateway.Config) {
		all.config(c)
		c.Authenticators = []auth.Authenticator{clumsy{}}
	})
	d.do("GET", "/v1/books", "").want(500)
	if got := all.counts("evenkeel.gateway.panics"); got != "http.request.method=GET,http.route=/v1/books 1\n" {
		t.Error(got)
	}
	if got := all.counts("evenkeel.gateway.rejections"); got != "" {
		t.Error(got)
	}
	if got := all.counts("http.server.request.duration"); !strings.Contains(got, "error.type=panic") {
		t.Error(got)
	}
	for _, a := range all.spans.Ended()[0].Attributes() {
		if strings.Contains(a.Value.String(), "secret") {
			t.Errorf("the span quotes the panic: %v", a)
		}
	}
}

func TestAStreamThatFailsAfterItsStatusIsAFailure(t *testing.T) {
	all := tell(t)
	d := newDoor(t, all.config)
	d.do("GET", "/v1/books:watch?count=1&code=14", "").want(200)
	d.do("GET", "/v1/books:watch?count=1&code=5", "").want(200) // not the server's fault
	d.do("GET", "/v1/books:watch?count=1", "").want(200)
	want := `error.type=UNAVAILABLE,http.request.method=GET,http.response.status_code=200,http.route=/v1/books:watch,network.protocol.version=1.1,url.scheme=http 1
http.request.method=GET,http.response.status_code=200,http.route=/v1/books:watch,network.protocol.version=1.1,url.scheme=http 2
`
	if got := all.counts("http.server.request.duration"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := all.spans.Ended()[0].Status().Code.String(); got != "Error" {
		t.Errorf("span status %s", got)
	}
}

// BenchmarkTelemetry answers a request without telemetry and with it.
func BenchmarkTelemetry(b *testing.B) {
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	one := sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))
	for _, c := range []struct {
		name   string
		config telemetry.Config
	}{
		{"off", telemetry.Config{}},
		{"metrics", telemetry.Config{MeterProvider: metrics}},
		{"metrics and one trace in a hundred", telemetry.Config{MeterProvider: metrics, TracerProvider: sdktrace.NewTracerProvider(one)}},
		{"metrics and all traces", telemetry.Config{MeterProvider: metrics, TracerProvider: sdktrace.NewTracerProvider()}},
	} {
		b.Run(c.name, func(b *testing.B) {
			all, err := telemetry.New(c.config)
			if err != nil {
				b.Fatal(err)
			}
			defer all.Close()
			d := newDoor(b, func(g *gateway.Config) {
				g.Logger = slog.New(slog.DiscardHandler)
				if c.name != "off" {
					g.Telemetry = all
				}
			})
			r := httptest.NewRequest("GET", "/v1/books", nil)
			b.ReportAllocs()
			for b.Loop() {
				w := &nowhere{h: http.Header{}, status: 200}
				d.ServeHTTP(w, r)
				if w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	}
}

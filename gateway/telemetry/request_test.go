package telemetry_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

const (
	traceOfCaller = "0af7651916cd43dd8448eb211c80319c"
	traceparent   = "00-" + traceOfCaller + "-b7ad6b7169203331-01"
)

func request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Host = "api.example.com:8080"
	return r
}

func TestASpanSaysWhatTheConventionsAsk(t *testing.T) {
	k := keep(t, nil)
	route := k.NewRoute("GET", "/v1/{name=books/*}", "/library.v1.Library/GetBook")
	r := request("GET", "/v1/books/secret?token=secret")
	r.Header.Set("User-Agent", "tester")
	r, q := k.Start(r)
	if !trace.SpanContextFromContext(r.Context()).Equal(q.SpanContext()) {
		t.Error("the span is not in the request's context")
	}
	q.End(telemetry.Outcome{Route: route, Status: 200, ResponseBytes: 7, Code: "OK", RequestID: "id-1"})
	want := `server GET /v1/{name=books/*} Unset
  client.address=192.0.2.7
  evenkeel.gateway.request_id=id-1
  http.request.body.size=0
  http.request.method=GET
  http.response.body.size=7
  http.response.status_code=200
  http.route=/v1/{name=books/*}
  network.peer.address=192.0.2.7
  network.peer.port=4711
  network.protocol.version=1.1
  rpc.method=library.v1.Library/GetBook
  rpc.response.status_code=OK
  server.address=api.example.com
  server.port=8080
  url.scheme=http
  user_agent.original=tester
`
	if got := describe(k.spans.Ended()[0]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestThePathIsRecordedOnlyOnRequestAndAQueryNever(t *testing.T) {
	k := keep(t, func(c *telemetry.Config) { c.RecordPath = true })
	_, q := k.Start(request("GET", "/v1/books/7?token=secret"))
	q.End(telemetry.Outcome{Status: 404})
	got := describe(k.spans.Ended()[0])
	if !strings.HasPrefix(got, "server GET Unset\n") || !strings.Contains(got, "url.path=/v1/books/7\n") || strings.Contains(got, "secret") {
		t.Error(got)
	}
}

func TestACallersTraceIsLinkedToAndNotContinued(t *testing.T) {
	propagators := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	send := func(k *kept) (*http.Request, sdktrace.ReadOnlySpan) {
		r := request("GET", "/")
		r.Header.Set("Traceparent", traceparent)
		r.Header.Set("Baggage", "tenant=7")
		r, q := k.Start(r)
		q.End(telemetry.Outcome{Status: 200})
		return r, k.spans.Ended()[0]
	}
	t.Run("public", func(t *testing.T) {
		r, span := send(keep(t, func(c *telemetry.Config) { c.Propagator = propagators }))
		if span.Parent().IsValid() || span.SpanContext().TraceID().String() == traceOfCaller {
			t.Errorf("a stranger's trace is continued: %v", span.SpanContext())
		}
		if links := span.Links(); len(links) != 1 || links[0].SpanContext.TraceID().String() != traceOfCaller {
			t.Errorf("links %v", links)
		}
		if n := baggage.FromContext(r.Context()).Len(); n != 0 {
			t.Error("a stranger's baggage is carried")
		}
	})
	t.Run("trusted", func(t *testing.T) {
		r, span := send(keep(t, func(c *telemetry.Config) { c.Propagator, c.TrustTraceContext = propagators, telemetry.Everybody }))
		if span.SpanContext().TraceID().String() != traceOfCaller || span.Parent().SpanID().String() != "b7ad6b7169203331" || len(span.Links()) != 0 {
			t.Errorf("%v with parent %v", span.SpanContext(), span.Parent())
		}
		if baggage.FromContext(r.Context()).Member("tenant").Value() != "7" {
			t.Error("baggage is lost")
		}
	})
}

// A public door that samples one in many must not be made to record all.
func TestAStrangerCannotForceSampling(t *testing.T) {
	never := sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample()))
	for _, c := range []struct {
		name  string
		trust func(*http.Request) bool
		want  bool
	}{{"public", nil, false}, {"trusted", telemetry.Everybody, true}, {"not this one", func(*http.Request) bool { return false }, false}} {
		k := keep(t, func(config *telemetry.Config) { config.TrustTraceContext = c.trust }, never)
		r := request("GET", "/")
		r.Header.Set("Traceparent", traceparent)
		_, q := k.Start(r)
		if q.SpanContext().IsSampled() != c.want {
			t.Errorf("%s: sampled is %v", c.name, !c.want)
		}
		q.End(telemetry.Outcome{Status: 200})
	}
}

func TestASpanOfThisProcessStaysTheParent(t *testing.T) {
	k := keep(t, func(c *telemetry.Config) { c.TrustTraceContext = telemetry.Everybody })
	outer := sdktrace.NewTracerProvider().Tracer("outer")
	ctx, span := outer.Start(context.Background(), "outer")
	r := request("GET", "/").WithContext(ctx)
	r.Header.Set("Traceparent", traceparent)
	_, q := k.Start(r)
	q.End(telemetry.Outcome{Status: 200})
	if got := k.spans.Ended()[0].Parent().SpanID(); got != span.SpanContext().SpanID() {
		t.Errorf("parent %v", got)
	}
}

func TestFailuresAreTold(t *testing.T) {
	for _, c := range []struct {
		o    telemetry.Outcome
		want string // error.type, "" for none
	}{
		{telemetry.Outcome{Status: 200}, ""},
		{telemetry.Outcome{Status: 404}, ""},
		{telemetry.Outcome{Status: 429}, ""},
		{telemetry.Outcome{Status: 503}, "503"},
		{telemetry.Outcome{Status: 500, Panicked: true}, "panic"},
		{telemetry.Outcome{}, "no_answer"},
		{telemetry.Outcome{Status: 200, Code: "UNAVAILABLE", FailedInBand: true}, "UNAVAILABLE"},
		{telemetry.Outcome{Status: 200, Code: "said by nobody", FailedInBand: true}, "UNKNOWN"},
	} {
		k := keep(t, nil)
		_, q := k.Start(request("GET", "/"))
		q.End(c.o)
		span := describe(k.spans.Ended()[0])
		told := fmt.Sprintf("error.type=%s\n", c.want)
		if failed := c.want != ""; strings.Contains(span, " Error\n") != failed || strings.Contains(span, "error.type") != failed || failed && !strings.Contains(span, told) {
			t.Errorf("%+v:\n%s", c.o, span)
		}
		if metrics := k.metrics(); strings.Contains(metrics, "error.type") != (c.want != "") || c.want != "" && !strings.Contains(metrics, "error.type="+c.want) {
			t.Errorf("%+v:\n%s", c.o, metrics)
		}
	}
}

func TestRequestsAreMeasuredByRoute(t *testing.T) {
	k := keep(t, nil)
	route := k.NewRoute("GET", "/v1/books", "/library.v1.Library/ListBooks")
	for range 3 {
		_, q := k.Start(request("GET", "/v1/books?page=3"))
		q.End(telemetry.Outcome{Route: route, Status: 200, RequestBytes: 2, ResponseBytes: 5})
	}
	_, q := k.Start(request("GET", "/v1/books"))
	k.wantMetrics("http.server.active_requests{http.request.method=GET,url.scheme=http} 1")
	q.End(telemetry.Outcome{Route: route, Status: 429, Rejected: telemetry.RateLimited})
	const labels = "{http.request.method=GET,http.response.status_code=200,http.route=/v1/books,network.protocol.version=1.1,url.scheme=http}"
	k.wantMetrics(
		"http.server.active_requests{http.request.method=GET,url.scheme=http} 0",
		"http.server.request.duration"+labels+" count=3",
		"http.server.request.body.size"+labels+" count=3 sum=6",
		"http.server.response.body.size"+labels+" count=3 sum=15",
		"evenkeel.gateway.rejections{http.request.method=GET,http.route=/v1/books,reason=rate_limited} 1",
	)
}

func TestSchemeAndVersionAreThoseOfTheConnection(t *testing.T) {
	k := keep(t, nil)
	r := request("GET", "/")
	r.TLS, r.ProtoMajor, r.ProtoMinor = &tls.ConnectionState{}, 2, 0
	r.Header.Set("X-Forwarded-Proto", "gopher") // is what anybody says
	_, q := k.Start(r)
	q.End(telemetry.Outcome{Status: 200})
	k.wantMetrics("http.server.request.duration{http.request.method=GET,http.response.status_code=200,network.protocol.version=2,url.scheme=https} count=1")
}

// Whatever callers send, there are only so many series.
func TestCallersCannotMakeSeries(t *testing.T) {
	k := keep(t, nil)
	k.NewRoute("LOCK", "/v1/books", "") // a verb of google.api.http's
	for i := range 1000 {
		r := request(fmt.Sprintf("M%d", i), fmt.Sprintf("/path/%d", i))
		r.Host = fmt.Sprintf("host%d", i)
		r.Proto, r.ProtoMajor, r.ProtoMinor = fmt.Sprintf("HTTP/%d.%d", i+4, i), i+4, i
		r.Header.Set("User-Agent", fmt.Sprint(i))
		_, q := k.Start(r)
		q.End(telemetry.Outcome{Status: 404, Rejected: telemetry.NotFound, RequestID: fmt.Sprint(i)})
	}
	_, q := k.Start(request("LOCK", "/v1/books"))
	q.End(telemetry.Outcome{Status: 404, Rejected: telemetry.Reason("made up by somebody")})
	k.wantMetrics(
		"http.server.request.duration{http.request.method=_OTHER,http.response.status_code=404,url.scheme=http} count=1000",
		"http.server.request.duration{http.request.method=LOCK,http.response.status_code=404,network.protocol.version=1.1,url.scheme=http} count=1",
		"evenkeel.gateway.rejections{http.request.method=_OTHER,reason=not_found} 1000",
	)
	if n := strings.Count(k.metrics(), "\n"); n > 10 {
		t.Errorf("%d series:\n%s", n, k.metrics())
	}
	if got := describe(k.spans.Ended()[7]); !strings.HasPrefix(got, "server HTTP Unset\n") || !strings.Contains(got, "http.request.method_original=M7\n") {
		t.Error(got)
	}
}

func TestWhatACallerPutsIntoASpanIsBounded(t *testing.T) {
	k := keep(t, nil)
	r := request(strings.Repeat("X", 9999), "/")
	r.Host = strings.Repeat("h", 9999)
	r.Header.Set("User-Agent", strings.Repeat("a", 9999))
	_, q := k.Start(r)
	q.End(telemetry.Outcome{Status: 404})
	if got := describe(k.spans.Ended()[0]); len(got) > 2000 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWithoutProvidersNothingIsDone(t *testing.T) {
	empty, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, off := range map[string]*telemetry.Telemetry{"nil": nil, "no providers": empty} {
		r := request("GET", "/")
		route := off.NewRoute("GET", "/", "")
		ctx := metadata.NewOutgoingContext(context.Background(), metadata.Pairs("a", "b"))
		allocations := testing.AllocsPerRun(100, func() {
			started, q := off.Start(r)
			if started != r || q.SpanContext().IsValid() || off.Inject(ctx) != ctx || q.Inject(ctx) != ctx {
				t.Error(name, "does something")
			}
			q.End(telemetry.Outcome{Route: route, Status: 200})
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
		if off.Propagates() != nil || off.Close() != nil {
			t.Error(name)
		}
		off.Watch(telemetry.Upstream{Service: "a"})
	}
}

func TestMetricsAloneLeaveTheRequestAsItIs(t *testing.T) {
	k := keep(t, func(c *telemetry.Config) { c.TracerProvider = nil })
	r := request("GET", "/")
	if started, q := k.Start(r); started != r || q.SpanContext().IsValid() || k.Propagates() != nil {
		t.Error("there is a trace")
	}
}

// BenchmarkRequest tells what one request costs: nothing when it is off.
func BenchmarkRequest(b *testing.B) {
	sampled := func(s sdktrace.Sampler) sdktrace.TracerProviderOption { return sdktrace.WithSampler(s) }
	batch := sdktrace.WithBatcher(discard{})
	for _, c := range []struct {
		name string
		t    *telemetry.Telemetry
	}{
		{"off", nil},
		{"metrics", keep(b, func(c *telemetry.Config) { c.TracerProvider = nil }).Telemetry},
		{"metrics and traces, none sampled", keep(b, func(c *telemetry.Config) {
			c.TracerProvider = sdktrace.NewTracerProvider(batch, sampled(sdktrace.NeverSample()))
		}).Telemetry},
		{"metrics and traces, all sampled", keep(b, func(c *telemetry.Config) {
			c.TracerProvider = sdktrace.NewTracerProvider(batch, sampled(sdktrace.AlwaysSample()))
		}).Telemetry},
	} {
		b.Run(c.name, func(b *testing.B) {
			route := c.t.NewRoute("GET", "/v1/books", "/library.v1.Library/ListBooks")
			r := request("GET", "/v1/books")
			b.ReportAllocs()
			for b.Loop() {
				_, q := c.t.Start(r)
				q.End(telemetry.Outcome{Route: route, Status: 200, ResponseBytes: 600, Code: "OK"})
			}
		})
	}
}

// discard is a SpanExporter to nowhere.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// Whatever trace context a stranger sends, its trace is not continued, and the
// door's is well-formed.
func FuzzTraceContext(f *testing.F) {
	f.Add(traceparent, "a=b", "tenant=7")
	f.Add("00-00000000000000000000000000000000-0000000000000000-01", "", "")
	f.Add("ff-"+strings.Repeat("a", 500), strings.Repeat("a=b,", 100), "\x00=%zz")
	f.Add("", "=", ";;,")
	k := keep(f, func(c *telemetry.Config) {
		c.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	})
	f.Fuzz(func(t *testing.T, parent, state, carried string) {
		r := request("GET", "/")
		r.Header["Traceparent"], r.Header["Tracestate"], r.Header["Baggage"] = []string{parent}, []string{state}, []string{carried}
		r, q := k.Start(r)
		own := q.SpanContext()
		q.End(telemetry.Outcome{Status: 200})
		if !own.IsValid() || strings.Contains(parent, own.TraceID().String()) || own.TraceState().Len() > 0 {
			t.Errorf("%q is continued: %v", parent, own)
		}
		if n := baggage.FromContext(r.Context()).Len(); n != 0 {
			t.Errorf("%q is carried", carried)
		}
		k.spans.Reset()
	})
}

package ratelimit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/problem"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

func newLimiter(t *testing.T, config Config) (*Limiter, *clock) {
	t.Helper()
	store, c := newLocal(t, 1000)
	if config.Store == nil {
		config.Store = store
	}
	l, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func get(h http.Handler, ctx context.Context, address, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var served = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

func TestACallOverItsRateIsAnswered429AndToldWhenToComeBack(t *testing.T) {
	l, c := newLimiter(t, Config{Policies: []Policy{
		{Name: "caller", Rate: Rate{Requests: 2, Period: time.Minute}},
		{Name: "all", Rate: Rate{Requests: 100, Period: 500 * time.Millisecond, Burst: 50}, Key: Everybody},
	}})
	h := l.Middleware(served)
	w := get(h, t.Context(), "192.0.2.1:5", "/")
	if got, want := w.Header().Get("RateLimit-Policy"), `"caller";q=2;w=60, "all";q=100`; got != want {
		t.Errorf("RateLimit-Policy: %s, want %s", got, want)
	}
	if got, want := w.Header().Get("RateLimit"), `"caller";r=1;t=30, "all";r=49;t=1`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
	get(h, t.Context(), "192.0.2.1:6", "/")
	c.advance(time.Second)
	w = get(h, t.Context(), "192.0.2.1:7", "/")
	if w.Code != 429 || w.Header().Get("Retry-After") != "29" || w.Header().Get("RateLimit") != `"caller";r=0;t=59, "all";r=50;t=0` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	var p problem.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Type != ProblemType || p.Code != "RESOURCE_EXHAUSTED" || !strings.Contains(p.Detail, "`caller`") || !slices.Equal(p.ViolatedPolicies, []string{"caller"}) {
		t.Errorf("%s %v", w.Body, err)
	}
	if w = get(h, t.Context(), "192.0.2.2:5", "/"); w.Code != 204 {
		t.Errorf("another caller: %d", w.Code)
	}
	c.advance(29 * time.Second)
	if w = get(h, t.Context(), "192.0.2.1:8", "/"); w.Code != 204 {
		t.Errorf("when it was told to come back: %d", w.Code)
	}
}

func TestARefusalNamesEachPolicyThatRefuses(t *testing.T) {
	l, _ := newLimiter(t, Config{Policies: []Policy{
		{Name: "minute", Rate: Rate{Requests: 1, Period: time.Minute}},
		{Name: "second", Rate: Rate{Requests: 5, Period: time.Second}},
		{Name: "day", Rate: Rate{Requests: 1, Period: 24 * time.Hour}},
	}})
	r := Request{Address: netip.MustParseAddr("192.0.2.1")}
	if p := l.Allow(t.Context(), r).Problem(); p != nil {
		t.Fatalf("%+v", p)
	}
	p := l.Allow(t.Context(), r).Problem()
	if p == nil || !slices.Equal(p.ViolatedPolicies, []string{"minute", "day"}) || !strings.Contains(p.Detail, "`day`") {
		t.Errorf("%+v", p)
	}
}

func TestAPrincipalIsCountedWhereverItCallsFrom(t *testing.T) {
	l, _ := newLimiter(t, Config{Policies: []Policy{{Name: "caller", Rate: Rate{Requests: 1, Period: time.Hour}}}})
	h := l.Middleware(served)
	as := func(issuer, subject string) context.Context {
		return auth.NewContext(t.Context(), &auth.Principal{Issuer: issuer, Subject: subject})
	}
	for _, step := range []struct {
		ctx     context.Context
		address string
		want    int
	}{
		{as("i", "a"), "192.0.2.1:1", 204}, {as("i", "a"), "192.0.2.2:1", 429}, {as("i", "b"), "192.0.2.1:1", 204},
		{as("ia", ""), "192.0.2.1:1", 204}, // not issuer i, subject a
		{t.Context(), "192.0.2.1:1", 204}, {t.Context(), "192.0.2.1:2", 429},
	} {
		if w := get(h, step.ctx, step.address, "/"); w.Code != step.want {
			t.Errorf("%+v: %d", step, w.Code)
		}
	}
}

func TestAMethodIsCountedByItselfIfThePolicySaysSo(t *testing.T) {
	l, _ := newLimiter(t, Config{Policies: []Policy{{Name: "each", Rate: Rate{Requests: 1, Period: time.Hour}, PerMethod: true}}})
	mux := http.NewServeMux()
	mux.Handle("/a/", l.Middleware(served))
	mux.Handle("/b/", l.Middleware(served))
	for _, step := range []struct {
		path string
		want int
	}{{"/a/1", 204}, {"/a/2", 429}, {"/b/1", 204}, {"/b/2", 429}} {
		if w := get(mux, t.Context(), "192.0.2.1:1", step.path); w.Code != step.want {
			t.Errorf("%s: %d", step.path, w.Code)
		}
	}
}

func TestAKeyMaySayThatAPolicyDoesNotApply(t *testing.T) {
	l, _ := newLimiter(t, Config{Policies: []Policy{{
		Name: "anonymous", Rate: Rate{Requests: 1, Period: time.Hour},
		Key: func(r Request) (string, bool) { return "", r.Principal == nil },
	}}})
	known := Request{Principal: &auth.Principal{Subject: "s"}}
	for range 5 {
		if d := l.Allow(t.Context(), known); !d.Allowed() {
			t.Fatal("it applied")
		}
	}
	h := http.Header{}
	l.Allow(t.Context(), known).SetHeaders(h)
	if len(h) != 0 {
		t.Errorf("headers %v of a policy that does not apply", h)
	}
	if l.Allow(t.Context(), Request{}); l.Allow(t.Context(), Request{}).Allowed() {
		t.Error("it did not apply")
	}
}

func TestWithAddsPoliciesAndCountsTogetherByThoseInCommon(t *testing.T) {
	l, _ := newLimiter(t, Config{Policies: []Policy{{Name: "all", Rate: Rate{Requests: 2, Period: time.Hour}}}})
	more, err := l.With(Policy{Name: "method", Rate: Rate{Requests: 1, Period: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if !more.Allow(t.Context(), Request{}).Allowed() || !l.Allow(t.Context(), Request{}).Allowed() {
		t.Error("there was room")
	}
	if name, _ := l.Allow(t.Context(), Request{}).Refused(); name != "all" {
		t.Errorf("refused by %q", name)
	}
	if name, after := more.Allow(t.Context(), Request{}).Refused(); name != "method" || after != time.Hour {
		t.Errorf("refused by %q for %v; it is method that has no room for longest", name, after)
	}
	if _, err := more.With(Policy{Name: "all", Rate: Rate{Requests: 1, Period: time.Hour}}); err == nil {
		t.Error("a name is there twice")
	}
}

// broken is a store that fails while err is set.
type broken struct{ err error }

func (b *broken) Take(_ context.Context, takes []Take) ([]Result, error) {
	if b.err != nil {
		return nil, b.err
	}
	results := make([]Result, len(takes))
	for i := range results {
		results[i].Allowed = true
	}
	return results, nil
}

func TestAStoreThatFailsClosesTheDoorUnlessToldOtherwiseAndIsLoggedOnce(t *testing.T) {
	for _, open := range []bool{false, true} {
		var log bytes.Buffer
		store := &broken{err: errors.New("no route to 10.0.0.7")}
		l, _ := newLimiter(t, Config{
			Policies: []Policy{{Name: "all", Rate: Rate{Requests: 2, Period: time.Hour}}}, Store: store, FailOpen: open,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		h := l.Middleware(served)
		for range 3 {
			w := get(h, t.Context(), "192.0.2.1:1", "/")
			if open && w.Code != 204 || !open && (w.Code != 503 || w.Header().Get("Retry-After") == "") || strings.Contains(w.Body.String(), "10.0.0.7") {
				t.Errorf("open %t: %d %s", open, w.Code, w.Body)
			}
		}
		store.err = nil
		for range 2 {
			if w := get(h, t.Context(), "192.0.2.1:1", "/"); w.Code != 204 {
				t.Errorf("well again: %d", w.Code)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "10.0.0.7") {
			t.Errorf("%d records\n%s", n, log.String())
		}
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	rate := Rate{Requests: 1, Period: time.Second}
	many := make([]Policy, MaxPolicies+1)
	for i := range many {
		many[i] = Policy{Name: string(rune('a' + i)), Rate: rate}
	}
	for want, policies := range map[string][]Policy{
		"ratelimit: Config.Policies[0].Name: \"\"":                               {{Rate: rate}},
		"ratelimit: Config.Policies[0].Name: \"a b\"":                            {{Name: "a b", Rate: rate}},
		"ratelimit: Config.Policies[1].Name: \"a\" is there twice":               {{Name: "a", Rate: rate}, {Name: "a", Rate: rate}},
		"ratelimit: Config.Policies[0].Rate.Period: 0s":                          {{Name: "a"}},
		"ratelimit: Config.Policies[0].Rate.Requests: 0":                         {{Name: "a", Rate: Rate{Period: time.Second}}},
		"ratelimit: Config.Policies: 9 apply to one call; at most 8":             many,
		"ratelimit: Config.Policies[0].Rate.Burst: -1 is out of range; 1 to 316": {{Name: "a", Rate: Rate{Requests: 1, Period: time.Second, Burst: -1}}},
	} {
		if _, err := New(Config{Policies: policies}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func method(t *testing.T, limits *gatewayv1.Limits) protoreflect.MethodDescriptor {
	t.Helper()
	m := &descriptorpb.MethodDescriptorProto{Name: proto.String("M"), InputType: proto.String(".t.E"), OutputType: proto.String(".t.E")}
	if limits != nil {
		m.Options = &descriptorpb.MethodOptions{}
		proto.SetExtension(m.Options, gatewayv1.E_Limits, limits)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("E")}},
		Service:     []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{m}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0).Methods().Get(0)
}

func TestAMethodDeclaresItsRates(t *testing.T) {
	got, err := Declared(method(t, &gatewayv1.Limits{Rates: []*gatewayv1.RateLimit{
		{Name: "a", Requests: 5, Period: durationpb.New(time.Second)},
		{Name: "b", Requests: 6, Period: durationpb.New(time.Minute), Burst: 2, Key: gatewayv1.RateLimitKey_RATE_LIMIT_KEY_EVERYBODY},
	}}))
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if got[0].Rate != (Rate{5, time.Second, 5}) || got[1].Rate != (Rate{6, time.Minute, 2}) || !got[0].PerMethod || !got[1].PerMethod {
		t.Errorf("%+v", got)
	}
	r := Request{Address: netip.MustParseAddr("192.0.2.1")}
	if key, _ := got[0].Key(r); key == "" {
		t.Error("the default counts everybody together")
	}
	if key, _ := got[1].Key(r); key != "" {
		t.Error("everybody is counted apart")
	}
	if got, err := Declared(method(t, nil)); got != nil || err != nil {
		t.Errorf("no option: %v %v", got, err)
	}
}

func TestADeclarationThatIsWrongIsRefusedByField(t *testing.T) {
	second := durationpb.New(time.Second)
	for want, rates := range map[string][]*gatewayv1.RateLimit{
		"rates[0]: period: must be set":       {{Name: "a", Requests: 1}},
		"rates[0]: Rate.Requests: 0":          {{Name: "a", Period: second}},
		"rates[0]: Name: \"\"":                {{Requests: 1, Period: second}},
		"rates[1]: name: \"a\" is there":      {{Name: "a", Requests: 1, Period: second}, {Name: "a", Requests: 1, Period: second}},
		"rates[0]: key: 77 is not known here": {{Name: "a", Requests: 1, Period: second, Key: 77}},
	} {
		_, err := Declared(method(t, &gatewayv1.Limits{Rates: rates}))
		if err == nil || !strings.HasPrefix(err.Error(), "option (evenkeel.gateway.v1.limits): "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

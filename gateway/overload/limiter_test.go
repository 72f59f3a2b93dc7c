package overload

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// still is a limiter whose clock stands until it is moved.
func still(t *testing.T, config Config) (*Limiter, func(time.Duration)) {
	t.Helper()
	now := time.Unix(0, 0)
	config.Now = func() time.Time { return now }
	l, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return l, func(d time.Duration) { now = now.Add(d) }
}

func fill(l *Limiter, class Priority) (calls []*Call) {
	for {
		call, ok := l.Acquire("m", class)
		if !ok {
			return calls
		}
		calls = append(calls, call)
	}
}

func TestEachClassLeavesRoomForThoseBeforeIt(t *testing.T) {
	l, _ := still(t, Config{InitialLimit: 100})
	shed := fill(l, Sheddable)
	other := fill(l, Default)
	critical := fill(l, Critical)
	if len(shed) != 68 || len(other) != 15 || len(critical) != 17 {
		t.Errorf("%d sheddable, then %d default, then %d critical", len(shed), len(other), len(critical))
	}
	if !l.Full(Critical) {
		t.Error("there is room left")
	}
	shed[0].Done(Ignored)
	shed[0].Done(Ignored)
	if s := l.Stats(); s.InFlight != 99 || l.Full(Critical) || !l.Full(Default) {
		t.Errorf("%+v: a call that ended twice counts twice", s)
	}
	if s := l.Stats(); s.Sheddable != (ClassStats{68, 1}) || s.Critical != (ClassStats{17, 1}) {
		t.Errorf("%+v", s)
	}
}

func TestEveryClassHasAPlaceHoweverLowTheLimit(t *testing.T) {
	for _, class := range []Priority{Critical, Default, Sheddable, 17, -1} {
		l, _ := still(t, Config{MinLimit: 1, InitialLimit: 1})
		if n := len(fill(l, class)); n != 1 {
			t.Errorf("%v: %d", class, n)
		}
	}
}

// A caller that allows less time than a call takes must not lower the limit for
// all others.
// Who refuses calls before they are made has to say so, or the limiter does not
// know that it holds any back, and never looks what light load is like.
func TestCallsThatAreRefusedBeforeTheyAreMadeCount(t *testing.T) {
	l, pass := still(t, Config{InitialLimit: 10, MaxLimit: 10})
	if l.Refuse(Default) {
		t.Fatal("there is room")
	}
	fill(l, Default)
	if !l.Refuse(Default) || !l.Refuse(17) || l.Refuse(Critical) {
		t.Error("what is refused is not what has no room")
	}
	if s := l.Stats(); s.Default.Refused != 3 || s.Critical.Refused != 0 {
		t.Errorf("%+v: fill was refused once, and Refuse refused twice", s)
	}
	if l.Full(Default) && l.Stats().Default.Refused != 3 {
		t.Error("Full counts")
	}
	pass(31 * time.Second) // the opening is given up
	l.Refuse(Default)
	pass(2 * time.Second)
	if l.Refuse(Default); !l.Stats().Probing {
		t.Error("nothing probes although calls are held back")
	}
}

// A method that is called seldom may be seen under load only. What it takes then
// is not what it takes without.
func TestAMethodThatIsSeenUnderLoadOnlyIsNotTakenForASlowOne(t *testing.T) {
	l, pass := still(t, Config{InitialLimit: 100, MaxLimit: 100})
	call := func(took time.Duration, methods ...string) {
		var calls []*Call
		for _, m := range methods {
			c, ok := l.Acquire(m, Critical)
			if !ok {
				t.Fatal("refused")
			}
			calls = append(calls, c)
		}
		pass(took)
		for _, c := range calls {
			c.Done(Succeeded)
		}
	}
	for range 30 {
		call(10*time.Millisecond, "often")
	}
	// All take three times as long.
	many := slices.Repeat([]string{"often"}, 40)
	for range 10 {
		call(30*time.Millisecond, append(many, "seldom")...)
	}
	got := time.Duration(l.control.known.of("seldom").nanoseconds)
	if got < 8*time.Millisecond || got > 16*time.Millisecond {
		t.Errorf("it is taken to need %v at light load, want some 10 ms", got)
	}
}

func TestDeadlinesThatAreTooShortDoNotLowerTheLimit(t *testing.T) {
	l, advance := still(t, Config{InitialLimit: 20})
	run := func(outcome Outcome, took time.Duration) {
		calls := fill(l, Default)
		advance(took)
		for _, c := range calls {
			c.Done(outcome)
		}
	}
	for range 20 {
		run(Succeeded, 50*time.Millisecond)
	}
	before := l.Stats().Limit
	for range 100 {
		run(TimedOut, time.Millisecond)
	}
	if after := l.Stats().Limit; after < before {
		t.Errorf("the limit went from %d to %d", before, after)
	}
	for range 20 {
		run(TimedOut, time.Second)
	}
	if after := l.Stats().Limit; after > before/2 {
		t.Errorf("calls hang, but the limit went from %d to %d", before, after)
	}
}

func TestWhatIsRememberedOfMethodsIsBounded(t *testing.T) {
	l, _ := still(t, Config{})
	for i := range 10 * maxMethods {
		call, ok := l.Acquire(strings.Repeat("x", i%100)+string(rune('a'+i%26))+time.Duration(i).String(), Default)
		if !ok {
			t.Fatal("refused")
		}
		call.Done(Succeeded)
	}
	if n := len(l.control.known.methods); n > maxMethods {
		t.Errorf("%d methods", n)
	}
}

func TestCallersAtOnce(t *testing.T) {
	l, err := New(Config{InitialLimit: 10, MaxLimit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	inside, most := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				call, ok := l.Acquire("m", Critical)
				if !ok {
					continue
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				l.Stats()
				mu.Lock()
				inside--
				mu.Unlock()
				call.Done(Succeeded)
			}
		})
	}
	wg.Wait()
	if s := l.Stats(); most > 10 || s.InFlight != 0 {
		t.Errorf("%d at once, %+v", most, s)
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	for want, config := range map[string]Config{
		"MinLimit: 5 is out of range; 1 to 4":             {MinLimit: 5, MaxLimit: 4},
		"MaxLimit: -1 is out of range":                    {MaxLimit: -1},
		"InitialLimit: 3 is out of range; 5 to 10000":     {InitialLimit: 3, MinLimit: 5},
		"Tolerance: 1 is out of range; 1.1 to 10":         {Tolerance: 1},
		"Tolerance: NaN is out of range":                  {Tolerance: math.NaN()},
		"SheddableShare: 0.9 is out of range; 0.1 to 0.5": {DefaultShare: 0.5, SheddableShare: 0.9},
		"Window: 1ns is out of range; 1ms to 1m0s":        {Window: 1},
		"Probe: 1ms is out of range; 1s to 1h0m0s":        {Probe: time.Millisecond},
		"RetryAfter: -1s is out of range":                 {RetryAfter: -time.Second},
	} {
		if _, err := New(config); err == nil || !strings.HasPrefix(err.Error(), "overload: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// fakeConn answers as it is told.
type fakeConn struct {
	err    error
	stream *fakeStream
	calls  int
}

func (f *fakeConn) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	f.calls++
	return f.err
}

func (f *fakeConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.stream, nil
}

type fakeStream struct {
	grpc.ClientStream
	ctx  context.Context
	sent error
}

func (f *fakeStream) Context() context.Context     { return f.ctx }
func (f *fakeStream) Header() (metadata.MD, error) { return nil, nil }
func (f *fakeStream) RecvMsg(any) error            { return nil }
func (f *fakeStream) SendMsg(any) error            { return f.sent }

func TestACallThatIsRefusedIsNotMadeAndTellsWhenToComeBack(t *testing.T) {
	l, _ := still(t, Config{InitialLimit: 2, RetryAfter: 1500 * time.Millisecond})
	fake := &fakeConn{}
	conn := l.Wrap(fake, ConnConfig{Priority: func(context.Context, string) Priority { return Critical }})
	if err := conn.Invoke(t.Context(), "/s/m", nil, nil); err != nil || l.Stats().InFlight != 0 {
		t.Fatal(err, l.Stats())
	}
	fill(l, Critical)
	err := conn.Invoke(t.Context(), "/s/m", nil, nil)
	_, streamErr := conn.NewStream(t.Context(), &grpc.StreamDesc{}, "/s/m")
	for _, err := range []error{err, streamErr} {
		p := problem.FromStatus(status.Convert(err))
		if p.Status != 503 || p.RetryAfter != 1500*time.Millisecond {
			t.Errorf("%v: %+v", err, p)
		}
	}
	if fake.calls != 1 {
		t.Errorf("%d calls were made", fake.calls)
	}
}

func TestAStreamIsInFlightUntilItIsAccepted(t *testing.T) {
	for name, accept := range map[string]func(grpc.ClientStream, context.CancelFunc){
		"headers come":     func(s grpc.ClientStream, _ context.CancelFunc) { _, _ = s.Header() },
		"a message comes":  func(s grpc.ClientStream, _ context.CancelFunc) { _ = s.RecvMsg(nil) },
		"it ended":         func(s grpc.ClientStream, _ context.CancelFunc) { _ = s.SendMsg(nil) },
		"it was cancelled": func(_ grpc.ClientStream, cancel context.CancelFunc) { cancel() },
	} {
		synctest.Test(t, func(t *testing.T) {
			l, _ := still(t, Config{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			conn := l.Wrap(&fakeConn{stream: &fakeStream{ctx: ctx, sent: io.EOF}}, ConnConfig{})
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{}, "/s/m")
			if err != nil || l.Stats().InFlight != 1 {
				t.Fatal(err, l.Stats())
			}
			accept(stream, cancel)
			synctest.Wait()
			if n := l.Stats().InFlight; n != 0 {
				t.Errorf("%s: %d in flight", name, n)
			}
		})
	}
	l, _ := still(t, Config{})
	conn := l.Wrap(&fakeConn{err: errors.New("no")}, ConnConfig{})
	if _, err := conn.NewStream(t.Context(), &grpc.StreamDesc{}, "/s/m"); err == nil || l.Stats().InFlight != 0 {
		t.Error(err, l.Stats())
	}
}

func TestWhatAStatusSaysAboutLoad(t *testing.T) {
	for code, want := range map[codes.Code]Outcome{
		codes.OK: Succeeded, codes.DeadlineExceeded: TimedOut, codes.Unavailable: Dropped,
		codes.ResourceExhausted: Ignored, codes.NotFound: Ignored, codes.Canceled: Ignored,
	} {
		if got := outcomeOf(status.Error(code, "")); got != want {
			t.Errorf("%v: %v", code, got)
		}
	}
	for code, want := range map[int]Outcome{200: Succeeded, 304: Succeeded, 404: Ignored, 500: Ignored, 503: Dropped, 504: TimedOut} {
		if got := outcomeOfStatus(code); got != want {
			t.Errorf("%v: %v", code, got)
		}
	}
}

func TestAMiddlewareRefusesWith503AndFreesWhatAPanicHeld(t *testing.T) {
	l, _ := still(t, Config{InitialLimit: 2})
	h := l.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}), MiddlewareConfig{Priority: func(r *http.Request) Priority {
		if r.URL.Path == "/livez" {
			return Critical
		}
		return Sheddable
	}})
	get := func(path string) int {
		w := httptest.NewRecorder()
		defer func() { _ = recover() }()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code == 503 && w.Header().Get("Retry-After") != "1" {
			t.Error(w.Header())
		}
		return w.Code
	}
	get("/panic")
	if got := get("/"); got != 200 {
		t.Errorf("%d: the panic holds a place", got)
	}
	fill(l, Sheddable)
	if busy, health := get("/"), get("/livez"); busy != 503 || health != 200 {
		t.Errorf("%d, health %d", busy, health)
	}
}

func BenchmarkCall(b *testing.B) {
	l, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if call, ok := l.Acquire("/a.B/C", Default); ok {
			call.Done(Succeeded)
		}
	}
}

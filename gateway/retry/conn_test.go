package retry

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// library answers as it is told, once for each call.
type library struct {
	testv1.UnimplementedLibraryServiceServer
	answer func(ctx context.Context, n int) error
	calls  int
}

func (l *library) GetBook(ctx context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
	l.calls++
	return &testv1.Book{Name: r.GetName()}, l.answer(ctx, l.calls)
}

func (l *library) CreateBook(ctx context.Context, _ *testv1.CreateBookRequest) (*testv1.Book, error) {
	l.calls++
	return &testv1.Book{}, l.answer(ctx, l.calls)
}

func (l *library) WatchBooks(_ *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
	l.calls++
	return l.answer(s.Context(), l.calls)
}

// serve runs f with a client of l over the real gRPC stack, in fake time.
func serve(t *testing.T, l *library, config Config, f func(*testing.T, testv1.LibraryServiceClient, *Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := bufconn.Listen(1 << 16)
		server := grpc.NewServer()
		testv1.RegisterLibraryServiceServer(server, l)
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(listener) }()
		cc, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := Wrap(cc, config)
		if err != nil {
			t.Fatal(err)
		}
		f(t, testv1.NewLibraryServiceClient(conn), conn)
		_ = cc.Close()
		server.Stop()
		<-done
	})
}

func failing(times int, code codes.Code) func(context.Context, int) error {
	return func(_ context.Context, n int) error {
		if n <= times {
			return status.Error(code, "told to")
		}
		return nil
	}
}

func TestAnIdempotentCallIsMadeAgain(t *testing.T) {
	l := &library{answer: failing(2, codes.Unavailable)}
	serve(t, l, Config{}, func(t *testing.T, client testv1.LibraryServiceClient, conn *Conn) {
		book, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "a"})
		if err != nil || book.GetName() != "a" || l.calls != 3 || conn.Stats().Retries != 2 {
			t.Errorf("%v %v, %d calls, %+v", book, err, l.calls, conn.Stats())
		}
	})
}

func TestACallIsMadeNoMoreOftenThanItMay(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(context.Context, int) error
		config Config
		want   int
	}{
		"it fails for good": {failing(9, codes.Unavailable), Config{}, 3},
		"one attempt":       {failing(9, codes.Unavailable), Config{MaxAttempts: 1}, 1},
		"another code":      {failing(9, codes.Internal), Config{}, 1},
		"that code too":     {failing(9, codes.Aborted), Config{Codes: []codes.Code{codes.Aborted}}, 3},
		"no budget":         {failing(9, codes.Unavailable), Config{Budget: Budget{MinPerSecond: -1}}, 1},
		"headers came": {func(ctx context.Context, _ int) error {
			_ = grpc.SendHeader(ctx, metadata.Pairs("a", "b"))
			return status.Error(codes.Unavailable, "told to")
		}, Config{}, 1},
		"pushed back for good": {func(ctx context.Context, _ int) error {
			_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackKey, "-1"))
			return status.Error(codes.Unavailable, "told to")
		}, Config{}, 1},
		"told to come back later than anybody waits": {func(context.Context, int) error {
			st, _ := status.New(codes.Unavailable, "told to").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
			return st.Err()
		}, Config{}, 1},
		"pushed back beyond the deadline": {func(ctx context.Context, _ int) error {
			_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackKey, "60000"))
			return status.Error(codes.Unavailable, "told to")
		}, Config{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := &library{answer: c.answer}
			serve(t, l, c.config, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
				_, err := client.GetBook(t.Context(), &testv1.GetBookRequest{})
				if err == nil || l.calls != c.want {
					t.Errorf("%v, %d calls, want %d", err, l.calls, c.want)
				}
			})
		})
	}
}

func TestOnlyWhatIsIdempotentIsMadeAgain(t *testing.T) {
	l := &library{answer: failing(9, codes.Unavailable)}
	serve(t, l, Config{}, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
		if _, err := client.CreateBook(t.Context(), &testv1.CreateBookRequest{}); err == nil || l.calls != 1 {
			t.Errorf("%v, %d calls", err, l.calls)
		}
	})
	l.calls = 0
	serve(t, l, Config{Idempotent: []string{testv1.LibraryService_CreateBook_FullMethodName}}, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
		if _, err := client.CreateBook(t.Context(), &testv1.CreateBookRequest{}); err == nil || l.calls != 3 {
			t.Errorf("%v, %d calls", err, l.calls)
		}
	})
}

func TestAMethodSaysThatItIsIdempotent(t *testing.T) {
	methods := testv1.File_evenkeel_test_v1_library_proto.Services().ByName("LibraryService").Methods()
	for name, want := range map[protoreflect.Name]bool{"GetBook": true, "CreateBook": false, "DeleteBook": false, "Echo": true, "Internal": false} {
		if got := Idempotent(methods.ByName(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	m := newMethods(nil)
	for _, unknown := range []string{"", "/", "/a/b", "/google.protobuf.Any"} {
		if m.idempotent(unknown) {
			t.Errorf("%q is idempotent", unknown)
		}
	}
	m.known.Range(func(k, _ any) bool {
		t.Errorf("%v is remembered", k)
		return true
	})
}

func TestAServerSaysWhenToComeBack(t *testing.T) {
	var times []time.Time
	l := &library{answer: func(ctx context.Context, n int) error {
		times = append(times, time.Now())
		switch n {
		case 1:
			_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackKey, "3000"))
			return status.Error(codes.Unavailable, "told to")
		case 2:
			st, _ := status.New(codes.Unavailable, "told to").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(400 * time.Millisecond)})
			return st.Err()
		default:
			return nil
		}
	}}
	serve(t, l, Config{}, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); err != nil || len(times) != 3 {
			t.Fatal(err, times)
		}
		if first, second := times[1].Sub(times[0]), times[2].Sub(times[1]); first != 3*time.Second || second != 400*time.Millisecond {
			t.Errorf("it waited %v and %v", first, second)
		}
	})
}

func TestACallLeavesTimeToAnswer(t *testing.T) {
	for _, c := range []struct {
		config     Config
		given, got time.Duration
	}{
		{Config{}, time.Second, 980 * time.Millisecond},
		{Config{}, 100 * time.Millisecond, 90 * time.Millisecond},
		{Config{Reserve: -1}, time.Second, time.Second},
		{Config{Reserve: 5 * time.Second}, time.Second, 900 * time.Millisecond},
		{Config{Timeout: 3 * time.Second}, 0, 3 * time.Second},
	} {
		var left time.Duration
		l := &library{answer: func(ctx context.Context, _ int) error {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return nil
		}}
		serve(t, l, c.config, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
			ctx := t.Context()
			if c.given > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.given)
				defer cancel()
			}
			if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); err != nil || left != c.got {
				t.Errorf("%+v, given %v: %v, want %v (%v)", c.config, c.given, left, c.got, err)
			}
			stream, err := client.WatchBooks(ctx, &testv1.WatchBooksRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) || c.given > 0 && left != c.got {
				t.Errorf("stream %+v, given %v: %v (%v)", c.config, c.given, left, err)
			}
		})
	}
}

func TestAnAttemptThatHangsIsMadeAgain(t *testing.T) {
	l := &library{answer: func(ctx context.Context, n int) error {
		if n == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	serve(t, l, Config{AttemptTimeout: 200 * time.Millisecond}, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
		start := time.Now()
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); err != nil || l.calls != 2 || time.Since(start) > 300*time.Millisecond {
			t.Errorf("%v, %d calls, %v", err, l.calls, time.Since(start))
		}
	})
}

func TestACallerThatIsGoneEndsIt(t *testing.T) {
	l := &library{answer: failing(9, codes.Unavailable)}
	config := Config{InitialBackoff: time.Minute, MaxBackoff: time.Minute, Timeout: time.Hour, Random: func() float64 { return 1 }}
	serve(t, l, config, func(t *testing.T, client testv1.LibraryServiceClient, _ *Conn) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); err == nil || l.calls != 1 || time.Since(start) != time.Second {
			t.Errorf("%v, %d calls, %v", err, l.calls, time.Since(start))
		}
	})
}

func TestAServiceThatIsDownIsNotCalledManyTimesAsOften(t *testing.T) {
	l := &library{answer: failing(1<<30, codes.Unavailable)}
	serve(t, l, Config{}, func(t *testing.T, client testv1.LibraryServiceClient, conn *Conn) {
		const calls = 1000
		for range calls {
			_, _ = client.GetBook(t.Context(), &testv1.GetBookRequest{})
		}
		if extra := l.calls - calls; extra > calls/10+60 || conn.Stats().OverBudget == 0 {
			t.Errorf("%d more calls, %+v", extra, conn.Stats())
		}
	})
}

func TestWaitsGrowAndAreDrawnEvenly(t *testing.T) {
	at := 0.5
	c, err := Wrap(nil, Config{Random: func() float64 { return at }, InitialBackoff: 100 * time.Millisecond, MaxBackoff: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []time.Duration{50, 100, 150, 150} {
		if got := c.backoff(n + 1); got != want*time.Millisecond {
			t.Errorf("retry %d: %v", n+1, got)
		}
	}
	if at = 0; c.backoff(1) != 0 {
		t.Error("there is a least wait")
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	for want, config := range map[string]Config{
		"MaxAttempts: 6 is out of range; 1 to 5":   {MaxAttempts: 6},
		"Codes[1]: NotFound would be the same":     {Codes: []codes.Code{codes.Unavailable, codes.NotFound}},
		"Codes[0]: Code(99) would be the same":     {Codes: []codes.Code{99}},
		"Idempotent[0]: \"a.B/C\" is not the full": {Idempotent: []string{"a.B/C"}},
		"Idempotent[0]: \"/a.B\" is not the full":  {Idempotent: []string{"/a.B"}},
		"MaxBackoff: 1ms is out of range":          {MaxBackoff: time.Millisecond},
		"Budget.Ratio: 2 is out of range":          {Budget: Budget{Ratio: 2}},
		"Budget.Ratio: -1 is out of range":         {Budget: Budget{Ratio: -1}},
		"Reserve: 11s is out of range":             {Reserve: 11 * time.Second},
		"AttemptTimeout: -1ns is out of range":     {AttemptTimeout: -1},
		"Timeout: -1s is out of range":             {Timeout: -time.Second},
	} {
		if _, err := Wrap(nil, config); err == nil || !strings.HasPrefix(err.Error(), "retry: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzPushback(f *testing.F) {
	for _, seed := range []string{"0", "-1", "250", "", "1e3", "99999999999999999999", "+5"} {
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, value string, twice bool) {
		trailer := metadata.MD{pushbackKey: {value}}
		if twice {
			trailer[pushbackKey] = append(trailer[pushbackKey], value)
		}
		p := pushbackOf(trailer, status.New(codes.Unavailable, ""), time.Second)
		if p.wait < 0 || p.set == p.never || twice && !p.never {
			t.Errorf("%q: %+v", value, p)
		}
	})
}

package inprocess_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// library is a service whose methods do what a test says.
type library struct {
	testv1.UnimplementedLibraryServiceServer
	get    func(context.Context, *testv1.GetBookRequest) (*testv1.Book, error)
	watch  func(*testv1.WatchBooksRequest, grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error
	upload func(grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error
	chat   func(grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error
}

func (l *library) GetBook(ctx context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
	return l.get(ctx, r)
}

func (l *library) WatchBooks(r *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
	return l.watch(r, s)
}

func (l *library) UploadBooks(s grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
	return l.upload(s)
}

func (l *library) Chat(s grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
	return l.chat(s)
}

type interceptors struct {
	unary  []grpc.UnaryServerInterceptor
	stream []grpc.StreamServerInterceptor
}

// over runs a test over both, in memory and over TCP: it says what gRPC does, and
// holds this package to it. Nothing may be left running.
func over(t *testing.T, l *library, i interceptors, f func(*testing.T, testv1.LibraryServiceClient, grpc.ClientConnInterface)) {
	t.Helper()
	inFakeTime(t, l, i, f)
	t.Run("over TCP", func(t *testing.T) {
		leaktest.Check(t)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		overNetwork(t, l, i, listener, func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
		}, f)
	})
}

// inFakeTime is for tests that wait for something that is not told: TCP does not
// go by fake time.
func inFakeTime(t *testing.T, l *library, i interceptors, f func(*testing.T, testv1.LibraryServiceClient, grpc.ClientConnInterface)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, err := inprocess.New(inprocess.Config{
				UnaryInterceptors: i.unary, StreamInterceptors: i.stream, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			testv1.RegisterLibraryServiceServer(server, l)
			f(t, testv1.NewLibraryServiceClient(server), server)
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("over a network", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			listener := bufconn.Listen(1 << 16)
			overNetwork(t, l, i, listener, func(context.Context, string) (net.Conn, error) { return listener.Dial() }, f)
		})
	})
}

func overNetwork(t *testing.T, l *library, i interceptors, listener net.Listener, dial func(context.Context, string) (net.Conn, error), f func(*testing.T, testv1.LibraryServiceClient, grpc.ClientConnInterface)) {
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(append([]grpc.UnaryServerInterceptor{recoverUnary}, i.unary...)...),
		grpc.ChainStreamInterceptor(append([]grpc.StreamServerInterceptor{recoverStream}, i.stream...)...),
	)
	testv1.RegisterLibraryServiceServer(server, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///network", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	f(t, testv1.NewLibraryServiceClient(conn), conn)
	_ = conn.Close()
	server.Stop()
	<-done
}

// The real server does not isolate panics by itself.
func recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "the handler panicked")
		}
	}()
	return handler(ctx, req)
}

func recoverStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if recover() != nil {
			err = status.Error(codes.Internal, "the handler panicked")
		}
	}()
	return handler(srv, ss)
}

func TestAUnaryCallCarriesItsMessages(t *testing.T) {
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		return &testv1.Book{Name: r.GetName(), Labels: map[string]string{"a": "b"}}, nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		book, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "x"})
		if err != nil || book.GetName() != "x" || book.GetLabels()["a"] != "b" {
			t.Errorf("%v %v", book, err)
		}
	})
}

func TestMetadataTravelsBothWays(t *testing.T) {
	seen := func(ctx context.Context) []string {
		md, _ := metadata.FromIncomingContext(ctx)
		if len(md.Get(":authority")) != 1 || len(md.Get("content-type")) != 1 || len(md.Get("user-agent")) != 1 {
			return []string{"the transport's own is missing"}
		}
		if len(md.Get("grpc-timeout"))+len(md.Get("te")) != 0 {
			return []string{"the transport's own is told"}
		}
		return append(append([]string{}, md.Get("a")...), md.Get("b-bin")...)
	}
	set := func(ctx context.Context) {
		_ = grpc.SetHeader(ctx, metadata.Pairs("h", "1"))
		_ = grpc.SetHeader(ctx, metadata.Pairs("h", "2", "h-bin", "\x00\xff"))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "2", "grpc-status", "7", "content-type", "evil"))
	}
	check := func(t *testing.T, header, trailer metadata.MD) {
		t.Helper()
		if !reflect.DeepEqual(header.Get("h"), []string{"1", "2"}) || header.Get("h-bin")[0] != "\x00\xff" || header.Get("content-type")[0] != "application/grpc" {
			t.Errorf("header %v", header)
		}
		if !reflect.DeepEqual(trailer.Get("t"), []string{"1", "2"}) || len(trailer.Get("grpc-status")) != 0 {
			t.Errorf("trailer %v", trailer)
		}
	}
	var got []string
	l := &library{
		get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
			got = seen(ctx)
			set(ctx)
			return &testv1.Book{}, nil
		},
		watch: func(_ *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
			got = seen(s.Context())
			set(s.Context())
			return s.Send(&testv1.WatchBooksResponse{})
		},
	}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "A", "1", "a", "2", "b-bin", "\x00\xfe", "te", "x", "content-type", "evil")
		want := []string{"1", "2", "\x00\xfe"}
		var header, trailer metadata.MD
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q %v", got, err)
		}
		check(t, header, trailer)

		stream, err := client.WatchBooks(ctx, &testv1.WatchBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if header, err = stream.Header(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q %v", got, err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		check(t, header, stream.Trailer())
		if header["h"] = nil; true { // what is told is the caller's
			again, _ := stream.Header()
			check(t, again, stream.Trailer())
		}
	})
}

func TestMetadataThatCannotBeSentIsRefused(t *testing.T) {
	wrong := []metadata.MD{{"a b": {"1"}}, {"a": {"\n"}}, {"": {"x"}}}
	l := &library{watch: func(_ *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
		for _, md := range wrong {
			if s.SetHeader(md) == nil || s.SendHeader(md) == nil {
				return fmt.Errorf("%v is taken", md)
			}
		}
		return nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		for _, md := range wrong {
			_, err := client.GetBook(metadata.NewOutgoingContext(t.Context(), md), &testv1.GetBookRequest{})
			if status.Code(err) != codes.Internal {
				t.Errorf("%v: %v", md, err)
			}
		}
		stream, err := client.WatchBooks(t.Context(), &testv1.WatchBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

func TestAStatusArrivesWithItsDetails(t *testing.T) {
	detailed, err := status.New(codes.NotFound, "no book").WithDetails(&errdetails.ResourceInfo{ResourceName: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		want codes.Code
		text string
	}{
		"a status":          {detailed.Err(), codes.NotFound, "no book"},
		"one that is wrong": {fmt.Errorf("around: %w", detailed.Err()), codes.NotFound, "around: rpc error: code = NotFound desc = no book"},
		"an error":          {errors.New("oh"), codes.Unknown, "oh"},
		"a deadline":        {context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		"io.EOF":            {io.EOF, codes.Unknown, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &library{
				get: func(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) { return nil, c.err },
				chat: func(s grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
					_ = s.Send(&testv1.ChatResponse{Text: "a"})
					return c.err
				},
			}
			over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
				check := func(err error) {
					t.Helper()
					st := status.Convert(err)
					if st.Code() != c.want || st.Message() != c.text || c.want == codes.NotFound && len(st.Details()) != 1 {
						t.Errorf("%v, details %v", st, st.Details())
					}
				}
				var header metadata.MD
				_, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}, grpc.Header(&header))
				check(err)
				if len(header) != 0 {
					t.Errorf("a response of trailers only has headers %v", header)
				}
				stream, err := client.Chat(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if m, err := stream.Recv(); err != nil || m.GetText() != "a" {
					t.Errorf("%v %v", m, err)
				}
				for range 2 {
					_, err = stream.Recv()
					check(err)
				}
			})
		})
	}
}

func TestHeadersThatWereSetArriveWithAnError(t *testing.T) {
	l := &library{get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
		_ = grpc.SetHeader(ctx, metadata.Pairs("h", "1"))
		return nil, status.Error(codes.Aborted, "no")
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		var header metadata.MD
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}, grpc.Header(&header)); status.Code(err) != codes.Aborted || len(header.Get("h")) != 1 {
			t.Errorf("%v %v", err, header)
		}
	})
}

// TestAStreamThatEndsAtOnceHasNoHeader: by that, callers know that no message
// is to come.
func TestAStreamThatEndsAtOnceHasNoHeader(t *testing.T) {
	l := &library{watch: func(*testv1.WatchBooksRequest, grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
		return status.Error(codes.NotFound, "no books")
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		stream, err := client.WatchBooks(t.Context(), &testv1.WatchBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if header, err := stream.Header(); header != nil || err != nil {
			t.Errorf("%v, %v", header, err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.NotFound {
			t.Error(err)
		}
	})
}

func TestADeadlineReachesTheHandlerAndEndsTheCall(t *testing.T) {
	heeded := make(chan error, 2)
	l := &library{
		get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); !ok || left > time.Second || left < 900*time.Millisecond {
				return nil, fmt.Errorf("%v left", left)
			}
			<-ctx.Done()
			heeded <- ctx.Err()
			return nil, ctx.Err()
		},
		watch: func(_ *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
			<-s.Context().Done()
			heeded <- s.Context().Err()
			return s.Context().Err()
		},
	}
	inFakeTime(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); status.Code(err) != codes.DeadlineExceeded || time.Since(start) > 1001*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := <-heeded; err == nil {
			t.Error("the handler's context did not end")
		}
		ctx, cancel = context.WithCancel(t.Context())
		stream, err := client.WatchBooks(ctx, &testv1.WatchBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if err := <-heeded; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	})
}

func TestACallerDoesNotWaitForAHandlerThatDoesNotHeed(t *testing.T) {
	l := &library{get: func(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) {
		time.Sleep(time.Hour)
		return &testv1.Book{Name: "late"}, nil
	}}
	inFakeTime(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); status.Code(err) != codes.DeadlineExceeded || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Hour)
	})
}

type key struct{}

func TestAHandlersContextHasNoneOfItsCallersValues(t *testing.T) {
	var value any
	l := &library{
		get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
			value = ctx.Value(key{})
			if md, ok := metadata.FromOutgoingContext(ctx); ok {
				value = md
			}
			if m, _ := grpc.Method(ctx); m != testv1.LibraryService_GetBook_FullMethodName {
				value = m
			}
			p, ok := peer.FromContext(ctx)
			if !ok || p.Addr == nil || p.LocalAddr == nil {
				value = p
			}
			return &testv1.Book{}, nil
		},
	}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx := metadata.AppendToOutgoingContext(context.WithValue(t.Context(), key{}, "secret"), "a", "b")
		var p peer.Peer
		if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}, grpc.Peer(&p)); err != nil || value != nil || p.Addr == nil {
			t.Errorf("%v %v %v", value, p, err)
		}
	})
}

func TestInterceptorsRunInTheirOrder(t *testing.T) {
	var order []string
	unary := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			order = append(order, name+" "+info.FullMethod)
			req.(*testv1.GetBookRequest).Name += name
			resp, err := handler(context.WithValue(ctx, key{}, name), req)
			order = append(order, name)
			return resp, err
		}
	}
	stream := func(name string) grpc.StreamServerInterceptor {
		return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			order = append(order, fmt.Sprint(name, " ", info.FullMethod, info.IsClientStream, info.IsServerStream))
			err := handler(srv, ss)
			order = append(order, name)
			return err
		}
	}
	l := &library{
		get: func(ctx context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
			order = append(order, fmt.Sprint("handler ", r.GetName(), ctx.Value(key{})))
			return &testv1.Book{}, nil
		},
		watch: func(*testv1.WatchBooksRequest, grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
			order = append(order, "handler")
			return nil
		},
	}
	i := interceptors{
		[]grpc.UnaryServerInterceptor{unary("1"), unary("2"), unary("3")},
		[]grpc.StreamServerInterceptor{stream("1"), stream("2"), stream("3")},
	}
	inFakeTime(t, l, i, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		order = nil
		_, _ = client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "n"})
		if got, want := strings.Join(order, ","), "1 M,2 M,3 M,handler n1233,3,2,1"; got != strings.ReplaceAll(want, "M", testv1.LibraryService_GetBook_FullMethodName) {
			t.Error(got)
		}
		order = nil
		s, _ := client.WatchBooks(t.Context(), &testv1.WatchBooksRequest{})
		_, _ = s.Recv()
		synctest.Wait()
		if got, want := strings.Join(order, ","), "1 M,2 M,3 M,handler,3,2,1"; got != strings.ReplaceAll(want, "M", testv1.LibraryService_WatchBooks_FullMethodName+"false true") {
			t.Error(got)
		}
	})
}

func TestAPanicFailsItsOwnCallOnly(t *testing.T) {
	l := &library{
		get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
			if r.GetName() == "panic" {
				panic("secret")
			}
			return &testv1.Book{}, nil
		},
		upload: func(grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
			panic("secret")
		},
	}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		check := func(err error) {
			t.Helper()
			if st := status.Convert(err); st.Code() != codes.Internal || strings.Contains(st.Message(), "secret") {
				t.Error(err)
			}
		}
		_, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "panic"})
		check(err)
		stream, err := client.UploadBooks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.CloseAndRecv()
		check(err)
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); err != nil {
			t.Error(err)
		}
	})
}

func TestNeitherSideCanChangeWhatTheOtherHolds(t *testing.T) {
	var held *testv1.GetBookRequest
	answer := &testv1.Book{Labels: map[string]string{"a": "b"}}
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		held = r
		return answer, nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		request := &testv1.GetBookRequest{Name: "x"}
		book, err := client.GetBook(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		request.Name, book.Labels["a"] = "changed", "changed"
		if held == request || held.GetName() != "x" || answer == book || answer.GetLabels()["a"] != "b" {
			t.Error("a message is shared")
		}
	})
}

func TestMessagesAreBounded(t *testing.T) {
	large := strings.Repeat("x", 5<<20)
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		return &testv1.Book{Name: large[:len(large)*len(r.GetName())/10]}, nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		for name, c := range map[string]struct {
			request string
			opts    []grpc.CallOption
			want    codes.Code
		}{
			"a large request":        {large, nil, codes.ResourceExhausted},
			"a large response":       {"0123456789", nil, codes.ResourceExhausted},
			"a larger bound":         {"0123456789", []grpc.CallOption{grpc.MaxCallRecvMsgSize(6 << 20)}, codes.OK},
			"a small bound":          {"0", []grpc.CallOption{grpc.MaxCallRecvMsgSize(10)}, codes.ResourceExhausted},
			"a small bound for both": {"0", []grpc.CallOption{grpc.MaxCallSendMsgSize(1)}, codes.ResourceExhausted},
		} {
			if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: c.request}, c.opts...); status.Code(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestMethodsThatAreNotThereAreUnimplemented(t *testing.T) {
	over(t, &library{}, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, conn grpc.ClientConnInterface) {
		for _, method := range []string{"/a.B/C", "/evenkeel.test.v1.LibraryService/Nothing", "/malformed"} {
			if err := conn.Invoke(t.Context(), method, &testv1.GetBookRequest{}, &testv1.Book{}); status.Code(err) != codes.Unimplemented {
				t.Errorf("%s: %v", method, err)
			}
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
			if err != nil {
				t.Errorf("%s: %v", method, err)
				continue
			}
			if err := stream.RecvMsg(&testv1.Book{}); status.Code(err) != codes.Unimplemented {
				t.Errorf("%s: %v", method, err)
			}
		}
		if _, err := client.ListBooks(t.Context(), &testv1.ListBooksRequest{}); status.Code(err) != codes.Unimplemented {
			t.Error(err)
		}
	})
}

func TestCallersAreToldWhenACallHasEnded(t *testing.T) {
	l := &library{
		get: func(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) {
			return nil, status.Error(codes.Aborted, "")
		},
		watch: func(*testv1.WatchBooksRequest, grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
			return nil
		},
	}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		var told []error
		option := grpc.OnFinish(func(err error) { told = append(told, err) })
		_, _ = client.GetBook(t.Context(), &testv1.GetBookRequest{}, option)
		stream, err := client.WatchBooks(t.Context(), &testv1.WatchBooksRequest{}, option)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Recv()
		if len(told) != 2 || status.Code(told[0]) != codes.Aborted || told[1] != nil {
			t.Errorf("%v", told)
		}
		if stream.Context().Err() == nil {
			t.Error("the stream's context goes on")
		}
	})
}

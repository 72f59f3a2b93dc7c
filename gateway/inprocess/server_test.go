package inprocess_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func newServer(t testing.TB, l *library, config inprocess.Config) (*inprocess.Server, testv1.LibraryServiceClient) {
	t.Helper()
	s, err := inprocess.New(config)
	if err != nil {
		t.Fatal(err)
	}
	testv1.RegisterLibraryServiceServer(s, l)
	return s, testv1.NewLibraryServiceClient(s)
}

func TestCloseCancelsAndWaitsAndShutdownWaitsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := true
		l := &library{get: func(ctx context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
			time.Sleep(time.Second)
			running = false
			return &testv1.Book{}, ctx.Err()
		}}
		call := func(client testv1.LibraryServiceClient) <-chan error {
			running = true
			done := make(chan error, 1)
			go func() {
				_, err := client.GetBook(context.Background(), &testv1.GetBookRequest{})
				done <- err
			}()
			synctest.Wait()
			return done
		}

		s, client := newServer(t, l, inprocess.Config{})
		done := call(client)
		if err := s.Close(); err != nil || running {
			t.Error("it did not wait")
		}
		if err := <-done; status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		if _, err := client.Chat(t.Context()); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}

		s, client = newServer(t, l, inprocess.Config{})
		done = call(client)
		if err := s.Shutdown(t.Context()); err != nil || running {
			t.Error("it did not wait", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}

		s, client = newServer(t, l, inprocess.Config{})
		done = call(client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-done; status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	})
}

func TestAPanicIsLoggedWithItsStack(t *testing.T) {
	var log bytes.Buffer
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		if r.GetName() == "exit" {
			runtime.Goexit()
		}
		panic("oh")
	}}
	s, client := newServer(t, l, inprocess.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, name := range []string{"panic", "exit"} {
		if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: name}); status.Code(err) != codes.Internal {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"panic=oh", "server_test.go", testv1.LibraryService_GetBook_FullMethodName, "ended its goroutine"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, log.String())
		}
	}
}

func TestRequestsAndPeersAreAsConfigured(t *testing.T) {
	var seen credentials.AuthInfo
	l := &library{get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
		p, _ := peer.FromContext(ctx)
		seen = p.AuthInfo
		return &testv1.Book{}, nil
	}}
	_, client := newServer(t, l, inprocess.Config{MaxReceiveBytes: 10, AuthInfo: credentials.TLSInfo{SPIFFEID: nil}})
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "0123456789"}); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); err != nil || seen.AuthType() != "tls" {
		t.Error(seen, err)
	}
	_, client = newServer(t, l, inprocess.Config{})
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}); err != nil || credentials.CheckSecurityLevel(seen, credentials.PrivacyAndIntegrity) != nil {
		t.Error(seen, err)
	}
}

// token is what a caller adds to its calls.
type token struct{ err error }

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"Authorization": "Bearer x"}, t.err
}
func (token) RequireTransportSecurity() bool { return true }

func TestCredentialsOfACallAreSent(t *testing.T) {
	var seen []string
	l := &library{get: func(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen = md.Get("authorization")
		return &testv1.Book{}, nil
	}}
	_, client := newServer(t, l, inprocess.Config{})
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}, grpc.PerRPCCredentials(token{})); err != nil || len(seen) != 1 || seen[0] != "Bearer x" {
		t.Error(seen, err)
	}
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}, grpc.PerRPCCredentials(token{errors.New("no")})); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

// rawCodec leaves a message as it is on the wire.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func TestACallersCodecGetsWhatIsOnTheWire(t *testing.T) {
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		return &testv1.Book{Name: r.GetName()}, nil
	}}
	s, client := newServer(t, l, inprocess.Config{})
	request, reply := []byte("\x0a\x01x"), []byte(nil)
	err := s.Invoke(t.Context(), testv1.LibraryService_GetBook_FullMethodName, &request, &reply, grpc.ForceCodecV2(rawCodec{}))
	if err != nil || string(reply) != "\x0a\x01x" {
		t.Errorf("%q %v", reply, err)
	}
	if _, err := client.GetBook(t.Context(), &testv1.GetBookRequest{}, grpc.CallContentSubtype("nothing")); status.Code(err) != codes.Internal {
		t.Error(err)
	}
	if book, err := client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "y"}, grpc.CallContentSubtype("proto")); err != nil || book.GetName() != "y" {
		t.Error(book, err)
	}
}

func TestWhatIsRegisteredIsTold(t *testing.T) {
	s, _ := newServer(t, &library{}, inprocess.Config{})
	info, ok := s.GetServiceInfo()["evenkeel.test.v1.LibraryService"]
	if !ok || len(info.Methods) != len(testv1.LibraryService_ServiceDesc.Methods)+len(testv1.LibraryService_ServiceDesc.Streams) || info.Metadata == nil {
		t.Errorf("%+v", info)
	}
	for name, register := range map[string]func(){
		"twice":      func() { testv1.RegisterLibraryServiceServer(s, &library{}) },
		"wrong type": func() { s.RegisterService(&grpc.ServiceDesc{ServiceName: "x", HandlerType: (*error)(nil)}, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it is taken", name)
				}
			}()
			register()
		}()
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	for want, config := range map[string]inprocess.Config{
		"UnaryInterceptors[0]: is nil":         {UnaryInterceptors: []grpc.UnaryServerInterceptor{nil}},
		"StreamInterceptors[0]: is nil":        {StreamInterceptors: []grpc.StreamServerInterceptor{nil}},
		"MaxReceiveBytes: -1 is out of range":  {MaxReceiveBytes: -1},
		"WindowBytes: -1 is out of range":      {WindowBytes: -1},
		"WindowBytes: 1073741825 is out of ra": {WindowBytes: 1<<30 + 1},
	} {
		if _, err := inprocess.New(config); err == nil || !strings.HasPrefix(err.Error(), "inprocess: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func BenchmarkUnary(b *testing.B) {
	book := &testv1.Book{Name: strings.Repeat("x", 500), Labels: map[string]string{"a": "b", "c": "d"}}
	l := &library{get: func(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) { return book, nil }}
	_, client := newServer(b, l, inprocess.Config{})
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	request := &testv1.GetBookRequest{Name: "x"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.GetBook(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

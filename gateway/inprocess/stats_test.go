package inprocess_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// recorder keeps what a stats handler is told. What it puts into the context of
// a call must go out with it, as tracing wants it.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	r.add("Tag", info.FullMethodName, md.Get("trace"))
	return metadata.AppendToOutgoingContext(ctx, "trace", "t")
}

func (r *recorder) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.Begin:
		r.add("Begin", s.Client, s.IsClientStream, s.IsServerStream)
	case *stats.InHeader:
		r.add("InHeader", s.Client, s.FullMethod, s.Header.Get("trace"), s.Header.Get("h"))
	case *stats.OutHeader:
		r.add("OutHeader", s.Client, s.Header.Get("h"))
	case *stats.InPayload:
		r.add("InPayload", s.Client, s.Payload, s.Length)
	case *stats.OutPayload:
		r.add("OutPayload", s.Client, s.Payload, s.Length)
	case *stats.InTrailer:
		r.add("InTrailer", s.Client, s.Trailer.Get("t"))
	case *stats.OutTrailer:
		r.add("OutTrailer", s.Client, s.Trailer.Get("t"))
	case *stats.End:
		r.add("End", s.Client, status.Code(s.Error))
	}
}

func (*recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*recorder) HandleConn(context.Context, stats.ConnStats)                       {}

func (r *recorder) add(what ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, strings.ReplaceAll(fmt.Sprintln(what...), "  ", " "))
}

// take returns what was recorded. A transport tells of what comes in when it
// comes, so that the order of both directions differs; that is not compared.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.events)
	all := strings.Join(r.events, "")
	r.events = nil
	return all
}

func TestStatsHandlersAreToldWhatTheyAreOverANetwork(t *testing.T) {
	l := &library{
		get: func(ctx context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
			if r.GetName() == "" {
				return nil, status.Error(codes.NotFound, "")
			}
			_ = grpc.SetHeader(ctx, metadata.Pairs("h", "1"))
			return &testv1.Book{Name: r.GetName()}, nil
		},
		chat: func(s grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
			for {
				m, err := s.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.Send(&testv1.ChatResponse{Text: m.GetText()}); err != nil {
					return err
				}
			}
		},
	}
	calls := map[string]func(*testing.T, testv1.LibraryServiceClient){
		"unary": func(t *testing.T, client testv1.LibraryServiceClient) {
			_, _ = client.GetBook(t.Context(), &testv1.GetBookRequest{Name: "x"})
		},
		"unary that fails": func(t *testing.T, client testv1.LibraryServiceClient) {
			_, _ = client.GetBook(t.Context(), &testv1.GetBookRequest{})
		},
		"stream": func(t *testing.T, client testv1.LibraryServiceClient) {
			stream, err := client.Chat(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_ = stream.Send(&testv1.ChatRequest{Text: "a"})
				_, _ = stream.Recv()
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
		},
	}
	run := func(t *testing.T, call func(*testing.T, testv1.LibraryServiceClient), network bool) (client, server string) {
		var c, s recorder
		synctest.Test(t, func(t *testing.T) {
			if !network {
				srv, err := inprocess.New(inprocess.Config{ServerStats: []stats.Handler{&s}, ClientStats: []stats.Handler{&c}})
				if err != nil {
					t.Fatal(err)
				}
				testv1.RegisterLibraryServiceServer(srv, l)
				call(t, testv1.NewLibraryServiceClient(srv))
				_ = srv.Close()
				return
			}
			listener := bufconn.Listen(1 << 16)
			srv := grpc.NewServer(grpc.StatsHandler(&s))
			testv1.RegisterLibraryServiceServer(srv, l)
			done := make(chan struct{})
			go func() { defer close(done); _ = srv.Serve(listener) }()
			conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(&c),
				grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
			if err != nil {
				t.Fatal(err)
			}
			call(t, testv1.NewLibraryServiceClient(conn))
			synctest.Wait()
			_ = conn.Close()
			srv.Stop()
			<-done
		})
		return c.take(), s.take()
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			client, server := run(t, call, false)
			wantClient, wantServer := run(t, call, true)
			if client != wantClient {
				t.Errorf("client:\n%s\nover a network:\n%s", client, wantClient)
			}
			if server != wantServer {
				t.Errorf("server:\n%s\nover a network:\n%s", server, wantServer)
			}
			if !strings.Contains(server, "[t]") {
				t.Errorf("what was put into the context did not go out:\n%s", server)
			}
		})
	}
}

package inprocess_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func TestAServerStreamIsReadToItsEnd(t *testing.T) {
	l := &library{watch: func(r *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
		for i := range r.GetCount() {
			if err := s.Send(&testv1.WatchBooksResponse{Book: &testv1.Book{Name: fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		return nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		for _, count := range []int32{0, 1, 1000} {
			stream, err := client.WatchBooks(t.Context(), &testv1.WatchBooksRequest{Count: count})
			if err != nil {
				t.Fatal(err)
			}
			n := int32(0)
			for {
				m, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || m.GetBook().GetName() != fmt.Sprint(n) {
					t.Fatal(m, err)
				}
				n++
			}
			if n != count {
				t.Errorf("%d of %d", n, count)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
	})
}

func TestAClientStreamIsAnsweredOnce(t *testing.T) {
	l := &library{upload: func(s grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
		for n := int32(0); ; n++ {
			m, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return s.SendAndClose(&testv1.UploadBooksResponse{Count: n})
			}
			if err != nil {
				return err
			}
			if m.GetBook().GetName() == "stop" {
				return status.Error(codes.OutOfRange, "enough")
			}
		}
	}}
	inFakeTime(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		for _, count := range []int32{0, 1, 1000} {
			stream, err := client.UploadBooks(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range count {
				if err := stream.Send(&testv1.UploadBooksRequest{Book: &testv1.Book{Name: fmt.Sprint(i)}}); err != nil {
					t.Fatal(err)
				}
			}
			if m, err := stream.CloseAndRecv(); err != nil || m.GetCount() != count {
				t.Errorf("%v %v", m, err)
			}
		}
		// A handler that ends early: sending tells that it did, receiving why.
		stream, err := client.UploadBooks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			err = stream.Send(&testv1.UploadBooksRequest{Book: &testv1.Book{Name: "stop"}})
			synctest.Wait()
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if _, err := stream.CloseAndRecv(); status.Code(err) != codes.OutOfRange {
			t.Error(err)
		}
	})
}

func TestBothSidesTalkAtOnce(t *testing.T) {
	l := &library{chat: func(s grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
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
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		stream, err := client.Chat(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 2000 {
				if err := stream.Send(&testv1.ChatRequest{Text: fmt.Sprint(i)}); err != nil {
					t.Error(err)
					return
				}
			}
			_ = stream.CloseSend()
		})
		for i := 0; ; i++ {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				if i != 2000 {
					t.Errorf("%d answers", i)
				}
				break
			}
			if err != nil || m.GetText() != fmt.Sprint(i) {
				t.Fatal(i, m, err)
			}
		}
		wg.Wait()
	})
}

func TestASenderWaitsForWhoDoesNotRead(t *testing.T) {
	sent := 0
	l := &library{watch: func(_ *testv1.WatchBooksRequest, s grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
		book := &testv1.Book{Name: strings.Repeat("x", 1<<10)}
		for sent = 0; ; sent++ {
			if err := s.Send(&testv1.WatchBooksResponse{Book: book}); err != nil {
				return err
			}
		}
	}}
	inFakeTime(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := client.WatchBooks(ctx, &testv1.WatchBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first := sent
		if first < 10 || first > 1000 {
			t.Errorf("%d messages were sent to nobody", first)
		}
		for range first {
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if sent <= first {
			t.Error("it does not go on")
		}
		cancel()
		for err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.Canceled {
			t.Error(err)
		}
	})
}

func TestAHandlerIsToldThatItsCallerIsGone(t *testing.T) {
	told := make(chan error, 2)
	l := &library{chat: func(s grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
		_, err := s.Recv()
		told <- err
		told <- s.Context().Err()
		return err
	}}
	inFakeTime(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := client.Chat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if err := <-told; status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if err := <-told; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := stream.Send(&testv1.ChatRequest{}); err == nil {
			t.Error("it can still be sent")
		}
	})
}

func TestAUnaryMethodIsCalledAsAStreamToo(t *testing.T) {
	l := &library{get: func(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
		if r.GetName() == "" {
			return nil, status.Error(codes.NotFound, "")
		}
		return &testv1.Book{Name: r.GetName()}, nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, _ testv1.LibraryServiceClient, conn grpc.ClientConnInterface) {
		for _, name := range []string{"x", ""} {
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, testv1.LibraryService_GetBook_FullMethodName)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg(&testv1.GetBookRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
			_ = stream.CloseSend()
			var book testv1.Book
			err = stream.RecvMsg(&book)
			if name == "" {
				if status.Code(err) != codes.NotFound {
					t.Error(err)
				}
				continue
			}
			if err != nil || book.GetName() != name {
				t.Error(&book, err)
			}
			if err := stream.RecvMsg(&book); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
	})
}

func TestAStreamIsCalledAsUnaryToo(t *testing.T) {
	l := &library{upload: func(s grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
		if _, err := s.Recv(); err != nil {
			return err
		}
		return s.SendAndClose(&testv1.UploadBooksResponse{Count: 7})
	}}
	over(t, l, interceptors{}, func(t *testing.T, _ testv1.LibraryServiceClient, conn grpc.ClientConnInterface) {
		var reply testv1.UploadBooksResponse
		err := conn.Invoke(t.Context(), testv1.LibraryService_UploadBooks_FullMethodName, &testv1.UploadBooksRequest{}, &reply)
		if err != nil || reply.GetCount() != 7 {
			t.Error(&reply, err)
		}
	})
}

func TestAClientStreamWithoutAnAnswerIsAnError(t *testing.T) {
	l := &library{upload: func(grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
		return nil
	}}
	over(t, l, interceptors{}, func(t *testing.T, client testv1.LibraryServiceClient, _ grpc.ClientConnInterface) {
		stream, err := client.UploadBooks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.CloseAndRecv(); status.Code(err) != codes.Internal {
			t.Error(err)
		}
	})
}

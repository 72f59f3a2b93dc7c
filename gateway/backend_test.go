package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/gateway/identity"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// library is the backend of these tests.
type library struct {
	testv1.UnimplementedLibraryServiceServer

	mu    sync.Mutex
	calls []string        // full names of the methods that were called
	last  proto.Message   // the last request
	md    metadata.MD     // of the last stream
	gone  chan struct{}   // closed when the caller of a lingering stream is gone
	block <-chan struct{} // if set, Sleep waits for it

	sent           atomic.Int64 // books that were streamed
	uploads, chats atomic.Int64 // streams whose callers ended them
	failures       atomic.Int64 // calls of Flaky
}

func (l *library) saw(method string, m proto.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, method)
	l.last = m
}

func (l *library) callCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

// methods returns the names of the methods that were called, in order.
func (l *library) methods() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

func (l *library) lastRequest() proto.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *library) metadata() metadata.MD {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.md
}

func (l *library) GetBook(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
	l.saw("GetBook", r)
	return &testv1.Book{Name: r.GetName(), Title: "A book"}, nil
}

func (l *library) ListBooks(ctx context.Context, r *testv1.ListBooksRequest) (*testv1.ListBooksResponse, error) {
	l.saw("ListBooks", r)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-total", "0", "x-secret", "inside", "set-cookie", "a=b",
		"cache-control", "max-age=60", "x-bytes-bin", "\x00\xff"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("endpoint-load-metrics-bin", "load", "x-trailer", "inside"))
	return &testv1.ListBooksResponse{}, nil
}

func (l *library) CreateBook(_ context.Context, r *testv1.CreateBookRequest) (*testv1.Book, error) {
	l.saw("CreateBook", r)
	return r.GetBook(), nil
}

func (l *library) UpdateBook(_ context.Context, r *testv1.UpdateBookRequest) (*testv1.Book, error) {
	l.saw("UpdateBook", r)
	return r.GetBook(), nil
}

func (l *library) DeleteBook(_ context.Context, r *testv1.DeleteBookRequest) (*emptypb.Empty, error) {
	l.saw("DeleteBook", r)
	return &emptypb.Empty{}, nil
}

func (l *library) RateBook(_ context.Context, r *testv1.RateBookRequest) (*testv1.Book, error) {
	l.saw("RateBook", r)
	return &testv1.Book{Name: r.GetName(), Title: "Rated"}, nil
}

func (l *library) LockBook(_ context.Context, r *testv1.LockBookRequest) (*testv1.Book, error) {
	l.saw("LockBook", r)
	return &testv1.Book{Name: r.GetName(), Title: "Locked"}, nil
}

func (l *library) ReadFile(_ context.Context, r *testv1.ReadFileRequest) (*httpbody.HttpBody, error) {
	l.saw("ReadFile", r)
	return &httpbody.HttpBody{ContentType: "text/plain", Data: []byte("file " + r.GetPath())}, nil
}

func (l *library) DownloadFile(r *testv1.DownloadFileRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	l.saw("DownloadFile", r)
	_ = stream.SetHeader(metadata.Pairs("x-total", "1"))
	for i := range r.GetParts() {
		if err := stream.Send(&httpbody.HttpBody{ContentType: "text/csv", Data: fmt.Appendf(nil, "part %d\n", i)}); err != nil {
			return err
		}
	}
	if r.GetCode() != 0 {
		return status.Error(codes.Code(r.GetCode()), "no more")
	}
	return nil
}

func (l *library) Echo(_ context.Context, r *testv1.EchoRequest) (*testv1.EchoResponse, error) {
	l.saw("Echo", r)
	if r.GetText() == "panic" {
		panic("the backend panics")
	}
	return &testv1.EchoResponse{Echoed: r}, nil
}

func (l *library) WhoAmI(ctx context.Context, r *testv1.WhoAmIRequest) (*testv1.WhoAmIResponse, error) {
	l.saw("WhoAmI", r)
	md, _ := metadata.FromIncomingContext(ctx)
	resp := &testv1.WhoAmIResponse{Metadata: map[string]string{}}
	for key, values := range md {
		if key == identity.MetadataKey {
			if len(values) != 1 {
				return nil, fmt.Errorf("%d identities", len(values))
			}
			var p gatewayv1.Principal
			if err := proto.Unmarshal([]byte(values[0]), &p); err != nil {
				return nil, err
			}
			resp.Subject, resp.Issuer, resp.Scopes, resp.Method = p.GetSubject(), p.GetIssuer(), p.GetScopes(), p.GetMethod()
			continue
		}
		resp.Metadata[key] = strings.Join(values, "|")
	}
	return resp, nil
}

func (l *library) Fail(_ context.Context, r *testv1.FailRequest) (*emptypb.Empty, error) {
	l.saw("Fail", r)
	st := status.New(codes.Code(r.GetCode()), r.GetMessage())
	details := []protoadapt.MessageV1{
		&errdetails.DebugInfo{StackEntries: []string{"secret.go:7"}, Detail: "secret stack"},
		&errdetails.RequestInfo{RequestId: "inner", ServingData: "secret data"},
		&errdetails.ErrorInfo{Reason: "BECAUSE", Domain: "test"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "code", Description: "it fails"}}},
		&testv1.Author{FullName: "secret author"},
	}
	with, err := st.WithDetails(details...)
	if err != nil {
		return nil, err
	}
	return nil, with.Err()
}

func (l *library) Sleep(ctx context.Context, r *testv1.SleepRequest) (*testv1.SleepResponse, error) {
	l.saw("Sleep", r)
	if l.block != nil {
		select {
		case <-l.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	timer := time.NewTimer(r.GetDuration().AsDuration())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	resp := &testv1.SleepResponse{}
	if deadline, ok := ctx.Deadline(); ok {
		resp.Left = durationpb.New(time.Until(deadline).Round(time.Second))
	}
	return resp, nil
}

func (l *library) WatchBooks(r *testv1.WatchBooksRequest, stream grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
	l.saw("WatchBooks", r)
	l.mu.Lock()
	l.md, _ = metadata.FromIncomingContext(stream.Context())
	l.mu.Unlock()
	if r.GetLinger() {
		defer close(l.gone)
	}
	if r.GetEarly() {
		if err := stream.SendHeader(metadata.Pairs("x-total", "7")); err != nil {
			return err
		}
	}
	for i := range r.GetCount() {
		book := &testv1.Book{Name: fmt.Sprintf("shelves/1/books/%d", i), Title: "Streamed"}
		if err := stream.Send(&testv1.WatchBooksResponse{Book: book}); err != nil {
			return err
		}
		l.sent.Add(1)
	}
	if r.GetLinger() {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	if r.GetCode() != 0 {
		return status.Error(codes.Code(r.GetCode()), "the stream fails in secret.go")
	}
	return nil
}

func (l *library) UploadBooks(stream grpc.ClientStreamingServer[testv1.UploadBooksRequest, testv1.UploadBooksResponse]) error {
	count := int32(0)
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			l.uploads.Add(1)
			_ = stream.SetHeader(metadata.Pairs("x-total", fmt.Sprint(count)))
			return stream.SendAndClose(&testv1.UploadBooksResponse{Count: count})
		}
		if err != nil {
			return err
		}
		l.saw("UploadBooks", r)
		count++
	}
}

func (l *library) Scarce(_ context.Context, r *testv1.ScarceRequest) (*testv1.ScarceResponse, error) {
	l.saw("Scarce", r)
	return &testv1.ScarceResponse{}, nil
}

func (l *library) Vital(_ context.Context, r *testv1.VitalRequest) (*testv1.VitalResponse, error) {
	l.saw("Vital", r)
	return &testv1.VitalResponse{}, nil
}

func (l *library) Anything(_ context.Context, r *testv1.AnythingRequest) (*testv1.AnythingResponse, error) {
	l.saw("Anything", r)
	return &testv1.AnythingResponse{Name: r.GetName()}, nil
}

func (l *library) Guard(_ context.Context, r *testv1.GuardRequest) (*testv1.GuardResponse, error) {
	l.saw("Guard", r)
	return &testv1.GuardResponse{}, nil
}

func (l *library) GuardAll(stream grpc.ClientStreamingServer[testv1.GuardAllRequest, testv1.GuardAllResponse]) error {
	resp := &testv1.GuardAllResponse{}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(resp)
		}
		if err != nil {
			return err
		}
		l.saw("GuardAll", r)
		resp.Count++
	}
}

func (l *library) Flaky(_ context.Context, r *testv1.FlakyRequest) (*testv1.FlakyResponse, error) {
	l.saw("Flaky", r)
	if l.failures.Add(1) <= int64(r.GetFailures()) {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	return &testv1.FlakyResponse{Failures: r.GetFailures()}, nil
}

func (l *library) UploadInto(stream grpc.ClientStreamingServer[testv1.UploadIntoRequest, testv1.UploadIntoResponse]) error {
	resp := &testv1.UploadIntoResponse{}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(resp)
		}
		if err != nil {
			return err
		}
		l.saw("UploadInto", r)
		resp.Requests = append(resp.Requests, r)
	}
}

func (l *library) Chat(stream grpc.BidiStreamingServer[testv1.ChatRequest, testv1.ChatResponse]) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			l.chats.Add(1)
			return nil
		}
		if err != nil {
			return err
		}
		l.saw("Chat", r)
		if err := stream.Send(&testv1.ChatResponse{Text: "you said " + r.GetText()}); err != nil {
			return err
		}
	}
}

func (l *library) CreateNote(_ context.Context, r *testv1.CreateNoteRequest) (*testv1.Note, error) {
	l.saw("CreateNote", r)
	note := r.GetNote()
	if note == nil {
		note = &testv1.Note{}
	}
	if note.GetName() == "" {
		note.Name = r.GetParent() + "/notes/7"
	}
	return note, nil
}

// noteTag is the state of every note; a caller that asks for another is refused
// as AIP-154 wants.
const noteTag = "v1"

func (l *library) GetNote(_ context.Context, r *testv1.GetNoteRequest) (*testv1.Note, error) {
	l.saw("GetNote", r)
	return &testv1.Note{Name: r.GetName(), Text: "A note", Etag: noteTag}, nil
}

func (l *library) UpdateNote(_ context.Context, r *testv1.UpdateNoteRequest) (*testv1.Note, error) {
	l.saw("UpdateNote", r)
	if tag := r.GetNote().GetEtag(); tag != "" && tag != noteTag {
		return nil, status.Error(codes.Aborted, "the note has changed")
	}
	return r.GetNote(), nil
}

func (l *library) DeleteNote(_ context.Context, r *testv1.DeleteNoteRequest) (*emptypb.Empty, error) {
	l.saw("DeleteNote", r)
	if tag := r.GetEtag(); tag != "" && tag != noteTag {
		return nil, status.Error(codes.Aborted, "the note has changed")
	}
	return &emptypb.Empty{}, nil
}

func (l *library) WriteFile(_ context.Context, r *testv1.WriteFileRequest) (*httpbody.HttpBody, error) {
	l.saw("WriteFile", r)
	return r.GetFile(), nil
}

func (l *library) Reflect(_ context.Context, r *httpbody.HttpBody) (*httpbody.HttpBody, error) {
	l.saw("Reflect", r)
	return r, nil
}

func (l *library) UploadFile(stream grpc.ClientStreamingServer[testv1.UploadFileRequest, testv1.UploadFileResponse]) error {
	resp := &testv1.UploadFileResponse{}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(resp)
		}
		if err != nil {
			return err
		}
		l.saw("UploadFile", r)
		if resp.Parts++; resp.GetParts() == 1 {
			resp.ContentType = r.GetFile().GetContentType()
		}
		resp.Bytes += int64(len(r.GetFile().GetData()))
	}
}

func (l *library) WatchEvents(r *testv1.WatchEventsRequest, stream grpc.ServerStreamingServer[testv1.WatchEventsResponse]) error {
	l.saw("WatchEvents", r)
	md, _ := metadata.FromIncomingContext(stream.Context())
	from := strings.Join(md["last-event-id"], "|")
	for i := range r.GetCount() {
		if i == r.GetCount()-1 && r.GetPause().AsDuration() > 0 {
			time.Sleep(r.GetPause().AsDuration()) // in fake time
		}
		event := &testv1.WatchEventsResponse{Cursor: fmt.Sprintf("%sc%d", from, i), Kind: "tick", Text: fmt.Sprint(i)}
		if err := stream.Send(event); err != nil {
			return err
		}
	}
	if r.GetCode() != 0 {
		return status.Error(codes.Code(r.GetCode()), "no more in secret.go")
	}
	return nil
}

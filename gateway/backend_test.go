package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// library is the backend of these tests.
type library struct {
	testv1.UnimplementedLibraryServiceServer

	mu    sync.Mutex
	calls []string        // full names of the methods that were called
	last  proto.Message   // the last request
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

func (l *library) lastRequest() proto.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *library) GetBook(_ context.Context, r *testv1.GetBookRequest) (*testv1.Book, error) {
	l.saw("GetBook", r)
	return &testv1.Book{Name: r.GetName(), Title: "A book"}, nil
}

func (l *library) ListBooks(ctx context.Context, r *testv1.ListBooksRequest) (*testv1.ListBooksResponse, error) {
	l.saw("ListBooks", r)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-total", "0", "x-secret", "inside", "set-cookie", "a=b"))
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

// Credentials of these tests.
const (
	issuer   = "https://id.test"
	audience = "https://api.test"
)

var signingKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// writeJWKS writes the public half of signingKey to a file.
func writeJWKS(t testing.TB) string {
	t.Helper()
	public := signingKey().PublicKey
	x, y := make([]byte, 32), make([]byte, 32)
	raw, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	copy(x, raw[1:33])
	copy(y, raw[33:])
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
		"x": base64.RawURLEncoding.EncodeToString(x), "y": base64.RawURLEncoding.EncodeToString(y),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// token returns a bearer token for a subject with scopes.
func token(t testing.TB, subject string, scopes ...string) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "exp": time.Now().Add(time.Hour).Unix(),
		"scope": strings.Join(scopes, " "),
	})
	tok.Header["kid"] = "k1"
	signed, err := tok.SignedString(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// door is a gateway with a library behind it.
type door struct {
	*gateway.Gateway
	t       testing.TB
	library *library
	conn    closer
	apiKey  string
	logs    *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newDoor returns a gateway in front of a library over bufconn. change may
// adapt its config, and serve how the library is mounted.
func newDoor(t testing.TB, change func(*gateway.Config), serve ...func(*libraryService)) *door {
	t.Helper()
	d := &door{t: t, library: &library{gone: make(chan struct{})}, logs: &logBuffer{}}
	d.conn = dialLibrary(t, d.library)
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: issuer, Audiences: []string{audience}, JWKSFile: writeJWKS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	key, hash := auth.GenerateAPIKey()
	d.apiKey = key
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{{SHA256: hash, Subject: "robot", Scopes: []string{"books.read"}}}})
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{
		Authenticators: []auth.Authenticator{tokens, keys},
		Logger:         slog.New(slog.NewJSONHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	if d.Gateway, err = gateway.New(config); err != nil {
		t.Fatal(err)
	}
	if err := mountLibrary(d.Gateway, d.conn, serve...); err != nil {
		t.Fatal(err)
	}
	return d
}

type libraryService = gateway.Service[testv1.LibraryServiceClient]

func mountLibrary(g *gateway.Gateway, conn grpc.ClientConnInterface, change ...func(*libraryService)) error {
	service := libraryService{
		Desc: &testv1.LibraryService_ServiceDesc, Conn: conn,
		NewClient: testv1.NewLibraryServiceClient, Register: testv1.RegisterLibraryServiceHandlerClient,
	}
	for _, c := range change {
		c(&service)
	}
	return gateway.Mount(g, service)
}

// over says how the gateway reaches the library: `go test -over inprocess` runs
// the whole suite over package inprocess.
var over = flag.String("over", "grpc", "grpc or inprocess")

// needsNetwork leaves a test out where there is no connection to lose.
func needsNetwork(t *testing.T) {
	t.Helper()
	if *over == "inprocess" {
		t.Skip("there is no connection")
	}
}

// closer is a connection that can be closed.
type closer interface {
	grpc.ClientConnInterface
	io.Closer
}

func dialLibrary(t testing.TB, l *library) closer {
	t.Helper()
	if *over == "inprocess" {
		server, err := inprocess.New(inprocess.Config{})
		if err != nil {
			t.Fatal(err)
		}
		testv1.RegisterLibraryServiceServer(server, l)
		t.Cleanup(func() { _ = server.Close() })
		return server
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	testv1.RegisterLibraryServiceServer(server, l)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///library",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
	})
	return conn
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// with changes a request before it is sent.
type with func(*http.Request)

func header(name, value string) with {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func bearer(token string) with { return header("Authorization", "Bearer "+token) }

// do sends a request straight to the handler. A body is JSON unless a header
// says something else.
func (d *door) do(method, target, body string, changes ...with) *answer {
	d.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for _, change := range changes {
		change(r)
	}
	if body != "" && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "none") {
		r.Header.Del("Content-Type")
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	// The headers as they were when they were sent.
	return &answer{t: d.t, status: w.Code, header: w.Result().Header, body: w.Body.String()}
}

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
	return a
}

// problem is a problem as a caller reads it.
type problem struct {
	Type, Title, Detail, Instance, Code string
	Status                              int
	Errors                              []struct{ Field, Detail, Reason string }
	Details                             []map[string]any
}

// wantProblem checks that the answer is a well-formed problem.
func (a *answer) wantProblem(status int, code string) problem {
	a.t.Helper()
	a.want(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("Content-Type %q, want a problem; body %s", got, a.body)
	}
	var p problem
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	if p.Status != status || p.Code != code || p.Type != "about:blank" || p.Title == "" || p.Detail == "" {
		a.t.Fatalf("problem %+v, want status %d and code %s", p, status, code)
	}
	if p.Instance == "" || p.Instance != a.header.Get("X-Request-Id") {
		a.t.Fatalf("instance %q, request id %q: want the same", p.Instance, a.header.Get("X-Request-Id"))
	}
	return p
}

// wantField checks that the problem names a field.
func (a *answer) wantField(field string) *answer {
	a.t.Helper()
	p := a.wantProblem(http.StatusBadRequest, "INVALID_ARGUMENT")
	for _, e := range p.Errors {
		if e.Field == field && e.Detail != "" {
			return a
		}
	}
	a.t.Fatalf("errors %+v name no field %q; body %s", p.Errors, field, a.body)
	return a
}

// decode reads the answer's JSON.
func (a *answer) decode() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

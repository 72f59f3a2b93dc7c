package identity_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/internal/testcert"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/internal/leaktest"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// service tells what it sees of its caller.
type service struct {
	testv1.UnimplementedLibraryServiceServer
	onward testv1.LibraryServiceClient // if set, WhoAmI asks there
}

func (s *service) WhoAmI(ctx context.Context, r *testv1.WhoAmIRequest) (*testv1.WhoAmIResponse, error) {
	if s.onward != nil {
		return s.onward.WhoAmI(ctx, r)
	}
	resp := &testv1.WhoAmIResponse{Metadata: map[string]string{}}
	if p, ok := identity.FromContext(ctx); ok {
		resp.Subject, resp.Issuer, resp.Scopes, resp.Method = p.Subject, p.Issuer, p.Scopes, string(p.Method)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for key, values := range md {
		resp.Metadata[key] = strings.Join(values, "|")
	}
	return resp, nil
}

func (s *service) GetBook(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) {
	return &testv1.Book{}, nil
}

func (s *service) ListBooks(ctx context.Context, _ *testv1.ListBooksRequest) (*testv1.ListBooksResponse, error) {
	p, ok := identity.FromContext(ctx)
	if ok {
		return &testv1.ListBooksResponse{NextPageToken: p.Subject}, nil
	}
	return &testv1.ListBooksResponse{}, nil
}

func (s *service) WatchBooks(_ *testv1.WatchBooksRequest, stream grpc.ServerStreamingServer[testv1.WatchBooksResponse]) error {
	p, _ := identity.FromContext(stream.Context())
	name := "nobody"
	if p != nil {
		name = p.Subject
	}
	return stream.Send(&testv1.WatchBooksResponse{Book: &testv1.Book{Name: name}})
}

const (
	door     = "spiffe://mesh/gateway"
	neighbor = "spiffe://mesh/neighbor"
	stranger = "spiffe://mesh/stranger"
)

// mesh is one server and the certificates to reach it.
type mesh struct {
	*testcert.Authority
	listener *bufconn.Listener
}

func start(t *testing.T, config identity.Config, clientAuth tls.ClientAuthType, s *service) *mesh {
	t.Helper()
	m := &mesh{Authority: testcert.New(t), listener: bufconn.Listen(1 << 20)}
	options, err := identity.ServerOptions(config)
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{m.Issue("spiffe://mesh/server")}, ClientAuth: clientAuth, ClientCAs: m.Pool,
	})))
	m.serve(t, s, m.listener, options)
	return m
}

func (m *mesh) serve(t *testing.T, s *service, listener *bufconn.Listener, options []grpc.ServerOption) {
	server := grpc.NewServer(options...)
	testv1.RegisterLibraryServiceServer(server, s)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
}

// dial connects with a certificate, or without one.
func (m *mesh) dial(t *testing.T, certs []tls.Certificate, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{Certificates: certs, RootCAs: m.Pool, ServerName: "server"})),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return m.listener.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///server", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// claiming returns a context whose metadata says that a caller is somebody.
func claiming(t *testing.T, subject string, scopes ...string) context.Context {
	t.Helper()
	ctx, err := identity.AppendToOutgoing(t.Context(), &auth.Principal{Subject: subject, Issuer: "https://id.test", Scopes: scopes, Method: auth.MethodJWT})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

var trusting = identity.Config{
	TrustedPeers: []string{door},
	AllowedPeers: []identity.AllowedPeer{{ID: neighbor, Scopes: []string{"books.read"}}},
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestATrustedPeerIsBelieved(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.RequireAndVerifyClientCert, &service{})
	client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(door)}))
	resp, err := client.WhoAmI(claiming(t, "ann", "b", "a"), &testv1.WhoAmIRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetSubject() != "ann" || resp.GetIssuer() != "https://id.test" || resp.GetMethod() != "jwt" || strings.Join(resp.GetScopes(), ",") != "a,b" {
		t.Errorf("caller %v", resp)
	}
	for key := range resp.GetMetadata() {
		if strings.HasPrefix(key, identity.MetadataPrefix) {
			t.Errorf("the handler sees %s", key)
		}
	}
	stream, err := client.WatchBooks(claiming(t, "ann"), &testv1.WatchBooksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetBook().GetName() != "ann" {
		t.Errorf("stream: %v, %v", first, err)
	}
}

func TestWhatOthersClaimIsDropped(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.RequireAndVerifyClientCert, &service{})
	client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(neighbor)}))
	resp, err := client.WhoAmI(claiming(t, "root", "books.write"), &testv1.WhoAmIRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetSubject() != neighbor || resp.GetMethod() != "mtls" || resp.GetIssuer() != "mesh" {
		t.Errorf("caller %v, want the peer itself", resp)
	}
	if _, err := client.GetBook(claiming(t, "root"), &testv1.GetBookRequest{}); err != nil {
		t.Errorf("what the peer itself may do: %v", err)
	}
	_, err = client.DeleteBook(claiming(t, "root", "books.write"), &testv1.DeleteBookRequest{})
	wantCode(t, err, codes.PermissionDenied)
}

func TestAnUnlistedPeerIsRefused(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.RequireAndVerifyClientCert, &service{})
	for _, id := range []string{stranger, door + "/x", "spiffe://mesh/GATEWAY", "spiffe://evil/gateway"} {
		client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(id)}))
		_, err := client.WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
		wantCode(t, err, codes.PermissionDenied)
		// Not even what is public: the service is not.
		_, err = client.ListBooks(claiming(t, "root"), &testv1.ListBooksRequest{})
		wantCode(t, err, codes.PermissionDenied)
	}
	for _, uris := range [][]string{nil, {door, neighbor}, {"https://mesh/gateway"}, {"spiffe://mesh"}, {"spiffe://mesh/gateway/"}, {"spiffe://mesh/gateway?x"}, {"spiffe://mesh/gateway%00"}, {"spiffe://MESH/gateway"}} {
		client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(uris...)}))
		_, err := client.WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
		wantCode(t, err, codes.Unauthenticated)
	}
}

func TestAPeerWithoutAVerifiedCertificateIsRefused(t *testing.T) {
	leaktest.Check(t)
	for _, clientAuth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert, tls.VerifyClientCertIfGiven} {
		m := start(t, trusting, clientAuth, &service{})
		client := testv1.NewLibraryServiceClient(m.dial(t, nil))
		_, err := client.WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
		wantCode(t, err, codes.Unauthenticated)
		stream, err := client.WatchBooks(claiming(t, "root"), &testv1.WatchBooksRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		wantCode(t, err, codes.Unauthenticated)
	}
	// Shown, but by an authority that is not known, and not checked by TLS.
	m := start(t, trusting, tls.RequireAnyClientCert, &service{})
	client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{testcert.New(t).Issue(door)}))
	_, err := client.WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
	wantCode(t, err, codes.Unauthenticated)
}

func TestAPlaintextPeerIsRefused(t *testing.T) {
	leaktest.Check(t)
	m := &mesh{listener: bufconn.Listen(1 << 20)}
	options, err := identity.ServerOptions(trusting)
	if err != nil {
		t.Fatal(err)
	}
	m.serve(t, &service{}, m.listener, options)
	conn, err := grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return m.listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = testv1.NewLibraryServiceClient(conn).WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
	wantCode(t, err, codes.Unauthenticated)
}

func TestHealthIsExemptAndSeesNoIdentity(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.NoClientCert, &service{})
	conn := m.dial(t, nil)
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(claiming(t, "root"), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	m = start(t, identity.Config{ExemptServices: []string{}}, tls.NoClientCert, &service{})
	_, err := grpc_health_v1.NewHealthClient(m.dial(t, nil)).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	wantCode(t, err, codes.Unauthenticated)
}

func TestAccessIsEnforcedAtTheServiceToo(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.RequireAndVerifyClientCert, &service{})
	client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(door)}))
	_, err := client.GetBook(claiming(t, "ann", "books.read"), &testv1.GetBookRequest{})
	wantCode(t, err, codes.OK)
	_, err = client.GetBook(claiming(t, "ann", "books.write"), &testv1.GetBookRequest{})
	wantCode(t, err, codes.PermissionDenied)
	// For nobody: only what is public.
	_, err = client.GetBook(t.Context(), &testv1.GetBookRequest{})
	wantCode(t, err, codes.Unauthenticated)
	resp, err := client.ListBooks(t.Context(), &testv1.ListBooksRequest{})
	if err != nil || resp.GetNextPageToken() != "" {
		t.Errorf("%v, %v", resp, err)
	}
	// A method without a route has a rule as well.
	_, err = client.Internal(claiming(t, "ann", "books.read"), &testv1.InternalRequest{})
	wantCode(t, err, codes.PermissionDenied)

	skipping := trusting
	skipping.SkipAccess = true
	m = start(t, skipping, tls.RequireAndVerifyClientCert, &service{})
	client = testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(door)}))
	_, err = client.GetBook(t.Context(), &testv1.GetBookRequest{})
	wantCode(t, err, codes.OK)
}

func TestAMethodWithoutAccessIsClosed(t *testing.T) {
	leaktest.Check(t)
	m := &mesh{Authority: testcert.New(t), listener: bufconn.Listen(1 << 20)}
	options, err := identity.ServerOptions(trusting)
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{m.Issue()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.Pool})))
	server := grpc.NewServer(options...)
	testv1.RegisterOpenServiceServer(server, testv1.UnimplementedOpenServiceServer{})
	go func() { _ = server.Serve(m.listener) }()
	t.Cleanup(server.Stop)
	client := testv1.NewOpenServiceClient(m.dial(t, []tls.Certificate{m.Issue(door)}))
	for range 2 { // the second from what is remembered
		_, err = client.Forgotten(claiming(t, "ann"), &testv1.ForgottenRequest{})
		wantCode(t, err, codes.PermissionDenied)
		_, err = client.Good(claiming(t, "ann"), &testv1.GoodRequest{})
		wantCode(t, err, codes.Unimplemented) // let through to a handler that is none
	}
}

func TestMalformedIdentityFromATrustedPeerIsRefused(t *testing.T) {
	leaktest.Check(t)
	m := start(t, trusting, tls.RequireAndVerifyClientCert, &service{})
	client := testv1.NewLibraryServiceClient(m.dial(t, []tls.Certificate{m.Issue(door)}))
	valid, err := proto.Marshal(&gatewayv1.Principal{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := proto.Marshal(&gatewayv1.Principal{Issuer: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string][]string{
		"junk": {"\xff\xff"}, "empty": {""}, "nameless": {string(nameless)}, "twice": {string(valid), string(valid)},
		"too long": {string(valid) + strings.Repeat("\x22\x00", 10_000)},
	} {
		ctx := t.Context()
		for _, v := range values {
			ctx = metadata.AppendToOutgoingContext(ctx, identity.MetadataKey, v)
		}
		if _, err := client.WhoAmI(ctx, &testv1.WhoAmIRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServicePassesItsCallerOn(t *testing.T) {
	leaktest.Check(t)
	behind := start(t, identity.Config{TrustedPeers: []string{neighbor}}, tls.RequireAndVerifyClientCert, &service{})
	onward := behind.dial(t, []tls.Certificate{behind.Issue(neighbor)},
		grpc.WithChainUnaryInterceptor(identity.UnaryClientInterceptor()), grpc.WithChainStreamInterceptor(identity.StreamClientInterceptor()))
	front := start(t, trusting, tls.RequireAndVerifyClientCert, &service{onward: testv1.NewLibraryServiceClient(onward)})
	client := testv1.NewLibraryServiceClient(front.dial(t, []tls.Certificate{front.Issue(door)}))
	resp, err := client.WhoAmI(claiming(t, "ann"), &testv1.WhoAmIRequest{})
	if err != nil || resp.GetSubject() != "ann" {
		t.Errorf("%v, %v", resp, err)
	}
	// What a context claims by hand is replaced by who is known.
	direct := testv1.NewLibraryServiceClient(onward)
	ctx := auth.NewContext(claiming(t, "root"), &auth.Principal{Subject: "bob"})
	if resp, err = direct.WhoAmI(ctx, &testv1.WhoAmIRequest{}); err != nil || resp.GetSubject() != "bob" {
		t.Errorf("%v, %v", resp, err)
	}
	_, err = direct.WhoAmI(claiming(t, "root"), &testv1.WhoAmIRequest{})
	wantCode(t, err, codes.Unauthenticated)
	stream, err := direct.WatchBooks(ctx, &testv1.WatchBooksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.GetBook().GetName() != "bob" {
		t.Errorf("stream: %v, %v", first, err)
	}
}

func TestAConfigThatNamesNoSPIFFEIDIsRefused(t *testing.T) {
	for field, config := range map[string]identity.Config{
		"TrustedPeers[1]":    {TrustedPeers: []string{door, "mesh/gateway"}},
		"TrustedPeers[0]":    {TrustedPeers: []string{""}},
		"AllowedPeers[0].ID": {AllowedPeers: []identity.AllowedPeer{{ID: "spiffe://mesh"}}},
		"AllowedPeers[1].ID": {AllowedPeers: []identity.AllowedPeer{{ID: neighbor}, {ID: neighbor}}},
	} {
		if _, err := identity.ServerOptions(config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, id := range []string{"spiffe://mesh/", "spiffe://mesh/a?b", "spiffe://mesh/a#b", "spiffe://u@mesh/a", "spiffe://mesh:1/a", "https://mesh/a", "spiffe:///a", strings.Repeat("a", 3000), "spiffe://mesh/*/"} {
		if _, err := identity.ServerOptions(identity.Config{TrustedPeers: []string{id}}); err == nil {
			t.Errorf("%.50q is accepted", id)
		}
	}
}

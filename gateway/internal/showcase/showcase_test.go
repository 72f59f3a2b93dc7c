package showcase_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/googleapis/gapic-showcase/server/genproto"
	"github.com/googleapis/gapic-showcase/server/services"
	"github.com/googleapis/gapic-showcase/util/genrest/resttools"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway"
	handlers "github.com/evenkeel/evenkeel/gateway/internal/showcase/genproto"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// templateKey is the metadata that tells the suite's service which binding was
// matched, which it wants to know.
const templateKey = "matched-template"

// telling is a connection that tells it.
type telling struct{ grpc.ClientConnInterface }

func (c telling) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	template, _ := runtime.HTTPPathPattern(ctx)
	return c.ClientConnInterface.Invoke(metadata.AppendToOutgoingContext(ctx, templateKey, template), method, args, reply, opts...)
}

func told(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if md, _ := metadata.FromIncomingContext(ctx); len(md[templateKey]) == 1 {
		ctx = context.WithValue(ctx, resttools.BindingURIKey, md[templateKey][0])
	}
	return next(ctx, req)
}

// newDoor returns a gateway in front of the suite's service.
func newDoor(t *testing.T) *httptest.Server {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(told))
	genproto.RegisterComplianceServer(server, services.NewComplianceServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///showcase", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	g, err := gateway.New(gateway.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]*gatewayv1.Access{}
	for _, m := range genproto.Compliance_ServiceDesc.Methods {
		open[m.MethodName] = &gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}}
	}
	err = gateway.Mount(g, gateway.Service[genproto.ComplianceClient]{
		Desc: &genproto.Compliance_ServiceDesc, Conn: telling{conn},
		NewClient: genproto.NewComplianceClient, Register: handlers.RegisterComplianceHandlerClient, Access: open,
	})
	if err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(g)
	t.Cleanup(door.Close)
	return door
}

func send(t *testing.T, door *httptest.Server, r httpRequest) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.verb, door.URL+r.target, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := door.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// eachCase calls do for each request of the suite with each method that takes it.
func eachCase(t *testing.T, do func(t *testing.T, rpc string, msg *genproto.RepeatRequest)) {
	t.Helper()
	for _, group := range services.ComplianceSuite.GetGroup() {
		for _, msg := range group.GetRequests() {
			for _, rpc := range group.GetRpcs() {
				t.Run(rpc+"/"+msg.GetName(), func(t *testing.T) {
					clean, _ := proto.Clone(msg).(*genproto.RepeatRequest)
					do(t, rpc, clean)
				})
			}
		}
	}
}

func TestEveryRequestOfTheSuiteArrivesAsItWas(t *testing.T) {
	door, cases := newDoor(t), 0
	eachCase(t, func(t *testing.T, rpc string, msg *genproto.RepeatRequest) {
		cases++
		r := encode(t, rpc, msg)
		status, body := send(t, door, r)
		if status != 200 {
			t.Fatalf("%s %s: %d %s", r.verb, r.target, status, body)
		}
		resp := &genproto.RepeatResponse{}
		if err := protojson.Unmarshal(body, resp); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if !proto.Equal(resp.GetRequest(), msg) || resp.GetBindingUri() != r.template {
			t.Errorf("%s %s by %s:\ngot  %v by %s\nwant %v", r.verb, r.target, r.template, resp.GetRequest(), resp.GetBindingUri(), msg)
		}
	})
	if cases != 53 {
		t.Errorf("the suite has %d cases; 53 were expected", cases)
	}
}

// TestWhatTheBodySetsIsNotSetByTheQuery is NegativeTestInvalidFields of the
// suite: the query repeats what the body says.
func TestWhatTheBodySetsIsNotSetByTheQuery(t *testing.T) {
	door := newDoor(t)
	eachCase(t, func(t *testing.T, rpc string, msg *genproto.RepeatRequest) {
		if rpc != "Compliance.RepeatDataBodyInfo" {
			t.Skip("the case is about another method")
		}
		r := encode(t, rpc, msg)
		r.target = "/v1beta1/repeat:bodyinfo?" + strings.SplitN(encode(t, "Compliance.RepeatDataQuery", msg).target, "?", 2)[1]
		status, body := send(t, door, r)
		var p struct{ Errors []struct{ Field string } }
		if err := json.Unmarshal(body, &p); err != nil || status != 400 || len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Field, "info.") {
			t.Errorf("%s: %d %s", r.target, status, body)
		}
	})
}

// TestPresenceIsKept is the suite's UnexpectedFieldPresence: the service finds
// out what is there and should not be, and the other way round.
func TestPresenceIsKept(t *testing.T) {
	door := newDoor(t)
	const zero, basic = "Zero values for all fields", "Basic types, no optional fields"
	for name, c := range map[string]struct {
		request string
		modify  func(*genproto.RepeatRequest)
	}{
		"another name":         {zero, func(r *genproto.RepeatRequest) { r.Name = "modified name" }},
		"an unset bool":        {zero, func(r *genproto.RepeatRequest) { r.Info.PBool = nil }},
		"an unexpected bool":   {basic, func(r *genproto.RepeatRequest) { r.Info.PBool = proto.Bool(false) }},
		"an unset string":      {zero, func(r *genproto.RepeatRequest) { r.Info.PString = nil }},
		"an unexpected string": {basic, func(r *genproto.RepeatRequest) { r.Info.PString = proto.String("") }},
		"an unset int32":       {zero, func(r *genproto.RepeatRequest) { r.Info.PInt32 = nil }},
		"an unexpected int32":  {basic, func(r *genproto.RepeatRequest) { r.Info.PInt32 = proto.Int32(0) }},
	} {
		for _, rpc := range []string{"Compliance.RepeatDataBody", "Compliance.RepeatDataQuery"} {
			msg, _ := proto.Clone(services.ComplianceSuiteRequests[c.request]).(*genproto.RepeatRequest)
			if status, body := send(t, door, encode(t, rpc, msg)); status != 200 {
				t.Errorf("%s, as it is: %d %s", rpc, status, body)
			}
			c.modify(msg)
			if status, body := send(t, door, encode(t, rpc, msg)); status != 500 {
				t.Errorf("%s with %s: %d %s", rpc, name, status, body)
			}
		}
	}
}

// TestNamesInSnakeCaseAreTaken: the suite's own server refuses them, this one
// takes both.
func TestNamesInSnakeCaseAreTaken(t *testing.T) {
	door := newDoor(t)
	msg := services.ComplianceSuiteRequests["Basic data types"]
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := send(t, door, httpRequest{verb: "POST", target: "/v1beta1/repeat:body", body: string(body)}); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
}

// TestEnumsThatHaveNoNameGoRoundAsNumbers is the suite's test of enums, with
// `$alt`, as Google's clients send it, and without.
func TestEnumsThatHaveNoNameGoRoundAsNumbers(t *testing.T) {
	door := newDoor(t)
	for _, query := range []string{"unknownEnum=true", "unknownEnum=false", "unknownEnum=false&$alt=json%3Benum-encoding%3Dint"} {
		status, body := send(t, door, httpRequest{verb: "GET", target: "/v1beta1/compliance/enum?" + query})
		var v struct{ Continent any }
		if err := json.Unmarshal(body, &v); status != 200 || err != nil {
			t.Fatalf("%d %s", status, body)
		}
		_, isNumber := v.Continent.(float64)
		if want := query != "unknownEnum=false"; isNumber != want {
			t.Errorf("%s: %s", query, body)
		}
		resp := &genproto.EnumResponse{}
		if err := protojson.Unmarshal(body, resp); err != nil {
			t.Fatal(err)
		}
		verify := "/v1beta1/compliance/enum?request.unknownEnum=" + strings.Split(strings.TrimPrefix(query, "unknownEnum="), "&")[0] +
			"&continent=" + strings.TrimSuffix(strings.TrimPrefix(string(mustJSON(t, v.Continent)), `"`), `"`)
		if status, body := send(t, door, httpRequest{verb: "POST", target: verify}); status != 200 {
			t.Errorf("%s: %d %s", verify, status, body)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package gateway_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q lacks %q", err, word)
		}
	}
}

func TestAMethodWithoutAccessIsRefusedByName(t *testing.T) {
	d := newDoor(t, nil)
	err := gateway.Mount(d.Gateway, gateway.Service[testv1.OpenServiceClient]{
		Desc: &testv1.OpenService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewOpenServiceClient, Register: testv1.RegisterOpenServiceHandlerClient,
	})
	wantError(t, err, "evenkeel.test.v1.OpenService", "Forgotten", "AlsoForgotten", "Undecided", "evenkeel.gateway.v1.access")
	if strings.Contains(err.Error(), "method Good") {
		t.Errorf("error %q names a method that is right", err)
	}
	// Not even the method that is right.
	d.do("GET", "/v1/good", "").want(404)
}

func TestAccessOfProtosThatAreNotOnesOwnIsSaidAtMount(t *testing.T) {
	d := newDoor(t, nil)
	public := &gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}}
	service := gateway.Service[testv1.OpenServiceClient]{
		Desc: &testv1.OpenService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewOpenServiceClient, Register: testv1.RegisterOpenServiceHandlerClient,
		Access: map[string]*gatewayv1.Access{
			"Forgotten": public, "AlsoForgotten": {}, "Undecided": public, "Good": public, "Nonsense": public,
		},
	}
	err := gateway.Mount(d.Gateway, service)
	for _, part := range []string{
		`Access["Nonsense"]: the service has no such method`, `Access["Good"]: the method has the option`,
		`Access["Undecided"]: the method has the option`, "method AlsoForgotten: option (evenkeel.gateway.v1.access): one of",
	} {
		wantError(t, err, part)
	}
	if err != nil && strings.Contains(err.Error(), "method Forgotten:") {
		t.Errorf("%v names a method that Access lets in", err)
	}
}

func TestAServiceThatNobodyCouldCallIsRefused(t *testing.T) {
	g, err := gateway.New(gateway.Config{})
	if err != nil {
		t.Fatal(err)
	}
	err = mountLibrary(g, dialLibrary(t, &library{}))
	wantError(t, err, "method GetBook", "Authenticators")
	if strings.Contains(err.Error(), "method ListBooks") {
		t.Errorf("error %q names a method that is public", err)
	}
}

func TestABrokenRuleIsFoundAtStart(t *testing.T) {
	d := newDoor(t, nil)
	err := gateway.Mount(d.Gateway, gateway.Service[testv1.BrokenServiceClient]{
		Desc: &testv1.BrokenService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewBrokenServiceClient, Register: testv1.RegisterBrokenServiceHandlerClient,
	})
	wantError(t, err, "method Break", "evenkeel.test.v1.Broken")
	d.do("GET", "/v1/break", "").want(404)
}

func TestARouteThatIsThereAlreadyIsRefused(t *testing.T) {
	d := newDoor(t, nil)
	err := gateway.Mount(d.Gateway, gateway.Service[testv1.RivalServiceClient]{
		Desc: &testv1.RivalService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewRivalServiceClient, Register: testv1.RegisterRivalServiceHandlerClient,
	})
	wantError(t, err, "RivalService/Rival", "/v1/{other=shelves/*/books/*}", "/v1/{name=shelves/*/books/*}")
	wantError(t, mountLibrary(d.Gateway, d.conn), "there already")
}

func TestARouteBehindAHealthPathIsRefused(t *testing.T) {
	mount := func(d *door) error {
		return gateway.Mount(d.Gateway, gateway.Service[testv1.HiddenServiceClient]{
			Desc: &testv1.HiddenService_ServiceDesc, Conn: d.conn,
			NewClient: testv1.NewHiddenServiceClient, Register: testv1.RegisterHiddenServiceHandlerClient,
		})
	}
	wantError(t, mount(newDoor(t, nil)), "/livez", "Config.Health")
	if err := mount(newDoor(t, func(c *gateway.Config) { c.Health.LivePath = "/alive" })); err != nil {
		t.Error(err)
	}
}

func TestHandlersThatAreNotTheDescriptorsAreRefused(t *testing.T) {
	d := newDoor(t, nil)
	// As many handlers as the descriptor has bindings, but of another method.
	err := gateway.Mount(d.Gateway, gateway.Service[testv1.RivalServiceClient]{
		Desc: &testv1.BrokenService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewRivalServiceClient, Register: testv1.RegisterRivalServiceHandlerClient,
	})
	wantError(t, err, "RivalService/Rival", "BrokenService/Break")
	// Fewer.
	err = gateway.Mount(d.Gateway, gateway.Service[testv1.RivalServiceClient]{
		Desc: &testv1.BrokenService_ServiceDesc, Conn: d.conn, NewClient: testv1.NewRivalServiceClient,
		Register: func(context.Context, *runtime.ServeMux, testv1.RivalServiceClient) error { return nil },
	})
	wantError(t, err, "1 HTTP bindings", "0 handlers")
	// One that was generated to live without the request's context.
	err = gateway.Mount(d.Gateway, gateway.Service[testv1.RivalServiceClient]{
		Desc: &testv1.RivalService_ServiceDesc, Conn: d.conn, NewClient: testv1.NewRivalServiceClient,
		Register: func(_ context.Context, mux *runtime.ServeMux, _ testv1.RivalServiceClient) error {
			return mux.HandlePath("GET", "/v1/rival", func(http.ResponseWriter, *http.Request, map[string]string) {})
		},
	})
	wantError(t, err, "request_context=true")
	err = gateway.Mount(d.Gateway, gateway.Service[testv1.RivalServiceClient]{
		Desc: &grpc.ServiceDesc{ServiceName: "not.linked.In"}, Conn: d.conn,
		NewClient: testv1.NewRivalServiceClient, Register: testv1.RegisterRivalServiceHandlerClient,
	})
	wantError(t, err, "not.linked.In", "not linked in")
}

func TestAnswersThatCannotBeAreRefusedByName(t *testing.T) {
	d := newDoor(t, nil)
	err := gateway.Mount(d.Gateway, gateway.Service[testv1.AnswerServiceClient]{
		Desc: &testv1.AnswerService_ServiceDesc, Conn: d.conn,
		NewClient: testv1.NewAnswerServiceClient, Register: testv1.RegisterAnswerServiceHandlerClient,
	})
	for _, part := range []string{
		`NoField: binding 0: POST /v1/answer/a: option (evenkeel.gateway.v1.answer): created.location: evenkeel.test.v1.Book has no field "nonsense"`,
		`NoPath: binding 0: POST /v1/answer/b: option (evenkeel.gateway.v1.answer): created.location: field "authors" cannot stand in a path`,
		`Content: binding 0: POST /v1/answer/c: option (evenkeel.gateway.v1.answer): no_content: evenkeel.test.v1.Book has fields`,
		`Stream: binding 0: POST /v1/answer/d: option (evenkeel.gateway.v1.answer): a stream is answered 200`,
		`Events: binding 0: POST /v1/answer/e: option (evenkeel.gateway.v1.answer): events: the method has no server stream`,
		`Number: binding 0: POST /v1/answer/f: option (evenkeel.gateway.v1.answer): events.id: evenkeel.test.v1.Book has no string field "page_count"`,
	} {
		wantError(t, err, part)
	}
}

func TestMountNeedsAllItsParts(t *testing.T) {
	d := newDoor(t, nil)
	wantError(t, gateway.Mount(d.Gateway, gateway.Service[testv1.LibraryServiceClient]{Desc: &testv1.LibraryService_ServiceDesc}), "must all be set")
}

func TestConfigIsCheckedWithTheFieldsPath(t *testing.T) {
	for field, config := range map[string]gateway.Config{
		"Config.Authenticators[0]":           {Authenticators: make([]auth.Authenticator, 1)},
		"Config.Realm":                       {Realm: `a"b`},
		"Config.Limits.HeaderBytes":          {Limits: gateway.Limits{HeaderBytes: 1}},
		"Config.Limits.URLBytes":             {Limits: gateway.Limits{URLBytes: -1}},
		"Config.Limits.BodyBytes":            {Limits: gateway.Limits{BodyBytes: 2 << 30}},
		"Config.Limits.JSONDepth":            {Limits: gateway.Limits{JSONDepth: 1001}},
		"Config.Limits.QueryParameters":      {Limits: gateway.Limits{QueryParameters: -5}},
		"Config.Limits.Connections":          {Limits: gateway.Limits{Connections: -1}},
		"Config.Limits.StreamsPerConnection": {Limits: gateway.Limits{StreamsPerConnection: 1 << 20}},
		"Config.Limits.HeldBytes":            {Limits: gateway.Limits{HeldBytes: 1 << 19}},
		"Config.Timeouts.ReadHeader":         {Timeouts: gateway.Timeouts{ReadHeader: -1}},
		"Config.Timeouts.ReadBody":           {Timeouts: gateway.Timeouts{ReadBody: 2 * time.Hour}},
		"Config.Timeouts.Write":              {Timeouts: gateway.Timeouts{Write: 1}},
		"Config.Timeouts.Idle":               {Timeouts: gateway.Timeouts{Idle: -time.Second}},
		"Config.Timeouts.CallMax":            {Timeouts: gateway.Timeouts{CallMax: -time.Second}},
		"Config.Timeouts.Call":               {Timeouts: gateway.Timeouts{Call: 2 * time.Minute}},
		"Config.Timeouts.Stream":             {Timeouts: gateway.Timeouts{Stream: 31 * 24 * time.Hour}},
		"Config.ForwardHeaders[1]":           {ForwardHeaders: []string{"X-Fine", "Evenkeel-Principal-Bin"}},
		"Config.ForwardHeaders[0]":           {ForwardHeaders: []string{"X-Forwarded-For"}},
		"Config.ReturnHeaders[0]":            {ReturnHeaders: []string{"endpoint-load-metrics-bin"}},
		"Config.JSON.NullUnset":              {JSON: gateway.JSON{NullUnset: true, OmitDefaults: true}},
		"Config.Streams.Heartbeat":           {Streams: gateway.Streams{Heartbeat: time.Millisecond}},
		"Config.TLS":                         {TLS: &tls.Config{}},
		"Config.Health.LivePath":             {Health: gateway.Health{LivePath: "livez"}},
		"Config.Health.ReadyPath":            {Health: gateway.Health{ReadyPath: "/livez"}},
		"Config.Health.Checks[0]":            {Health: gateway.Health{Checks: []func(context.Context) error{nil}}},
		"Config.Drain.Delay":                 {Drain: gateway.Drain{Delay: 2 * time.Hour}},
		"Config.Drain.Timeout":               {Drain: gateway.Drain{Timeout: -1}},
	} {
		_, err := gateway.New(config)
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s: error %v", field, err)
		}
	}
	for _, name := range []string{"", "a b", "Grpc-Timeout", "Connection", "Content-Type", "Host", "Te", "X-Request-Id", "Forwarded", "ä", "evenkeel-principal-x"} {
		if _, err := gateway.New(gateway.Config{ForwardHeaders: []string{name}}); err == nil {
			t.Errorf("ForwardHeaders %q is accepted", name)
		}
	}
}

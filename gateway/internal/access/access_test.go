package access_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/access"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// method returns a method with an option; nil for none.
func method(t *testing.T, rule *gatewayv1.Access) protoreflect.MethodDescriptor {
	t.Helper()
	m := &descriptorpb.MethodDescriptorProto{Name: proto.String("M"), InputType: proto.String(".t.E"), OutputType: proto.String(".t.E")}
	if rule != nil {
		m.Options = &descriptorpb.MethodOptions{}
		proto.SetExtension(m.Options, gatewayv1.E_Access, rule)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("E")}},
		Service:     []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{m}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0).Methods().Get(0)
}

func scopes(names ...string) *gatewayv1.Access {
	return &gatewayv1.Access{Rule: &gatewayv1.Access_Scopes{Scopes: &gatewayv1.Scopes{AllOf: names}}}
}

func TestWhatSaysNothingIsRefused(t *testing.T) {
	for name, rule := range map[string]*gatewayv1.Access{
		"none": nil, "empty": {}, "public: false": {Rule: &gatewayv1.Access_Public{}},
		"authenticated: false": {Rule: &gatewayv1.Access_Authenticated{}}, "no scopes": scopes(), "empty scope": scopes("a", ""),
		"scope with a space": scopes("a b"), "scope with a quote": scopes(`a"`), "scope beyond ASCII": scopes("ä"),
	} {
		if r, err := access.Of(method(t, rule)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestRulesDecide(t *testing.T) {
	ann, reader := &auth.Principal{Subject: "ann"}, &auth.Principal{Subject: "bob", Scopes: []string{"a", "b"}}
	for name, c := range map[string]struct {
		rule                  *gatewayv1.Access
		nobody, known, scoped access.Decision
	}{
		"public":        {&gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}}, access.Allowed, access.Allowed, access.Allowed},
		"authenticated": {&gatewayv1.Access{Rule: &gatewayv1.Access_Authenticated{Authenticated: true}}, access.Unauthenticated, access.Allowed, access.Allowed},
		"scopes":        {scopes("b", "a"), access.Unauthenticated, access.Denied, access.Allowed},
		"more scopes":   {scopes("a", "c"), access.Unauthenticated, access.Denied, access.Denied},
	} {
		r, err := access.Of(method(t, c.rule))
		if err != nil {
			t.Fatal(err)
		}
		if r.Decide(nil) != c.nobody || r.Decide(ann) != c.known || r.Decide(reader) != c.scoped {
			t.Errorf("%s: %v %v %v", name, r.Decide(nil), r.Decide(ann), r.Decide(reader))
		}
	}
	var zero access.Rule
	if zero.Decide(nil) != access.Unauthenticated || zero.Decide(reader) != access.Denied {
		t.Error("the zero rule lets somebody in")
	}
}

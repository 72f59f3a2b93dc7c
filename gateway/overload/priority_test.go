package overload

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

func TestAMethodDeclaresItsPriority(t *testing.T) {
	for _, c := range []struct {
		limits *gatewayv1.Limits
		want   Priority
		wrong  bool
	}{
		{nil, Default, false},
		{&gatewayv1.Limits{}, Default, false},
		{&gatewayv1.Limits{Priority: gatewayv1.Priority_PRIORITY_DEFAULT}, Default, false},
		{&gatewayv1.Limits{Priority: gatewayv1.Priority_PRIORITY_CRITICAL}, Critical, false},
		{&gatewayv1.Limits{Priority: gatewayv1.Priority_PRIORITY_SHEDDABLE}, Sheddable, false},
		{&gatewayv1.Limits{Priority: 99}, Default, true},
	} {
		m := &descriptorpb.MethodDescriptorProto{Name: proto.String("M"), InputType: proto.String(".t.E"), OutputType: proto.String(".t.E")}
		if c.limits != nil {
			m.Options = &descriptorpb.MethodOptions{}
			proto.SetExtension(m.Options, gatewayv1.E_Limits, c.limits)
		}
		file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
			Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("E")}},
			Service:     []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{m}}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Declared(file.Services().Get(0).Methods().Get(0))
		if got != c.want || (err != nil) != c.wrong {
			t.Errorf("%v: %v, %v", c.limits, got, err)
		}
	}
}

func TestMethodsThatAreNotLinkedInAreNotRemembered(t *testing.T) {
	d := &declaredPriorities{}
	for _, method := range []string{"/no.such/Method", "", "///", "/google.protobuf.Any"} {
		if p := d.of(context.Background(), method); p != Default {
			t.Errorf("%q: %v", method, p)
		}
	}
	d.known.Range(func(k, _ any) bool {
		t.Errorf("%v is remembered", k)
		return true
	})
}

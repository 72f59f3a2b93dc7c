package gateway

import (
	"testing"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldmask"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// messageWith returns a message M with a field that holds an M, and with what
// change adds.
func messageWith(t *testing.T, change func(*descriptorpb.DescriptorProto)) protoreflect.MessageDescriptor {
	t.Helper()
	m := &descriptorpb.DescriptorProto{Name: proto.String("M"), Field: []*descriptorpb.FieldDescriptorProto{{
		Name: proto.String("m"), Number: proto.Int32(1), TypeName: proto.String(".M"),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
	}}}
	change(m)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("m.proto"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{m},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

func TestOfWhatIsThereInPartAPartIsLookedAt(t *testing.T) {
	field := func(m proto.Message, name protoreflect.Name) protoreflect.Descriptor {
		return m.ProtoReflect().Descriptor().Fields().ByName(name)
	}
	ask := func(resource proto.Message, mask ...string) changes {
		c := changes{}
		c.add(resource.ProtoReflect(), fieldmask.NewTree(mask))
		return c
	}
	note := &testv1.Note{Author: &testv1.Author{}, Labels: map[string]string{"a": "b"}}
	choice := &testv1.EchoRequest{}
	of := choice.ProtoReflect().Descriptor().Oneofs().ByName("choice")
	for _, c := range []struct {
		name string
		in   changes
		m    proto.Message
		d    protoreflect.Descriptor
		want bool
	}{
		{"neither in the mask nor there", ask(note, "etag"), note, field(note, "text"), false},
		{"in the mask", ask(note, "text"), note, field(note, "text"), true},
		{"there", ask(note), note, field(note, "labels"), true},
		{"a key of a map in the mask", ask(&testv1.Note{}, "labels.a"), note, field(note, "labels"), true},
		{"the message as a whole", ask(note, "text"), note, note.ProtoReflect().Descriptor(), false},
		{"all of it", ask(note, "text", "*"), note, note.ProtoReflect().Descriptor(), true},
		{"a part of a part", ask(note, "author.full_name"), note.Author, field(note.Author, "full_name"), true},
		{"the rest of a part", ask(note, "text"), note.Author, field(note.Author, "full_name"), false},
		{"a part as a whole", ask(note, "author"), note.Author, field(note.Author, "full_name"), true},
		{"all within a part", ask(note, "author.*"), note.Author, field(note.Author, "full_name"), true},
		{"another message", ask(note), &testv1.Author{}, field(note.Author, "full_name"), true},
		{"a oneof that is not touched", ask(choice, "text"), choice, of, false},
		{"a oneof that is", ask(choice, "left"), choice, of, true},
		{"a oneof that is set", ask(&testv1.EchoRequest{}), &testv1.EchoRequest{Choice: &testv1.EchoRequest_Right{Right: 1}}, of, true},
	} {
		if got := c.in.ShouldValidate(c.m.ProtoReflect(), c.d); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestNoRuleIsOverlooked(t *testing.T) {
	rule := func(options proto.Message, e protoreflect.ExtensionType, v any) { proto.SetExtension(options, e, v) }
	for name, c := range map[string]struct {
		change func(*descriptorpb.DescriptorProto)
		want   bool
	}{
		"none": {func(*descriptorpb.DescriptorProto) {}, false},
		"another option": {func(m *descriptorpb.DescriptorProto) {
			m.Options = &descriptorpb.MessageOptions{Deprecated: proto.Bool(true)}
		}, false},
		"of the message": {func(m *descriptorpb.DescriptorProto) {
			m.Options = &descriptorpb.MessageOptions{}
			rule(m.Options, validatepb.E_Message, &validatepb.MessageRules{})
		}, true},
		"of a field": {func(m *descriptorpb.DescriptorProto) {
			m.Field[0].Options = &descriptorpb.FieldOptions{}
			rule(m.Field[0].Options, validatepb.E_Field, &validatepb.FieldRules{})
		}, true},
		"of a oneof": {func(m *descriptorpb.DescriptorProto) {
			options := &descriptorpb.OneofOptions{}
			rule(options, validatepb.E_Oneof, &validatepb.OneofRules{})
			m.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("of"), Options: options}}
			m.Field[0].OneofIndex = proto.Int32(0)
		}, true},
		"of a nested message": {func(m *descriptorpb.DescriptorProto) {
			nested := &descriptorpb.DescriptorProto{Name: proto.String("N"), Options: &descriptorpb.MessageOptions{}}
			rule(nested.Options, validatepb.E_Message, &validatepb.MessageRules{})
			m.NestedType = []*descriptorpb.DescriptorProto{nested}
			m.Field[0].TypeName = proto.String(".M.N")
		}, true},
		"an option that is not known": {func(m *descriptorpb.DescriptorProto) {
			m.Field[0].Options = &descriptorpb.FieldOptions{}
			m.Field[0].Options.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 70_000, protowire.VarintType), 1))
		}, true},
	} {
		if got := hasRules(messageWith(t, c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

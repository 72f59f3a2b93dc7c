package reach_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evenkeel/evenkeel/gateway/internal/reach"
)

func names(md protoreflect.MessageDescriptor) []string {
	var all []string
	for m := range reach.Messages(md) {
		all = append(all, string(m.Name()))
	}
	return all
}

// A Struct holds Values in a map, and a Value holds Structs and lists of Values.
func TestEachMessageIsThereOnce(t *testing.T) {
	if got, want := names((&structpb.Struct{}).ProtoReflect().Descriptor()), []string{"Struct", "Value", "ListValue"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheWalkEndsWhereItsReaderDoes(t *testing.T) {
	for m := range reach.Messages((&structpb.Struct{}).ProtoReflect().Descriptor()) {
		if m.Name() != "Struct" {
			t.Fatalf("%s came behind the end", m.Name())
		}
		break
	}
}

// TestManyWaysToAMessageTakeNoLonger goes through messages of which each holds
// the next one twice: there are 2^60 ways to the last.
func TestManyWaysToAMessageTakeNoLonger(t *testing.T) {
	const depth = 60
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("deep.proto"), Syntax: proto.String("proto3")}
	for i := range depth {
		m := &descriptorpb.DescriptorProto{Name: proto.String(fmt.Sprint("M", i))}
		for n := int32(1); n <= 2 && i+1 < depth; n++ {
			m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
				Name: proto.String(fmt.Sprint("f", n)), Number: proto.Int32(n), TypeName: proto.String(fmt.Sprint(".M", i+1)),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
			})
		}
		file.MessageType = append(file.MessageType, m)
	}
	built, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(names(built.Messages().Get(0))); got != depth {
		t.Errorf("%d messages, want %d", got, depth)
	}
}

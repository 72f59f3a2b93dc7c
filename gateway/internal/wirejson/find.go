package wirejson

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Raw returns the wire form of a message that holds nothing but unknown fields,
// see [Encoder.AppendMessage]; nil if it holds others, or nothing.
func Raw(msg proto.Message) []byte {
	wire := []byte(msg.ProtoReflect().GetUnknown())
	if len(wire) == 0 || proto.Size(msg) != len(wire) {
		return nil
	}
	return wire
}

// Text returns the string at a path of singular fields, none of them in a oneof
// with others, of the message that wire holds; "" if it is not set. Of several
// the last one holds, as it does where messages are merged. What is malformed
// is left to those who read all of it.
func Text(wire []byte, path []protoreflect.FieldDescriptor) string {
	text, _ := find(wire, path)
	return string(text)
}

func find(wire []byte, path []protoreflect.FieldDescriptor) (text []byte, found bool) {
	wanted := path[0].Number()
	for len(wire) > 0 {
		number, typ, n := tag(wire)
		if n < 0 {
			return text, found
		}
		wire = wire[n:]
		if number != wanted || typ != protowire.BytesType {
			if n = skip(number, typ, wire); n < 0 {
				return text, found
			}
			wire = wire[n:]
			continue
		}
		data, n := lengthDelimited(wire)
		if n < 0 {
			return text, found
		}
		wire = wire[n:]
		if len(path) == 1 {
			text, found = data, true
		} else if inner, ok := find(data, path[1:]); ok {
			text, found = inner, true
		}
	}
	return text, found
}

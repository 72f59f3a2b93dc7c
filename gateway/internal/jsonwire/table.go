package jsonwire

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/wiretype"
)

// maxFields is how many fields a message may have, each oneof counted as one
// more.
const maxFields = 256

// message is what is known of a type.
type message struct {
	// plain is set if it is read here at all.
	plain  bool
	fields map[string]*field // by both names; none of those that are left
}

type field struct {
	number protowire.Number
	wire   protowire.Type
	kind   protoreflect.Kind
	list   bool
	// group numbers the field, or the oneof that it is a member of: of each only
	// one may be there.
	group uint
	sub   protoreflect.MessageDescriptor
	enum  map[string]protoreflect.EnumNumber
}

// typeOf returns what is known of a type, finding it out if need be.
func (r *Reader) typeOf(md protoreflect.MessageDescriptor) *message {
	if known, ok := r.types.Load(md); ok {
		m, _ := known.(*message)
		return m
	}
	known, _ := r.types.LoadOrStore(md, newMessage(md))
	m, _ := known.(*message)
	return m
}

func newMessage(md protoreflect.MessageDescriptor) *message {
	fields := md.Fields()
	if isWellKnown(md) || md.ExtensionRanges().Len() > 0 || fields.Len()+md.Oneofs().Len() > maxFields {
		return &message{}
	}
	m := &message{plain: true, fields: make(map[string]*field, 2*fields.Len())}
	made := make([]*field, fields.Len())
	// Of several with a name the first one has it, and those whose JSON name it is
	// go before the others.
	for i := range slices.Backward(made) {
		made[i] = newField(fields.Get(i))
		m.fields[fields.Get(i).TextName()] = made[i]
	}
	for i, f := range slices.Backward(made) {
		m.fields[fields.Get(i).JSONName()] = f
	}
	return m
}

// isWellKnown reports whether a message may be written in a way of its own.
func isWellKnown(md protoreflect.MessageDescriptor) bool {
	return md.FullName().Parent() == "google.protobuf"
}

// newField returns what is known of a field, nil if it is left to others.
func newField(fd protoreflect.FieldDescriptor) *field {
	if fd.IsMap() || fd.Kind() == protoreflect.GroupKind || fd.Message() != nil && isWellKnown(fd.Message()) {
		return nil
	}
	f := &field{number: fd.Number(), kind: fd.Kind(), wire: wiretype.Of(fd.Kind()), list: fd.IsList(), group: uint(fd.Index()), sub: fd.Message()}
	if of := fd.ContainingOneof(); of != nil {
		f.group = uint(fd.ContainingMessage().Fields().Len() + of.Index())
	}
	if ed := fd.Enum(); ed != nil {
		// A number that a closed enum does not have is not a value of the field on
		// the wire; null is a value of NullValue.
		if ed.IsClosed() || ed.FullName() == "google.protobuf.NullValue" {
			return nil
		}
		values := ed.Values()
		f.enum = make(map[string]protoreflect.EnumNumber, values.Len())
		for i := range values.Len() {
			f.enum[string(values.Get(i).Name())] = values.Get(i).Number()
		}
	}
	return f
}

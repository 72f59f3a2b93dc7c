package gateway

import (
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldmask"
)

// changes are the messages of a PATCH that are there in part, each with what of
// it is to change. They tell protovalidate what to look at: what the body leaves
// out stays as it is, and need not be there to be valid.
//
// A field is looked at if it is to change, or if there is something in it. The
// rules of a message as a whole are not: only the service knows the rest of it.
type changes map[proto.Message]*fieldmask.Tree

// validation says how a request is validated.
func (x *exchange) validation() []protovalidate.ValidationOption {
	if x.patch == nil {
		return nil
	}
	c := changes{}
	c.add(x.patch.resource.ProtoReflect(), fieldmask.NewTree(x.patch.mask))
	return []protovalidate.ValidationOption{protovalidate.WithFilter(c)}
}

// add adds a message, and those in it that are there in part, too: not those in
// lists and maps, which are set as a whole.
func (c changes) add(m protoreflect.Message, mask *fieldmask.Tree) {
	if mask.Whole() {
		return
	}
	c[m.Interface()] = mask
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() != nil && fd.Cardinality() != protoreflect.Repeated {
			c.add(v.Message(), mask.Field(fd.Name()))
		}
		return true
	})
}

// ShouldValidate implements [protovalidate.Filter].
func (c changes) ShouldValidate(m protoreflect.Message, d protoreflect.Descriptor) bool {
	mask, partly := c[m.Interface()]
	if !partly {
		return true
	}
	switch d := d.(type) {
	case protoreflect.FieldDescriptor:
		return m.Has(d) || mask.Field(d.Name()) != nil
	case protoreflect.OneofDescriptor:
		for i := range d.Fields().Len() {
			if fd := d.Fields().Get(i); m.Has(fd) || mask.Field(fd.Name()) != nil {
				return true
			}
		}
		return false
	default:
		return false
	}
}

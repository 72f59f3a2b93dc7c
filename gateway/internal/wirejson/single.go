package wirejson

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// AppendField writes the value of one of a message's fields behind dst. If the
// field is not set, that is its default; {} for a message, and null for one that
// is not written as an object.
func (e *Encoder) AppendField(dst []byte, msg proto.Message, fd protoreflect.FieldDescriptor) ([]byte, error) {
	wire, err := wireOf(msg)
	if err != nil {
		return dst, err
	}
	m := e.typeOf(fd.ContainingMessage())
	f := &m.fields[fd.Index()]
	if !m.plain {
		return e.appendBuiltField(dst, m.descriptor, f, wire)
	}
	w := e.writer(dst)
	states, err := w.scanned(m, wire, 0)
	if err == nil {
		if s := &states[fd.Index()]; f.presence && !s.set {
			w.out = append(w.out, f.unset()...)
		} else {
			err = w.field(f, s, wire, 0)
		}
	}
	return e.finish(w, dst, err)
}

// unset is what stands for a field with presence that is not set.
func (f *field) unset() string {
	if f.sub != nil && f.sub.special == ordinary {
		return "{}"
	}
	return "null"
}

func (e *Encoder) appendBuiltField(dst []byte, md protoreflect.MessageDescriptor, f *field, wire []byte) ([]byte, error) {
	whole, err := e.appendBuilt(nil, md, wire)
	if err != nil {
		return dst, err
	}
	var members map[string]json.RawMessage
	var name string
	if json.Unmarshal(whole, &members) != nil || json.Unmarshal(f.name[:len(f.name)-1], &name) != nil {
		return dst, errMalformed
	}
	value, set := members[name]
	switch {
	case set:
		return append(dst, value...), nil
	case f.presence:
		return append(dst, f.unset()...), nil
	}
	w := e.writer(dst)
	return e.finish(w, dst, w.field(f, &state{}, nil, 0))
}

// wireOf returns the wire form of a message: the bytes themselves of one that
// holds nothing but unknown fields.
func wireOf(msg proto.Message) ([]byte, error) {
	if wire := Raw(msg); wire != nil {
		return wire, nil
	}
	wire, err := proto.MarshalOptions{AllowPartial: true}.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("the message cannot be encoded: %w", err)
	}
	return wire, nil
}

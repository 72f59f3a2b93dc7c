package wirejson

import (
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/wiretype"
)

// state is what was found of a field.
type state struct {
	set  bool
	bits uint64 // a number, in the form of its kind
	data []byte // a string, bytes or a message
	// merged is set once data is a copy, put together from several.
	merged bool
	// from and to bound the occurrences of a list or a map.
	from, to int
}

// scan looks at each field of a message once and notes what it is in the end.
func scan(m *message, wire []byte, states []state, depth int) error {
	for pos := 0; pos < len(wire); {
		number, typ, n := tag(wire[pos:])
		if n < 0 {
			return errMalformed
		}
		start := pos
		pos += n
		i := m.find(number)
		if i < 0 || !m.fields[i].takes(typ) {
			if n = skip(number, typ, wire[pos:]); n < 0 {
				return errMalformed
			}
			pos += n
			continue
		}
		f, s := &m.fields[i], &states[i]
		if f.list || f.entry != nil {
			if n = skip(number, typ, wire[pos:]); n < 0 {
				return errMalformed
			}
			pos += n
			if f.packable && typ == protowire.BytesType && isEmpty(wire[pos-n:pos]) {
				continue // a packed list of nothing
			}
			if !s.set {
				s.set, s.from = true, start
			}
			s.to = pos
			continue
		}
		if f.siblings != nil {
			if err := clearSiblings(m, f, states, depth); err != nil {
				return err
			}
		}
		if n = s.take(f, wire[pos:], depth); n < 0 {
			return errMalformed
		}
		pos += n
	}
	return nil
}

// isEmpty reports whether what has a length has none.
func isEmpty(b []byte) bool {
	data, _ := protowire.ConsumeBytes(b)
	return len(data) == 0
}

// tag reads a field's number and type.
func tag(b []byte) (protowire.Number, protowire.Type, int) {
	if len(b) > 0 && b[0] < 0x80 {
		number := protowire.Number(b[0] >> 3)
		if number == 0 {
			return 0, 0, -1
		}
		return number, protowire.Type(b[0] & 7), 1
	}
	number, typ, n := protowire.ConsumeTag(b)
	if number > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return number, typ, n
}

// lengthDelimited is protowire.ConsumeBytes. Most lengths take one byte.
func lengthDelimited(b []byte) ([]byte, int) {
	if len(b) > 0 && b[0] < 0x80 {
		if end := 1 + int(b[0]); end <= len(b) {
			return b[1:end], end
		}
	}
	return protowire.ConsumeBytes(b)
}

// skip is protowire.ConsumeFieldValue. Most values are short.
func skip(number protowire.Number, typ protowire.Type, b []byte) int {
	if len(b) > 0 && b[0] < 0x80 {
		switch end := 1 + int(b[0]); {
		case typ == protowire.VarintType:
			return 1
		case typ == protowire.BytesType && end <= len(b):
			return end
		}
	}
	return protowire.ConsumeFieldValue(number, typ, b)
}

func (f *field) takes(typ protowire.Type) bool {
	if f.entry != nil {
		return typ == protowire.BytesType
	}
	return typ == f.wire || f.packable && typ == protowire.BytesType
}

// take notes a singular field's value. Of several, the last one holds, but
// messages are merged, which is what their bytes one behind the other mean.
func (s *state) take(f *field, b []byte, depth int) int {
	if f.wire != protowire.BytesType {
		bits, n := number(f.kind, b)
		s.set, s.bits = true, bits
		return n
	}
	data, n := lengthDelimited(b)
	if n < 0 {
		return n
	}
	switch {
	case s.set && f.sub != nil:
		if s.merge(f, data, depth) != nil {
			return -1
		}
	case s.set && judge(f, s.data, depth) != nil:
		return -1
	default:
		s.data = data
	}
	s.set = true
	return n
}

// merge adds another occurrence of a message. Each must be well formed alone.
func (s *state) merge(f *field, data []byte, depth int) error {
	if !s.merged {
		if err := judge(f, s.data, depth); err != nil {
			return err
		}
		s.data, s.merged = slices.Clone(s.data), true
	}
	s.data = append(s.data, data...)
	return judge(f, data, depth)
}

// clearSiblings unsets the other members of a oneof.
func clearSiblings(m *message, f *field, states []state, depth int) error {
	for _, i := range f.siblings {
		if other := &states[i]; other.set {
			if err := judge(&m.fields[i], other.data, depth); err != nil {
				return err
			}
			*other = state{}
		}
	}
	return nil
}

// judge looks at a value that something later replaces or adds to: it must be
// well formed all the same.
func judge(f *field, data []byte, depth int) error {
	switch {
	case f.utf8 && !utf8.Valid(data):
		return errNotUTF8
	case f.sub != nil:
		if (proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: maxDepth - depth}).Unmarshal(data, newMessage(f.sub.descriptor)) != nil {
			return errMalformed
		}
	}
	return nil
}

// number reads a number and returns it in the form of its kind: sign-extended
// integers, 0 or 1, or the bits of a float64 or float32.
func number(kind protoreflect.Kind, b []byte) (uint64, int) {
	switch wiretype.Of(kind) {
	case protowire.Fixed32Type:
		v, n := protowire.ConsumeFixed32(b)
		if kind == protoreflect.Sfixed32Kind {
			return uint64(int64(int32(v))), n
		}
		return uint64(v), n
	case protowire.Fixed64Type:
		return protowire.ConsumeFixed64(b)
	}
	var v uint64
	var n int
	if len(b) > 0 && b[0] < 0x80 {
		v, n = uint64(b[0]), 1
	} else {
		v, n = protowire.ConsumeVarint(b)
	}
	switch kind {
	case protoreflect.BoolKind:
		if v != 0 {
			v = 1
		}
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		v = uint64(int64(int32(v)))
	case protoreflect.Uint32Kind:
		v = uint64(uint32(v))
	case protoreflect.Sint32Kind:
		v = uint64(int64(int32(protowire.DecodeZigZag(v & math.MaxUint32))))
	case protoreflect.Sint64Kind:
		v = uint64(protowire.DecodeZigZag(v))
	}
	return v, n
}

package wirejson_test

import (
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shaper writes wire forms that are mostly well formed and mostly odd: fields
// twice and out of order, lists packed and not, maps with keys twice, unknown
// fields, wrong types, and now and then a byte that should not be there.
type shaper struct {
	*rand.Rand
	broken bool // also writes what is malformed
}

var someInts = []uint64{0, 1, 2, 7, 127, 128, 1 << 31, 1<<31 - 1, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64, 999_999_999, 1_000_000_000, 253402300799}

var someFloats = []float64{0, math.Copysign(0, -1), 1, 1.5, -3, 1e-7, 1e21, 1e20, 0.1, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 5e-324}

var someTexts = []string{"", "a", "b", "a_b", "c.d_e", "A", "é", "\u2028<&>", "\x00\x1f\x7f\"\\/\b\f\n\r\t", "\U0001F600", "a__b", "\ufffd"}

var someURLs = []string{
	"type.googleapis.com/evenkeel.test.v1.Scalars", "x/google.protobuf.Duration", "/google.protobuf.Any", "google.protobuf.Empty",
	"a/evenkeel.test.v1.WellKnown", "type.googleapis.com/evenkeel.test.v1.Nothing", "", "/google.protobuf.Value", "x/evenkeel.test.v1.OldStyle",
	"x/evenkeel.test.v1.Legacy", "x/google.protobuf.StringValue", "x/google.protobuf.Struct",
}

func (s *shaper) message(md protoreflect.MessageDescriptor, depth int) []byte {
	var b []byte
	fields := md.Fields()
	for range s.IntN(6) {
		if fields.Len() == 0 || s.IntN(20) == 0 {
			b = s.unknown(b)
			continue
		}
		fd := fields.Get(s.IntN(fields.Len()))
		if fd.Message() != nil && depth > 6 {
			continue
		}
		for range 1 + s.IntN(3)/2 {
			b = s.field(b, fd, depth)
		}
	}
	if s.broken && s.IntN(200) == 0 && len(b) > 0 {
		b[s.IntN(len(b))] ^= byte(1 << s.IntN(8))
	}
	return b
}

func (s *shaper) unknown(b []byte) []byte {
	number := protowire.Number(1 + s.IntN(3000))
	switch s.IntN(5) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), s.Uint64())
	case 1:
		return protowire.AppendFixed32(protowire.AppendTag(b, number, protowire.Fixed32Type), s.Uint32())
	case 2:
		return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), s.Uint64())
	case 3:
		b = protowire.AppendTag(b, number, protowire.StartGroupType)
		return protowire.AppendTag(b, number, protowire.EndGroupType)
	default:
		return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), []byte("x"))
	}
}

func (s *shaper) field(b []byte, fd protoreflect.FieldDescriptor, depth int) []byte {
	typ := wireTypeOf(fd.Kind())
	switch {
	case fd.IsList() && typ != protowire.BytesType && typ != protowire.StartGroupType && s.IntN(2) == 0:
		var packed []byte
		for range s.IntN(4) {
			packed = s.scalar(packed, fd, depth)
		}
		return protowire.AppendBytes(protowire.AppendTag(b, fd.Number(), protowire.BytesType), packed)
	case typ == protowire.StartGroupType:
		b = protowire.AppendTag(b, fd.Number(), typ)
		b = append(b, s.message(fd.Message(), depth+1)...)
		return protowire.AppendTag(b, fd.Number(), protowire.EndGroupType)
	}
	return s.scalar(protowire.AppendTag(b, fd.Number(), typ), fd, depth)
}

func (s *shaper) scalar(b []byte, fd protoreflect.FieldDescriptor, depth int) []byte {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(b, s.message(fd.Message(), depth+1))
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.AppendBytes(b, s.text(fd, depth))
	case protoreflect.FloatKind:
		return protowire.AppendFixed32(b, math.Float32bits(float32(s.float())))
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(b, math.Float64bits(s.float()))
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.AppendFixed32(b, uint32(s.int()))
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.AppendFixed64(b, s.int())
	default:
		if s.IntN(3) > 0 {
			return protowire.AppendVarint(b, uint64(s.IntN(4)))
		}
		return protowire.AppendVarint(b, s.int())
	}
}

func (s *shaper) text(fd protoreflect.FieldDescriptor, depth int) []byte {
	switch fd.FullName() {
	case "google.protobuf.Any.type_url":
		return []byte(someURLs[s.IntN(len(someURLs))])
	case "google.protobuf.Any.value":
		if depth > 6 {
			return nil
		}
		any := fd.ContainingMessage() // a message that happens to be well formed often enough
		return s.message(any, depth+1)
	}
	if s.broken && s.IntN(50) == 0 {
		return []byte("\xff")
	}
	return []byte(someTexts[s.IntN(len(someTexts))])
}

func (s *shaper) int() uint64 {
	if s.IntN(4) == 0 {
		return s.Uint64()
	}
	return someInts[s.IntN(len(someInts))]
}

func (s *shaper) float() float64 {
	if s.IntN(4) == 0 {
		return math.Float64frombits(s.Uint64())
	}
	return someFloats[s.IntN(len(someFloats))]
}

func wireTypeOf(kind protoreflect.Kind) protowire.Type {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	default:
		return protowire.VarintType
	}
}

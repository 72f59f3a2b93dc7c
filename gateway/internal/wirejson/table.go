package wirejson

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/wiretype"
)

// special is a message that is written in a way of its own.
type special uint8

const (
	ordinary special = iota
	anyMessage
	timestamp
	duration
	wrapper
	structMessage
	listValue
	value
	fieldMask
)

var specials = map[protoreflect.FullName]special{
	"google.protobuf.Any":         anyMessage,
	"google.protobuf.Timestamp":   timestamp,
	"google.protobuf.Duration":    duration,
	"google.protobuf.BoolValue":   wrapper,
	"google.protobuf.Int32Value":  wrapper,
	"google.protobuf.Int64Value":  wrapper,
	"google.protobuf.UInt32Value": wrapper,
	"google.protobuf.UInt64Value": wrapper,
	"google.protobuf.FloatValue":  wrapper,
	"google.protobuf.DoubleValue": wrapper,
	"google.protobuf.StringValue": wrapper,
	"google.protobuf.BytesValue":  wrapper,
	"google.protobuf.Struct":      structMessage,
	"google.protobuf.ListValue":   listValue,
	"google.protobuf.Value":       value,
	"google.protobuf.FieldMask":   fieldMask,
}

// message is what is known of a type.
type message struct {
	descriptor protoreflect.MessageDescriptor
	special    special
	fields     []field // in the order of their declaration
	dense      []int16 // index into fields by number, -1 for none
	sparse     map[protowire.Number]int16
	// plain is set if neither it nor anything in it is out of the ordinary.
	plain bool
}

type field struct {
	number protowire.Number
	kind   protoreflect.Kind
	wire   protowire.Type
	name   []byte // with quotes and colon
	list   bool
	// entry is the type of a map's entries.
	entry *message
	// sub is the type of a message.
	sub *message
	// packable is set for lists that may be packed.
	packable bool
	// presence is set if a field that is set to its default is there.
	presence bool
	// optional is set for members of a oneof and for proto3's optional fields,
	// of which nothing is written if they are not set.
	optional bool
	// siblings are the other members of its oneof.
	siblings []int16
	utf8     bool
	enum     map[int32][]byte // names with quotes; nil for NullValue
}

// typeOf returns what is known of a type, finding it out if need be.
func (e *Encoder) typeOf(md protoreflect.MessageDescriptor) *message {
	if known, ok := e.types.Load(md); ok {
		m, _ := known.(*message)
		return m
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := builder{encoder: e, made: map[protoreflect.MessageDescriptor]*message{}}
	m := b.build(md)
	for _, made := range b.made {
		made.plain = allPlain(made, map[*message]bool{})
	}
	for md, made := range b.made {
		e.types.LoadOrStore(md, made)
	}
	return m
}

// builder makes the tables of a type and of all that it can hold.
type builder struct {
	encoder *Encoder
	made    map[protoreflect.MessageDescriptor]*message
}

func (b *builder) build(md protoreflect.MessageDescriptor) *message {
	if known, ok := b.encoder.types.Load(md); ok {
		m, _ := known.(*message)
		return m
	}
	if m := b.made[md]; m != nil {
		return m
	}
	m := &message{descriptor: md, special: specials[md.FullName()], plain: isPlain(md)}
	b.made[md] = m
	fields := md.Fields()
	m.fields = make([]field, fields.Len())
	for i := range m.fields {
		m.fields[i] = b.field(fields.Get(i))
	}
	m.index()
	return m
}

// isPlain reports whether a type itself has nothing that proto3 has not.
func isPlain(md protoreflect.MessageDescriptor) bool {
	if md.ExtensionRanges().Len() > 0 || md.RequiredNumbers().Len() > 0 {
		return false
	}
	fields := md.Fields()
	for i := range fields.Len() {
		if fields.Get(i).Kind() == protoreflect.GroupKind {
			return false
		}
	}
	return true
}

func allPlain(m *message, seen map[*message]bool) bool {
	if seen[m] {
		return true
	}
	seen[m] = true
	if !m.plain {
		return false
	}
	for i := range m.fields {
		for _, next := range []*message{m.fields[i].sub, m.fields[i].entry} {
			if next != nil && !allPlain(next, seen) {
				return false
			}
		}
	}
	return true
}

func (b *builder) field(fd protoreflect.FieldDescriptor) field {
	name := fd.JSONName()
	if b.encoder.options.ProtoNames {
		name = fd.TextName()
	}
	quoted, _ := appendString(nil, []byte(name))
	f := field{
		number: fd.Number(), kind: fd.Kind(), wire: wiretype.Of(fd.Kind()), name: append(quoted, ':'),
		list: fd.IsList(), presence: fd.HasPresence(), optional: fd.ContainingOneof() != nil,
		utf8: enforcesUTF8(fd),
	}
	f.packable = f.list && f.wire != protowire.BytesType
	switch {
	case fd.IsMap():
		f.entry = b.build(fd.Message())
	case fd.Message() != nil:
		f.sub = b.build(fd.Message())
	case fd.Enum() != nil:
		f.enum = enumNames(fd.Enum())
	}
	if of := fd.ContainingOneof(); of != nil && of.Fields().Len() > 1 {
		for i := range of.Fields().Len() {
			if other := of.Fields().Get(i); other != fd {
				f.siblings = append(f.siblings, int16(other.Index())) // #nosec: a message has fewer fields
			}
		}
	}
	return f
}

// enumNames returns the names of an enum's values; of aliases the first.
func enumNames(ed protoreflect.EnumDescriptor) map[int32][]byte {
	if ed.FullName() == "google.protobuf.NullValue" {
		return nil
	}
	names := map[int32][]byte{}
	values := ed.Values()
	for i := range values.Len() {
		number := int32(values.Get(i).Number())
		if names[number] == nil {
			names[number], _ = appendString(nil, []byte(values.Get(i).Name()))
		}
	}
	return names
}

// enforcesUTF8 reports whether proto.Unmarshal refuses what is not UTF-8.
func enforcesUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.StringKind {
		return false
	}
	if own, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return own.EnforceUTF8()
	}
	return fd.ParentFile().Syntax() == protoreflect.Proto3
}

// index makes fields found by their numbers.
func (m *message) index() {
	const most = 256
	highest := protowire.Number(0)
	for i := range m.fields {
		if n := m.fields[i].number; n < most {
			highest = max(highest, n)
		}
	}
	m.dense = make([]int16, highest+1)
	for i := range m.dense {
		m.dense[i] = -1
	}
	for i := range m.fields {
		if n := m.fields[i].number; n < most {
			m.dense[n] = int16(i)
		} else {
			if m.sparse == nil {
				m.sparse = map[protowire.Number]int16{}
			}
			m.sparse[n] = int16(i)
		}
	}
}

// find returns the index of the field with a number, or -1.
func (m *message) find(number protowire.Number) int16 {
	if uint(number) < uint(len(m.dense)) {
		return m.dense[number]
	}
	if i, ok := m.sparse[number]; ok {
		return i
	}
	return -1
}

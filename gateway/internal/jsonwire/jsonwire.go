// Package jsonwire reads JSON into the wire form of a protobuf message, if the JSON
// is of the plain kind that most callers send. What is not, it leaves to
// protojson, which knows the rest of the mapping and tells what is wrong:
//
//	wire, ok := reader.Append(nil, md, body)
//	if !ok || proto.Unmarshal(wire, msg) != nil {
//		err = protojson.Unmarshal(body, msg)
//	}
//
// Plain are objects whose members are fields of the message, each there once,
// with strings without escapes, numbers, booleans, enums, bytes, messages, and
// lists of such. Null, maps, the well-known types, numbers written otherwise than
// usual, and whatever is in error are left. What is read is what protojson reads:
// a differential fuzz test holds both to each other.
package jsonwire

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A Reader reads messages. Its zero value is ready. Its methods may be called
// concurrently.
type Reader struct {
	types sync.Map // of protoreflect.MessageDescriptor to *message
}

// maxDepth is how deep messages may nest. It bounds the stack.
const maxDepth = 64

// Append writes what JSON says of a message of type md behind dst, in the wire
// form. It returns false if it leaves the JSON to others; dst is then as it was.
func (r *Reader) Append(dst []byte, md protoreflect.MessageDescriptor, json []byte) (wire []byte, ok bool) {
	p := parser{reader: r, in: json, out: dst}
	p.space()
	if !p.message(r.typeOf(md), 0) {
		return dst, false
	}
	p.space()
	if p.pos != len(p.in) {
		return dst, false
	}
	return p.out, true
}

// parser reads one message. Its methods return false for what is not plain.
type parser struct {
	reader *Reader
	in     []byte
	pos    int
	out    []byte
}

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next takes what stands behind an element: a comma, or the end of all. It
// returns whether that was the end.
func (p *parser) next(end byte) (ended, ok bool) {
	p.space()
	if p.take(end) {
		return true, true
	}
	if !p.take(',') {
		return false, false
	}
	p.space()
	return false, true
}

// message reads an object.
func (p *parser) message(m *message, depth int) bool {
	if !m.plain || depth > maxDepth || !p.take('{') {
		return false
	}
	p.space()
	if p.take('}') {
		return true
	}
	var seen [maxFields / 64]uint64
	for {
		name, ok := p.text()
		if !ok {
			return false
		}
		f := m.fields[string(name)]
		if f == nil || !p.colon() {
			return false
		}
		// Twice is an error, and so are two members of a oneof.
		word, bit := f.group/64, uint64(1)<<(f.group%64)
		if seen[word]&bit != 0 {
			return false
		}
		seen[word] |= bit
		if !p.field(f, depth) {
			return false
		}
		if ended, ok := p.next('}'); !ok || ended {
			return ok
		}
	}
}

func (p *parser) colon() bool {
	p.space()
	if !p.take(':') {
		return false
	}
	p.space()
	return true
}

func (p *parser) field(f *field, depth int) bool {
	if !f.list {
		return p.value(f, depth)
	}
	if !p.take('[') {
		return false
	}
	p.space()
	if p.take(']') {
		return true
	}
	for {
		if !p.value(f, depth) {
			return false
		}
		if ended, ok := p.next(']'); !ok || ended {
			return ok
		}
	}
}

// value reads a singular value or an element of a list.
func (p *parser) value(f *field, depth int) bool {
	switch f.kind {
	case protoreflect.MessageKind:
		return p.nested(f, depth)
	case protoreflect.StringKind:
		s, ok := p.text()
		if ok {
			p.out = protowire.AppendBytes(p.tag(f), s)
		}
		return ok
	case protoreflect.BytesKind:
		return p.bytes(f)
	case protoreflect.BoolKind:
		return p.bool(f)
	case protoreflect.EnumKind:
		return p.enum(f)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return p.float(f)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return p.unsigned(f)
	default:
		return p.signed(f)
	}
}

func (p *parser) tag(f *field) []byte { return protowire.AppendTag(p.out, f.number, f.wire) }

// nested reads a message within. Its length is known, and put before it, when it
// has been read.
func (p *parser) nested(f *field, depth int) bool {
	p.out = p.tag(f)
	start := len(p.out)
	p.out = append(p.out, 0)
	if !p.message(p.reader.typeOf(f.sub), depth+1) {
		return false
	}
	length := len(p.out) - start - 1
	if length < 0x80 {
		p.out[start] = byte(length)
		return true
	}
	size := protowire.SizeVarint(uint64(length))
	p.out = append(p.out, make([]byte, size-1)...)
	copy(p.out[start+size:], p.out[start+1:start+1+length])
	binary.PutUvarint(p.out[start:], uint64(length))
	return true
}

// text reads a string without escapes, within its quotes.
func (p *parser) text() ([]byte, bool) {
	if !p.take('"') {
		return nil, false
	}
	ascii := true
	for i := p.pos; i < len(p.in); i++ {
		switch c := p.in[i]; {
		case c == '"':
			s := p.in[p.pos:i]
			p.pos = i + 1
			return s, ascii || utf8.Valid(s)
		case c < ' ' || c == '\\':
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, false
}

// bytes reads base64 of either alphabet, with or without padding.
func (p *parser) bytes(f *field) bool {
	s, ok := p.text()
	if !ok {
		return false
	}
	coding := base64.StdEncoding
	for _, c := range s {
		if c == '-' || c == '_' {
			coding = base64.URLEncoding
			break
		}
	}
	if len(s)%4 != 0 {
		coding = coding.WithPadding(base64.NoPadding)
	}
	decoded, err := coding.AppendDecode(nil, s)
	if err != nil {
		return false
	}
	p.out = protowire.AppendBytes(p.tag(f), decoded)
	return true
}

func (p *parser) bool(f *field) bool {
	for _, literal := range [...]string{"false", "true"} {
		if end := p.pos + len(literal); end <= len(p.in) && string(p.in[p.pos:end]) == literal {
			p.pos = end
			p.out = protowire.AppendVarint(p.tag(f), uint64(len("false")-len(literal)))
			return p.delimited()
		}
	}
	return false
}

// enum reads a name, or a number.
func (p *parser) enum(f *field) bool {
	if p.peek() != '"' {
		return p.signed(f)
	}
	name, ok := p.text()
	if !ok {
		return false
	}
	number, ok := f.enum[string(name)]
	if ok {
		p.out = protowire.AppendVarint(p.tag(f), uint64(int64(number)))
	}
	return ok
}

// delimited reports whether a number or a literal ends here.
func (p *parser) delimited() bool {
	switch p.peek() {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	default:
		return false
	}
}

// digits reads an integer as it is usually written, in quotes or not, and returns
// its sign and its digits.
func (p *parser) digits() (negative bool, digits []byte, ok bool) {
	quoted := p.take('"')
	negative = p.take('-')
	start := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	digits = p.in[start:p.pos]
	if len(digits) == 0 || digits[0] == '0' && (len(digits) > 1 || negative) {
		return false, nil, false
	}
	if quoted {
		ok = p.take('"')
	} else {
		ok = p.delimited()
	}
	return negative, digits, ok
}

func (p *parser) unsigned(f *field) bool {
	negative, digits, ok := p.digits()
	if !ok || negative {
		return false
	}
	bits := 64
	if f.kind == protoreflect.Uint32Kind || f.kind == protoreflect.Fixed32Kind {
		bits = 32
	}
	v, err := strconv.ParseUint(string(digits), 10, bits)
	if err != nil {
		return false
	}
	p.number(f, v)
	return true
}

// signed reads an integer, or the number of an enum.
func (p *parser) signed(f *field) bool {
	negative, digits, ok := p.digits()
	if !ok {
		return false
	}
	v, err := strconv.ParseUint(string(digits), 10, 63)
	if err != nil {
		return false // also for the least one there is
	}
	n := int64(v)
	if negative {
		n = -n
	}
	switch f.kind {
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
	case protoreflect.Sint64Kind:
		p.number(f, protowire.EncodeZigZag(n))
		return true
	default:
		if n != int64(int32(n)) {
			return false
		}
		if f.kind == protoreflect.Sint32Kind {
			p.number(f, protowire.EncodeZigZag(n))
			return true
		}
	}
	p.number(f, uint64(n))
	return true
}

// number writes one in the form that its field has.
func (p *parser) number(f *field, v uint64) {
	p.out = p.tag(f)
	switch f.wire {
	case protowire.Fixed32Type:
		p.out = protowire.AppendFixed32(p.out, uint32(v))
	case protowire.Fixed64Type:
		p.out = protowire.AppendFixed64(p.out, v)
	default:
		p.out = protowire.AppendVarint(p.out, v)
	}
}

func (p *parser) float(f *field) bool {
	start := p.pos
	if !p.jsonNumber() || !p.delimited() {
		return false
	}
	bits := 64
	if f.kind == protoreflect.FloatKind {
		bits = 32
	}
	v, err := strconv.ParseFloat(string(p.in[start:p.pos]), bits)
	if err != nil {
		return false
	}
	if bits == 32 {
		p.number(f, uint64(math.Float32bits(float32(v))))
	} else {
		p.number(f, math.Float64bits(v))
	}
	return true
}

// jsonNumber takes a number of RFC 8259, section 6.
func (p *parser) jsonNumber() bool {
	p.take('-')
	if !p.take('0') && !p.someDigits() {
		return false
	}
	if p.take('.') && !p.someDigits() {
		return false
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		return p.someDigits()
	}
	return true
}

func (p *parser) someDigits() bool {
	start := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}

// Package wirejson writes a protobuf message in its wire form as JSON, without
// building the message in between:
//
//	enc := wirejson.New(wirejson.Options{Defaults: true})
//	out, err := enc.Append(nil, book.ProtoReflect().Descriptor(), wire)
//
// What comes out is what protojson writes of the message that proto.Unmarshal
// makes of the same bytes, but for the options that protojson does not have, and
// but for the spaces that protojson puts in at random. Repeated singular fields,
// oneofs, map entries and packed lists follow the merge rules of the encoding.
// A differential fuzz test holds both to each other.
//
// Messages with extensions, groups, required fields or message sets, none of
// which proto3 has, are built and left to protojson; Int64Numbers and URLBytes
// do not hold for those.
//
// Sources: the encoding and the JSON mapping at protobuf.dev; protojson.
package wirejson

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Options say which of the forms that JSON may take is written.
type Options struct {
	// ProtoNames writes fields by their proto names, not in lowerCamelCase.
	ProtoNames bool
	// EnumNumbers writes enums as numbers, not by their names.
	EnumNumbers bool
	// Int64Numbers writes integers of 64 bits as numbers, not as strings.
	Int64Numbers bool
	// URLBytes writes bytes in base64url without padding, not in base64.
	URLBytes bool
	// Defaults also writes fields without presence that have their default:
	// false, 0, "", [] and {}.
	Defaults bool
	// Unset does that, and writes null for messages that are not set.
	Unset bool
}

// An Encoder writes messages as JSON. Its methods may be called concurrently.
type Encoder struct {
	options Options
	mu      sync.Mutex
	types   sync.Map // of protoreflect.MessageDescriptor to *message
	writers sync.Pool
}

// New returns an encoder.
func New(o Options) *Encoder {
	return &Encoder{options: o, writers: sync.Pool{New: func() any { return new(writer) }}}
}

// maxDepth is how deep messages may nest, as for proto.Unmarshal.
const maxDepth = 10_000

// The errors of Append. They do not quote the message.
var (
	errMalformed = errors.New("the message is malformed")
	errTooDeep   = errors.New("the message nests too deep")
	errNotUTF8   = errors.New("a string is not valid UTF-8")
)

// Append writes the message of type md that wire holds behind dst.
func (e *Encoder) Append(dst []byte, md protoreflect.MessageDescriptor, wire []byte) ([]byte, error) {
	m := e.typeOf(md)
	if !m.plain {
		return e.appendBuilt(dst, md, wire)
	}
	if dst == nil {
		dst = make([]byte, 0, 2*len(wire)+128) // names take about as much as values
	}
	w := e.writer(dst)
	return e.finish(w, dst, w.message(m, wire, 0))
}

// AppendMessage writes a message behind dst. One that holds nothing but unknown
// fields is taken for its own wire form.
func (e *Encoder) AppendMessage(dst []byte, msg proto.Message) ([]byte, error) {
	if !msg.ProtoReflect().IsValid() {
		return append(dst, "{}"...), nil
	}
	wire, err := wireOf(msg)
	if err != nil {
		return dst, err
	}
	return e.Append(dst, msg.ProtoReflect().Descriptor(), wire)
}

// writer returns one that writes behind dst. The caller gives it to finish.
func (e *Encoder) writer(dst []byte) *writer {
	w, _ := e.writers.Get().(*writer)
	w.encoder, w.out = e, dst
	return w
}

// finish returns what was written, or dst if it was not.
func (e *Encoder) finish(w *writer, dst []byte, err error) ([]byte, error) {
	out := w.out
	w.encoder, w.out = nil, nil
	w.states, w.entries = w.states[:0], w.entries[:0]
	e.writers.Put(w)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// appendBuilt leaves what is out of the ordinary to protojson.
func (e *Encoder) appendBuilt(dst []byte, md protoreflect.MessageDescriptor, wire []byte) ([]byte, error) {
	msg := newMessage(md)
	if err := proto.Unmarshal(wire, msg); err != nil {
		return dst, errMalformed
	}
	return e.built(dst, msg)
}

func (e *Encoder) built(dst []byte, msg proto.Message) ([]byte, error) {
	spaced, err := protojson.MarshalOptions{
		UseProtoNames: e.options.ProtoNames, UseEnumNumbers: e.options.EnumNumbers,
		EmitDefaultValues: e.options.Defaults, EmitUnpopulated: e.options.Unset,
	}.Marshal(msg)
	if err != nil {
		return dst, errors.New("the message has no JSON form")
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, spaced); err != nil {
		return dst, errMalformed
	}
	return out.Bytes(), nil
}

func newMessage(md protoreflect.MessageDescriptor) proto.Message {
	if mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName()); err == nil && mt.Descriptor() == md {
		return mt.New().Interface()
	}
	return dynamicpb.NewMessage(md)
}

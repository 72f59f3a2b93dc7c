package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/internal/jsonwire"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
)

// marshaler is how the generated handlers read and write JSON. Requests are
// read to the letter: nothing unknown, nothing twice, nothing behind.
type marshaler struct {
	encoder *wirejson.Encoder
	reader  jsonwire.Reader
	decode  protojson.UnmarshalOptions // of what reader leaves
	// fields reads bodies that are one field which is no message.
	fields runtime.JSONPb
}

func newMarshaler(form JSON, lenient Lenient) *marshaler {
	options := protojson.UnmarshalOptions{DiscardUnknown: lenient.BodyFields}
	return &marshaler{
		encoder: wirejson.New(wirejson.Options{
			ProtoNames: form.ProtoNames, EnumNumbers: form.EnumNumbers, Int64Numbers: form.Int64Numbers, URLBytes: form.URLBytes,
			Defaults: !form.OmitDefaults, Unset: form.NullUnset,
		}),
		decode: options,
		fields: runtime.JSONPb{UnmarshalOptions: options},
	}
}

var _ runtime.Marshaler = (*marshaler)(nil)

func (m *marshaler) ContentType(v any) string {
	body, ok := v.(*httpbody.HttpBody)
	if !ok {
		return typeJSON
	}
	return mediaTypeOf(body)
}

func mediaTypeOf(body *httpbody.HttpBody) string {
	if body.GetContentType() == "" {
		return typeBytes
	}
	return body.GetContentType()
}

// errUnwritable stands for an error of an encoder, which might quote what it
// could not write: the generated handlers log what they get.
var errUnwritable = errors.New("the message cannot be written as JSON")

// newline stands behind each message of a stream. It is told from a message
// that is just a newline by its address, see responseWriter.
var newline = []byte{'\n'}

func (m *marshaler) Delimiter() []byte { return newline }

// oneField is a response of which one field is the answer.
type oneField struct {
	message proto.Message
	field   protoreflect.FieldDescriptor
}

// Marshal writes what an answer holds. What stands around the messages of a
// stream is put there by the responseWriter.
func (m *marshaler) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any: // a message of a stream
		return m.append(nil, v["result"])
	case map[string]proto.Message: // an error of a stream, see handleStreamError
		return nil, errUnwritable
	default:
		return m.append(nil, v)
	}
}

// append writes a message, or a field of one, behind to.
func (m *marshaler) append(to []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case *httpbody.HttpBody:
		return append(to, v.GetData()...), nil
	case oneField:
		to, err = m.encoder.AppendField(to, v.message, v.field)
	case proto.Message:
		to, err = m.encoder.AppendMessage(to, v)
	default:
		err = errUnwritable
	}
	if err != nil {
		return to, errUnwritable
	}
	return to, nil
}

// appendRaw writes a message of type md that was left raw.
func (m *marshaler) appendRaw(to []byte, md protoreflect.MessageDescriptor, raw []byte) ([]byte, error) {
	to, err := m.encoder.Append(to, md, raw)
	if err != nil {
		return to, errUnwritable
	}
	return to, nil
}

func (m *marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		encoded, err := m.Marshal(v)
		if err == nil {
			_, err = w.Write(encoded)
		}
		return err
	})
}

func (m *marshaler) Unmarshal(data []byte, v any) error {
	if jsonbody.Empty(data) {
		return io.EOF // no body leaves the message as it is
	}
	if msg, ok := v.(proto.Message); ok {
		return m.read(data, msg)
	}
	if msg := newMessage(v); msg != nil {
		return m.read(data, msg)
	}
	return m.unmarshalField(data, v)
}

// read decodes a message. What is plain, as most are, is not left to protojson,
// which takes more than twice as long.
func (m *marshaler) read(data []byte, msg proto.Message) error {
	buffer := getBuffer()
	defer buffer.put()
	wire, plain := m.reader.Append(buffer.data, msg.ProtoReflect().Descriptor(), data)
	buffer.data = wire
	if plain && proto.Unmarshal(wire, msg) == nil {
		return nil
	}
	return m.decode.Unmarshal(data, msg)
}

// newMessage puts a new message where v, a pointer to a pointer to one, points.
func newMessage(v any) proto.Message {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Pointer {
		return nil
	}
	msg, ok := reflect.New(rv.Type().Elem().Elem()).Interface().(proto.Message)
	if !ok {
		return nil
	}
	rv.Elem().Set(reflect.ValueOf(msg))
	return msg
}

// unmarshalField reads a body that is one field which is no message.
func (m *marshaler) unmarshalField(data []byte, v any) error {
	dec := m.fields.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		return err
	}
	var more json.RawMessage
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errMalformed
	}
	return nil
}

// NewDecoder reads one value, all there is, or the values of a client's stream
// in turn.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	switch b := r.(type) {
	case *body:
		return runtime.DecoderFunc(func(v any) error { return quiet(b.decode(m, v)) })
	case *inbox:
		return runtime.DecoderFunc(b.next)
	}
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err == nil {
			err = m.Unmarshal(data, v)
		}
		return quiet(err)
	})
}

// quiet replaces an error that quotes the body, since the generated handlers
// log what they get. What is wrong is found out anew, see diagnose.
func quiet(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return errMalformed
}

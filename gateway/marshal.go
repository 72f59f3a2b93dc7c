package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// marshaler is how the generated handlers read and write JSON. Answers carry
// fields without presence also where they have their default, so that a list
// is there when it is empty; what is optional and unset is left out. Requests
// are read to the letter: nothing unknown, nothing twice, nothing behind.
type marshaler struct{ json runtime.JSONPb }

func newMarshaler() *marshaler {
	return &marshaler{json: runtime.JSONPb{
		MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true},
	}}
}

var _ runtime.Marshaler = (*marshaler)(nil)

func (m *marshaler) ContentType(v any) string {
	body, ok := v.(*httpbody.HttpBody)
	switch {
	case !ok:
		return typeJSON
	case body.GetContentType() == "":
		return "application/octet-stream"
	default:
		return body.GetContentType()
	}
}

// errUnwritable stands for an error of protojson, which quotes what it could not
// write: the generated handlers log what they get.
var errUnwritable = errors.New("the message cannot be written as JSON")

// newline stands behind each message of a stream. It is told from a message
// that is just a newline by its address, see responseWriter.
var newline = []byte{'\n'}

func (m *marshaler) Delimiter() []byte { return newline }

func (m *marshaler) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case *httpbody.HttpBody:
		return v.GetData(), nil
	case proto.Message:
		encoded, err := m.json.MarshalOptions.Marshal(v)
		if err != nil {
			return nil, errUnwritable
		}
		return encoded, nil
	case map[string]any: // a message of a stream: {"result": …}
		return m.marshalResult(v)
	case map[string]proto.Message: // an error of a stream: {"error": …}
		if st, ok := v["error"].(*spb.Status); ok {
			return json.Marshal(map[string]*problem.Problem{"error": problem.FromStatus(status.FromProto(st))})
		}
	}
	return m.json.Marshal(v)
}

func (m *marshaler) marshalResult(v map[string]any) ([]byte, error) {
	result, ok := v["result"]
	if !ok || len(v) != 1 {
		return m.json.Marshal(v)
	}
	encoded, err := m.Marshal(result)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(encoded)+len(`{"result":}`))
	out = append(out, `{"result":`...)
	out = append(out, encoded...)
	return append(out, '}'), nil
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
		return protojson.Unmarshal(data, msg)
	}
	if msg := newMessage(v); msg != nil {
		return protojson.Unmarshal(data, msg)
	}
	return m.unmarshalField(data, v)
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
	dec := m.json.NewDecoder(bytes.NewReader(data))
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
	if b, ok := r.(*body); ok {
		if b.stream != nil {
			return m.streamDecoder(b)
		}
		return runtime.DecoderFunc(func(v any) error { return quiet(m.Unmarshal(b.take(), v)) })
	}
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err == nil {
			err = m.Unmarshal(data, v)
		}
		return quiet(err)
	})
}

// streamDecoder reads the messages of a client's stream. What is wrong with one
// is kept for the answer, since the generated handlers would tell the decoder's
// own words, or nothing.
func (m *marshaler) streamDecoder(b *body) runtime.Decoder {
	dec := json.NewDecoder(b)
	return runtime.DecoderFunc(func(v any) error {
		var value json.RawMessage
		err := dec.Decode(&value)
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err == nil {
			err = m.Unmarshal(value, v)
		} else {
			value = b.data // not JSON from here on
		}
		if err != nil {
			found := b.stream.binding.diagnoseBody(value)
			b.stream.refused.Store(badRequest(found.Detail, found.Errors))
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

package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// maxDiagnosed bounds what is looked at a second time.
const maxDiagnosed = 256 << 10

// Details of what is wrong with a body as a whole.
const (
	NotJSON      = "the body is not valid JSON"
	MoreThanOne  = "the body holds something behind the JSON value"
	NotUTF8      = "the body is not valid UTF-8"
	DoesNotFit   = "the body does not fit the method"
	NotAnObject  = "the body must be a JSON object"
	unknownField = "there is no such field"
	setTwice     = "it is set twice"
)

// A Finding is what is wrong with a body: a detail, and the field if it is one
// field's.
type Finding struct {
	Detail string
	Errors []problem.FieldError
}

// Diagnose finds what is wrong with a body that was refused as a message of
// type mt when it was decoded as said. Paths start with prefix, the path of the field that the body is.
func Diagnose(as protojson.UnmarshalOptions, data []byte, mt protoreflect.MessageType, prefix string) Finding {
	if len(data) > maxDiagnosed {
		return Finding{Detail: DoesNotFit}
	}
	if detail := syntax(data); detail != "" {
		return Finding{Detail: detail}
	}
	if fieldpath.HasOwnJSON(mt.Descriptor()) {
		return Finding{Detail: "the body must be " + fieldpath.DescribeMessage(mt.Descriptor())}
	}
	w := walker{dec: json.NewDecoder(bytes.NewReader(data)), as: as}
	w.dec.UseNumber()
	if token, _ := w.dec.Token(); token != json.Delim('{') {
		return Finding{Detail: NotAnObject}
	}
	if found := w.message(mt.New(), prefix); found != nil {
		return Finding{Detail: DoesNotFit, Errors: []problem.FieldError{*found}}
	}
	return Finding{Detail: DoesNotFit}
}

// FitsField reports whether a body can be one field, which is no message, of a
// message of type mt.
func FitsField(as protojson.UnmarshalOptions, data []byte, mt protoreflect.MessageType, jsonName string) bool {
	return syntax(data) == "" && as.Unmarshal(Member(jsonName, data), mt.New().Interface()) == nil
}

// DiagnoseField finds what is wrong with a body that was refused as one field,
// which is no message, of a message of type mt.
func DiagnoseField(as protojson.UnmarshalOptions, data []byte, mt protoreflect.MessageType, jsonName string) Finding {
	if len(data) > maxDiagnosed {
		return Finding{Detail: DoesNotFit}
	}
	if detail := syntax(data); detail != "" {
		return Finding{Detail: detail}
	}
	return Diagnose(as, Member(jsonName, data), mt, "")
}

// syntax says why data is not one JSON value.
func syntax(data []byte) string {
	if !utf8.Valid(data) {
		return NotUTF8
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return NotJSON
	}
	var more json.RawMessage
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return MoreThanOne
	}
	return ""
}

// walker goes through a JSON value once, beside the message that it is to be.
// The value is known to be valid JSON, and not too deep.
type walker struct {
	dec *json.Decoder
	as  protojson.UnmarshalOptions // that it was refused with
}

// message looks at the members of an object, its brace already taken.
func (w *walker) message(msg protoreflect.Message, path string) *problem.FieldError {
	seen := map[protoreflect.FieldNumber]bool{}
	oneofs := map[protoreflect.Name]string{}
	var conflict *problem.FieldError
	for w.dec.More() {
		name := w.name()
		fd := fieldpath.Field(msg.Descriptor(), name)
		if fd == nil && w.as.DiscardUnknown {
			var ignored json.RawMessage
			_ = w.dec.Decode(&ignored)
			continue
		}
		if fd == nil {
			return &problem.FieldError{Field: fieldpath.Append(path, fieldpath.Shorten(name)), Detail: unknownField}
		}
		at := fieldpath.Append(path, fd.JSONName())
		if seen[fd.Number()] {
			return &problem.FieldError{Field: at, Detail: setTwice}
		}
		seen[fd.Number()] = true
		if of := fd.ContainingOneof(); of != nil && !of.IsSynthetic() {
			// Told only if nothing else is wrong: one of the two may be null.
			if other, set := oneofs[of.Name()]; set && conflict == nil {
				conflict = &problem.FieldError{Field: at, Detail: "it excludes " + other + ", which is set, too"}
			}
			oneofs[of.Name()] = fd.JSONName()
		}
		if found := w.field(msg, fd, at); found != nil {
			return found
		}
	}
	_, _ = w.dec.Token() // the closing brace
	return conflict
}

// name takes a member's name.
func (w *walker) name() string {
	token, _ := w.dec.Token()
	name, _ := token.(string)
	return name
}

func (w *walker) field(msg protoreflect.Message, fd protoreflect.FieldDescriptor, at string) *problem.FieldError {
	switch {
	case fd.IsMap():
		return w.mapField(msg, fd, at)
	case fd.IsList():
		return w.list(msg, fd, at)
	case isPlainMessage(fd):
		return w.nested(msg.NewField(fd).Message(), at, true)
	default:
		return w.leaf(msg, fd, at, func(raw []byte) []byte { return raw })
	}
}

func isPlainMessage(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fieldpath.HasOwnJSON(fd.Message())
}

// nested takes a value that is to be a message. null leaves a field unset, but
// is no element of a list or a map.
func (w *walker) nested(msg protoreflect.Message, at string, orNull bool) *problem.FieldError {
	token, _ := w.dec.Token()
	switch {
	case token == json.Delim('{'):
		return w.message(msg, at)
	case token == nil && orNull:
		return nil
	default:
		return &problem.FieldError{Field: at, Detail: "it must be an object"}
	}
}

func (w *walker) list(msg protoreflect.Message, fd protoreflect.FieldDescriptor, at string) *problem.FieldError {
	token, _ := w.dec.Token()
	if token == nil {
		return nil
	}
	if token != json.Delim('[') {
		return &problem.FieldError{Field: at, Detail: "it must be an array"}
	}
	for i := 0; w.dec.More(); i++ {
		var found *problem.FieldError
		if isPlainMessage(fd) {
			found = w.nested(msg.NewField(fd).List().NewElement().Message(), fieldpath.Index(at, i), false)
		} else {
			found = w.leaf(msg, fd, fieldpath.Index(at, i), func(raw []byte) []byte {
				return slices.Concat([]byte{'['}, raw, []byte{']'})
			})
		}
		if found != nil {
			return found
		}
	}
	_, _ = w.dec.Token() // the closing bracket
	return nil
}

func (w *walker) mapField(msg protoreflect.Message, fd protoreflect.FieldDescriptor, at string) *problem.FieldError {
	token, _ := w.dec.Token()
	if token == nil {
		return nil
	}
	if token != json.Delim('{') {
		return &problem.FieldError{Field: at, Detail: "it must be an object"}
	}
	seen := map[string]bool{}
	for w.dec.More() {
		key := w.name()
		here := fieldpath.Key(at, key)
		if seen[key] {
			return &problem.FieldError{Field: here, Detail: setTwice}
		}
		seen[key] = true
		var found *problem.FieldError
		if isPlainMessage(fd.MapValue()) {
			found = w.nested(msg.NewField(fd).Map().NewValue().Message(), here, false)
		} else {
			found = w.leaf(msg, fd, here, func(raw []byte) []byte { return Member(key, raw) })
		}
		if found != nil {
			return found
		}
	}
	_, _ = w.dec.Token() // the closing brace
	return nil
}

// leaf takes a value and asks protojson whether it can be the field's, or one
// element of it as wrap makes it.
func (w *walker) leaf(msg protoreflect.Message, fd protoreflect.FieldDescriptor, at string, wrap func([]byte) []byte) *problem.FieldError {
	var raw json.RawMessage
	err := w.dec.Decode(&raw)
	if err == nil {
		err = w.as.Unmarshal(Member(fd.JSONName(), wrap(raw)), msg.New().Interface())
	}
	if err == nil {
		return nil
	}
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	return &problem.FieldError{Field: at, Detail: "it must be " + fieldpath.Describe(fd)}
}

// Member returns the object {name: value}.
func Member(name string, value []byte) []byte {
	quoted, _ := json.Marshal(name)
	return slices.Concat([]byte{'{'}, quoted, []byte{':'}, value, []byte{'}'})
}

package query

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
)

// errValue stands for every value that a field cannot hold: what it must look
// like is said from the field.
var errValue = errors.New("the field cannot hold the value")

// Set puts what a path's variable captured into the field that fields lead to. A
// list has its elements with commas between them. The error says only that the
// field cannot hold it.
func Set(msg protoreflect.Message, fields []protoreflect.FieldDescriptor, text string) error {
	fd := fields[len(fields)-1]
	switch {
	case fd.IsList():
		return set(msg, fields, "", strings.Split(text, ","))
	case len(fields) == 1 && fd.Kind() == protoreflect.StringKind && !fd.IsMap(): // nearly always
		msg.Set(fd, protoreflect.ValueOfString(text))
		return nil
	default:
		return set(msg, fields, "", []string{text})
	}
}

// set puts the values of a parameter into the field that fields lead to.
func set(msg protoreflect.Message, fields []protoreflect.FieldDescriptor, mapKey string, values []string) error {
	for _, fd := range fields[:len(fields)-1] {
		msg = msg.Mutable(fd).Message()
	}
	fd := fields[len(fields)-1]
	for _, text := range values {
		switch {
		case fd.IsMap():
			key, err := parse(fd.MapKey(), mapKey, nil)
			if err != nil {
				return err
			}
			m := msg.Mutable(fd).Map()
			v, err := parse(fd.MapValue(), text, m.NewValue)
			if err != nil {
				return err
			}
			m.Set(key.MapKey(), v)
		case fd.IsList():
			list := msg.Mutable(fd).List()
			v, err := parse(fd, text, list.NewElement)
			if err != nil {
				return err
			}
			list.Append(v)
		default:
			v, err := parse(fd, text, func() protoreflect.Value { return msg.NewField(fd) })
			if err != nil {
				return err
			}
			msg.Set(fd, v)
		}
	}
	return nil
}

// parse reads a value. fresh makes a message, if the field is one.
func parse(fd protoreflect.FieldDescriptor, text string, fresh func() protoreflect.Value) (protoreflect.Value, error) {
	if fd.Message() != nil {
		return parseMessage(fd.Message(), text, fresh())
	}
	var v any
	var err error
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		v, err = parseBytes(text)
	case protoreflect.BoolKind:
		v, err = strconv.ParseBool(text)
	case protoreflect.EnumKind:
		return parseEnum(fd.Enum(), text)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(text, 10, 32)
		v = int32(n) // #nosec G115: of 32 bits
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		v = uint32(n) // #nosec G115: of 32 bits
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		v, err = strconv.ParseInt(text, 10, 64)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		v, err = strconv.ParseUint(text, 10, 64)
	case protoreflect.FloatKind:
		var n float64
		n, err = parseFloat(text, 32)
		v = float32(n)
	case protoreflect.DoubleKind:
		v, err = parseFloat(text, 64)
	}
	if err != nil {
		return protoreflect.Value{}, errValue
	}
	return protoreflect.ValueOf(v), nil
}

// parseBytes takes base64 and base64url, with padding and without.
func parseBytes(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

// parseFloat takes what JSON's numbers look like, and the names that protobuf
// gives to what JSON has no number for. Hexadecimal and underscores are Go's.
func parseFloat(text string, bits int) (float64, error) {
	switch text {
	case "NaN", "Infinity", "-Infinity":
	default:
		if strings.ContainsAny(text, "xX_pPiInN") {
			return 0, errValue
		}
	}
	return strconv.ParseFloat(text, bits)
}

// parseEnum takes a name or a number. An open enum holds any number.
func parseEnum(ed protoreflect.EnumDescriptor, text string) (protoreflect.Value, error) {
	if known := ed.Values().ByName(protoreflect.Name(text)); known != nil {
		return protoreflect.ValueOfEnum(known.Number()), nil
	}
	if ed.FullName() == "google.protobuf.NullValue" && text == "null" {
		return protoreflect.ValueOfEnum(0), nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	number := protoreflect.EnumNumber(n) // #nosec G115: of 32 bits
	if err != nil || ed.IsClosed() && ed.Values().ByNumber(number) == nil {
		return protoreflect.Value{}, errValue
	}
	return protoreflect.ValueOfEnum(number), nil
}

// parseMessage takes messages that are written as one value, in their JSON form;
// strings need no quotes.
func parseMessage(md protoreflect.MessageDescriptor, text string, v protoreflect.Value) (protoreflect.Value, error) {
	if !fieldpath.HasOwnJSON(md) && md.FullName() != "google.protobuf.Empty" {
		return protoreflect.Value{}, errValue
	}
	msg := v.Message()
	switch md.Name() {
	case "FieldMask":
		// Its JSON form has camel case only; here, proto names are taken, too.
		mask, ok := msg.Interface().(*fieldmaskpb.FieldMask)
		if !ok {
			return protoreflect.Value{}, errValue
		}
		if text != "" {
			mask.Paths = strings.Split(text, ",")
		}
		return v, nil
	case "BoolValue", "Int32Value", "UInt32Value", "Int64Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue":
		inner, err := parse(md.Fields().ByNumber(1), text, nil)
		if err == nil {
			msg.Set(md.Fields().ByNumber(1), inner)
		}
		return v, err
	case "Timestamp", "Duration":
		quoted, err := json.Marshal(text)
		if err != nil {
			return protoreflect.Value{}, errValue
		}
		text = string(quoted)
	case "Empty":
		if text == "" {
			return v, nil
		}
	}
	if protojson.Unmarshal([]byte(text), msg.Interface()) != nil {
		return protoreflect.Value{}, errValue
	}
	return v, nil
}

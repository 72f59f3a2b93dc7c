package openapi

import (
	"encoding/base64"
	"math"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The JSON forms of scalars and well-known types, as the ProtoJSON format has
// them in what is written. Some more are read, such as numbers for 64-bit
// integers.

func scalar(kind protoreflect.Kind) *schema {
	switch kind {
	case protoreflect.BoolKind:
		return &schema{Type: "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &schema{Type: "integer", Format: "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &schema{Type: "integer", Minimum: 0, Maximum: uint32(math.MaxUint32)}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return &schema{Type: "string", Format: "int64", Pattern: `^-?[0-9]+$`}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &schema{Type: "string", Format: "uint64", Pattern: `^[0-9]+$`}
	case protoreflect.FloatKind:
		return floating("float")
	case protoreflect.DoubleKind:
		return floating("double")
	case protoreflect.BytesKind:
		return &schema{Type: "string", ContentEncoding: "base64"}
	default:
		return &schema{Type: "string"}
	}
}

func floating(format string) *schema {
	return &schema{AnyOf: []*schema{{Type: "number", Format: format}, {Enum: []any{"NaN", "Infinity", "-Infinity"}}}}
}

func keySchema(key protoreflect.FieldDescriptor) *schema {
	switch key.Kind() {
	case protoreflect.StringKind:
		return nil // any
	case protoreflect.BoolKind:
		return &schema{Enum: []any{"true", "false"}}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &schema{Pattern: `^[0-9]+$`}
	default:
		return &schema{Pattern: `^-?[0-9]+$`}
	}
}

// wellKnown returns the schema of a type with a JSON form of its own, or nil.
func wellKnown(md protoreflect.MessageDescriptor) *schema {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return &schema{Type: "string", Format: "date-time"}
	case "google.protobuf.Duration":
		return &schema{Type: "string", Pattern: `^-?[0-9]+(\.[0-9]{1,9})?s$`}
	case "google.protobuf.FieldMask":
		return &schema{Type: "string"}
	case "google.protobuf.Struct":
		return &schema{Type: "object"}
	case "google.protobuf.Value":
		return &schema{}
	case "google.protobuf.ListValue":
		return &schema{Type: "array", Items: &schema{}}
	case "google.protobuf.Empty":
		return &schema{Type: "object"}
	case "google.protobuf.Any":
		return &schema{Type: "object", Properties: map[string]*schema{"@type": {Type: "string"}}, Required: []string{"@type"}}
	case "google.protobuf.BoolValue", "google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.Int64Value",
		"google.protobuf.UInt64Value", "google.protobuf.FloatValue", "google.protobuf.DoubleValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return scalar(md.Fields().ByNumber(1).Kind())
	default:
		return nil
	}
}

func defaultOf(fd protoreflect.FieldDescriptor) any {
	v := fd.Default()
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return string(fd.DefaultEnumValue().Name())
	case protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	default:
		return jsonOf(fd.Kind(), v)
	}
}

// jsonOf returns a number, a boolean or a string as JSON writes it.
func jsonOf(kind protoreflect.Kind, v protoreflect.Value) any {
	switch x := v.Interface().(type) {
	case int64:
		return strconv.FormatInt(x, 10)
	case uint64:
		return strconv.FormatUint(x, 10)
	case float32:
		return finite(float64(x), kind)
	case float64:
		return finite(x, kind)
	default:
		return x
	}
}

func finite(f float64, kind protoreflect.Kind) any {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case kind == protoreflect.FloatKind:
		return float32(f)
	default:
		return f
	}
}

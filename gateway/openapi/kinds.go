package openapi

import (
	"encoding/base64"
	"math"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
)

// JSON says which of the forms that JSON may take is described, by the same fields
// as that of the gateway's Config. Its zero value is the gateway's default. Other
// forms are read, too: fields by either name, enums by name or number, integers of
// 64 bits as strings or numbers.
type JSON struct {
	// ProtoNames says that fields go by their names in the proto.
	ProtoNames bool
	// EnumNumbers says that enums are numbers.
	EnumNumbers bool
	// Int64Numbers says that integers of 64 bits are numbers.
	Int64Numbers bool
	// URLBytes says that bytes are in base64url.
	URLBytes bool
	// OmitDefaults says that fields which have their default are left out. The
	// document says of none that it is always there.
	OmitDefaults bool
	// NullUnset says that messages which are not set are null.
	NullUnset bool
}

// name is what a field is called.
func (j JSON) name(fd protoreflect.FieldDescriptor) string {
	if j.ProtoNames {
		return fd.TextName()
	}
	return fd.JSONName()
}

// path is what a field within others is called, in a query.
func (j JSON) path(fields []protoreflect.FieldDescriptor) string {
	if j.ProtoNames {
		return fieldpath.Proto(fields)
	}
	return fieldpath.JSON(fields)
}

func (j JSON) enumValue(v protoreflect.EnumValueDescriptor) any {
	if j.EnumNumbers {
		return int32(v.Number())
	}
	return string(v.Name())
}

// The JSON forms of scalars and well-known types, as the ProtoJSON format has
// them in what is written.

func (j JSON) scalar(kind protoreflect.Kind) *schema {
	switch kind {
	case protoreflect.BoolKind:
		return &schema{Type: "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &schema{Type: "integer", Format: "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &schema{Type: "integer", Minimum: 0, Maximum: uint32(math.MaxUint32)}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if j.Int64Numbers {
			return &schema{Type: "integer", Format: "int64"}
		}
		return &schema{Type: "string", Format: "int64", Pattern: `^-?[0-9]+$`}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if j.Int64Numbers {
			return &schema{Type: "integer", Format: "uint64", Minimum: 0}
		}
		return &schema{Type: "string", Format: "uint64", Pattern: `^[0-9]+$`}
	case protoreflect.FloatKind:
		return floating("float")
	case protoreflect.DoubleKind:
		return floating("double")
	case protoreflect.BytesKind:
		if j.URLBytes {
			return &schema{Type: "string", ContentEncoding: "base64url"}
		}
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
func (j JSON) wellKnown(md protoreflect.MessageDescriptor) *schema {
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
		return j.scalar(md.Fields().ByNumber(1).Kind())
	default:
		return nil
	}
}

func (j JSON) defaultOf(fd protoreflect.FieldDescriptor) any {
	v := fd.Default()
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return j.enumValue(fd.DefaultEnumValue())
	case protoreflect.BytesKind:
		if j.URLBytes {
			return base64.RawURLEncoding.EncodeToString(v.Bytes())
		}
		return base64.StdEncoding.EncodeToString(v.Bytes())
	default:
		return j.of(fd.Kind(), v)
	}
}

// of returns a number, a boolean or a string as JSON writes it.
func (j JSON) of(kind protoreflect.Kind, v protoreflect.Value) any {
	switch x := v.Interface().(type) {
	case int64:
		if j.Int64Numbers {
			return x
		}
		return strconv.FormatInt(x, 10)
	case uint64:
		if j.Int64Numbers {
			return x
		}
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

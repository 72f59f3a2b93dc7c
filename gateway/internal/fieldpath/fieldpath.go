// Package fieldpath finds fields by the paths that callers write, and writes
// paths and kinds of fields in words that callers read.
package fieldpath

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Field returns the field of md with a proto name or a JSON name, or nil.
func Field(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(name)
}

// Resolve follows a dotted path of proto or JSON names through singular
// messages. It returns nil if there is no such field.
func Resolve(md protoreflect.MessageDescriptor, path string) []protoreflect.FieldDescriptor {
	var fields []protoreflect.FieldDescriptor
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ".")
		if md == nil {
			return nil
		}
		fd := Field(md, name)
		if fd == nil {
			return nil
		}
		fields = append(fields, fd)
		md = nil
		if fd.Message() != nil && fd.Cardinality() != protoreflect.Repeated {
			md = fd.Message()
		}
	}
	return fields
}

// Proto returns the path of fields in proto names.
func Proto(fields []protoreflect.FieldDescriptor) string {
	return join(fields, func(fd protoreflect.FieldDescriptor) string { return string(fd.Name()) })
}

// JSON returns the path of fields in JSON names.
func JSON(fields []protoreflect.FieldDescriptor) string {
	return join(fields, func(fd protoreflect.FieldDescriptor) string { return fd.JSONName() })
}

func join(fields []protoreflect.FieldDescriptor, name func(protoreflect.FieldDescriptor) string) string {
	if len(fields) == 1 {
		return name(fields[0])
	}
	names := make([]string, len(fields))
	for i, fd := range fields {
		names[i] = name(fd)
	}
	return strings.Join(names, ".")
}

// Append adds a name to a path.
func Append(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Index adds an index to a path.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Key adds a map key to a path.
func Key(path, key string) string { return path + "[" + strconv.Quote(Shorten(key)) + "]" }

// Shorten keeps what a caller wrote within bounds before it is told back.
func Shorten(s string) string {
	const most = 100
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "\uFFFD") + "…"
}

// Describe says what a value of a field looks like, the element of a list or a
// map's value where it is one: "a string".
func Describe(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return describeEnum(fd.Enum())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "an integer of 32 bits"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "an integer of 32 bits, not negative"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "an integer of 64 bits"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "an integer of 64 bits, not negative"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.StringKind:
		return "a string in valid UTF-8"
	case protoreflect.BytesKind:
		return "a string in base64"
	default:
		return DescribeMessage(fd.Message())
	}
}

// describeEnum lists the names as long as they are few.
func describeEnum(ed protoreflect.EnumDescriptor) string {
	if ed.FullName() == "google.protobuf.NullValue" {
		return "null"
	}
	const most = 20
	values := ed.Values()
	if values.Len() > most {
		return "a name of the enum " + string(ed.Name())
	}
	names := make([]string, values.Len())
	for i := range names {
		names[i] = string(values.Get(i).Name())
	}
	return "one of " + strings.Join(names, ", ")
}

// DescribeMessage says what a message of a type looks like in JSON.
func DescribeMessage(md protoreflect.MessageDescriptor) string {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return "a timestamp as in RFC 3339, such as 2006-01-02T15:04:05Z"
	case "google.protobuf.Duration":
		return "a duration in seconds, such as 1.5s"
	case "google.protobuf.FieldMask":
		return "field paths with commas between them"
	case "google.protobuf.BoolValue":
		return "true or false"
	case "google.protobuf.Int32Value":
		return "an integer of 32 bits"
	case "google.protobuf.UInt32Value":
		return "an integer of 32 bits, not negative"
	case "google.protobuf.Int64Value":
		return "an integer of 64 bits"
	case "google.protobuf.UInt64Value":
		return "an integer of 64 bits, not negative"
	case "google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		return "a number"
	case "google.protobuf.StringValue":
		return "a string in valid UTF-8"
	case "google.protobuf.BytesValue":
		return "a string in base64"
	case "google.protobuf.ListValue":
		return "an array"
	case "google.protobuf.Value":
		return "a JSON value"
	default:
		return "an object"
	}
}

// HasOwnJSON reports whether messages of this type are written in JSON in a way
// of their own.
func HasOwnJSON(md protoreflect.MessageDescriptor) bool {
	return md.FullName().Parent() == "google.protobuf" && md.FullName() != "google.protobuf.Empty"
}

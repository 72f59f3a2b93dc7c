// Package query reads a URL's query as fields of a message, by the rules of
// google.api.http, and so that no parameter is ignored:
//
//	schema := query.NewSchema(request, nil, false)
//	msg, errs := schema.Read(values, 64, false) // ?nested.number=1&names=a&names=b
//
// Fields go by their proto or their JSON names, with dots between those of
// nested ones. Repeated fields are set by repeating the parameter, maps by
// `counts[a]=1`, well-known types in their JSON form.
package query

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// A Schema says which parameters a route takes.
type Schema struct {
	message protoreflect.MessageType
	bound   []string // paths in proto names that the URL's path or the body sets
	closed  bool     // the whole message is the body
}

// NewSchema returns the schema of a route. Fields of the message can be set but
// for those in bound, which are paths in proto names; none at all if the whole
// message is the body.
func NewSchema(message protoreflect.MessageType, bound []string, bodyIsMessage bool) *Schema {
	return &Schema{message: message, bound: bound, closed: bodyIsMessage}
}

// Parse reads a raw query, strictly.
func Parse(raw string) (url.Values, bool) {
	values, err := url.ParseQuery(raw)
	return values, err == nil
}

// Read returns a message with the fields that the parameters set, or what is
// wrong with them. Nothing may nest deeper than depth, neither the fields that a
// name goes through nor a JSON value. Parameters that are no fields are left
// alone if lenient is set. Of no parameters it makes no message.
func (s *Schema) Read(values url.Values, depth int, lenient bool) (proto.Message, []problem.FieldError) {
	if len(values) == 0 {
		return nil, nil
	}
	c := checker{
		schema: s, depth: depth, lenient: lenient, message: s.message.New(),
		seen: make(map[string]bool, len(values)), oneofs: map[string]protoreflect.FieldDescriptor{},
	}
	var errs []problem.FieldError
	// In an order, so that the same request gets the same answer.
	for _, key := range slices.Sorted(maps.Keys(values)) {
		path, detail := c.check(key, values[key])
		if detail != "" {
			errs = append(errs, problem.FieldError{Field: path, Detail: detail})
		}
	}
	if len(errs) > 0 {
		sortByField(errs)
		return nil, errs
	}
	return c.message.Interface(), nil
}

// checker checks the parameters of one query.
type checker struct {
	schema  *Schema
	depth   int
	lenient bool
	message protoreflect.Message
	seen    map[string]bool
	oneofs  map[string]protoreflect.FieldDescriptor // which field of each is set
}

func (c *checker) check(key string, values []string) (path, detail string) {
	name, mapKey, isMapKey := splitMapKey(key)
	fields := fieldpath.Resolve(c.schema.message.Descriptor(), name)
	if fields == nil || slices.ContainsFunc(fields[:len(fields)-1], isWhole) {
		if c.lenient && fields == nil {
			return "", ""
		}
		return fieldpath.Shorten(key), "there is no such query parameter"
	}
	path = fieldpath.JSON(fields)
	if len(fields) > c.depth {
		return fieldpath.Shorten(path), c.tooDeep()
	}
	if detail := c.schema.settable(fields); detail != "" {
		return path, detail
	}
	field := fields[len(fields)-1]
	name = fieldpath.Proto(fields)
	if isMapKey != field.IsMap() {
		if field.IsMap() {
			return path, "it is a map; write " + path + "[key]=value"
		}
		return path, "it is not a map"
	}
	if isMapKey {
		path, name = fieldpath.Key(path, mapKey), name+"["+mapKey+"]"
	}
	if c.seen[name] {
		return path, "it is set twice, by different names"
	}
	c.seen[name] = true
	if other := c.excluded(fields); other != "" {
		return path, "it excludes " + other + ", which is set, too"
	}
	if detail := c.checkValues(field, key, values); detail != "" {
		return path, detail
	}
	if set(c.message, fields, mapKey, values) != nil {
		if field.IsMap() {
			field = field.MapValue()
		}
		return path, "it must be " + describe(field)
	}
	return path, ""
}

func (c *checker) tooDeep() string { return fmt.Sprintf("it nests deeper than %d levels", c.depth) }

// settable says why a field cannot be set by the query, if it cannot.
func (s *Schema) settable(fields []protoreflect.FieldDescriptor) string {
	if s.closed {
		return "it belongs into the body"
	}
	path := fieldpath.Proto(fields)
	for _, b := range s.bound {
		if path == b || strings.HasPrefix(path, b+".") || strings.HasPrefix(b, path+".") {
			return "it is set by the path or the body, not by the query"
		}
	}
	return ""
}

// isWhole reports whether a field is written as one value: what is within it
// has bounds that only reading it as a whole checks.
func isWhole(field protoreflect.FieldDescriptor) bool {
	if field.Message() == nil {
		return false
	}
	switch field.Message().FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.Any",
		"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return true
	default:
		return false
	}
}

// excluded returns the field that is set already in a oneof that fields go
// through, or "".
func (c *checker) excluded(fields []protoreflect.FieldDescriptor) string {
	for i, field := range fields {
		of := field.ContainingOneof()
		if of == nil || of.IsSynthetic() {
			continue
		}
		id := fieldpath.Append(fieldpath.Proto(fields[:i]), string(of.Name()))
		other := c.oneofs[id]
		if other != nil && other != field {
			return fieldpath.Append(fieldpath.JSON(fields[:i]), other.JSONName())
		}
		c.oneofs[id] = field
	}
	return ""
}

func (c *checker) checkValues(field protoreflect.FieldDescriptor, key string, values []string) string {
	if len(values) > 1 && !field.IsList() {
		return "it is set more than once"
	}
	if !utf8.ValidString(key) {
		return "its name is not valid UTF-8"
	}
	for _, v := range values {
		switch {
		case !utf8.ValidString(v), isMask(field) && !validMask(v):
			return "it must be " + fieldpath.Describe(field)
		case isWhole(field) && jsonbody.TooDeep([]byte(v), c.depth):
			return c.tooDeep()
		}
	}
	return ""
}

func isMask(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.FieldMask"
}

// validMask accepts field paths with commas between them, of which none is
// empty, nor a part of one.
func validMask(s string) bool {
	if s == "" {
		return true // a mask of nothing
	}
	for path := range strings.SplitSeq(s, ",") {
		if slices.Contains(strings.Split(path, "."), "") {
			return false
		}
	}
	return true
}

func describe(field protoreflect.FieldDescriptor) string {
	if md := field.Message(); md != nil && !fieldpath.HasOwnJSON(md) {
		return "set field by field, with a dot between the names"
	}
	return fieldpath.Describe(field)
}

// DiagnosePath returns the path parameter that no field can hold, if any.
func (s *Schema) DiagnosePath(params map[string]string) []problem.FieldError {
	var errs []problem.FieldError
	for name, value := range params {
		fields := fieldpath.Resolve(s.message.Descriptor(), name)
		if fields == nil {
			continue
		}
		if err := runtime.PopulateFieldFromPath(s.message.New().Interface(), name, value); err != nil || !utf8.ValidString(value) {
			errs = append(errs, problem.FieldError{
				Field: fieldpath.JSON(fields), Detail: "it must be " + fieldpath.Describe(fields[len(fields)-1]),
			})
		}
	}
	sortByField(errs)
	return errs
}

// splitMapKey takes `labels[a]` apart.
func splitMapKey(key string) (name, mapKey string, ok bool) {
	if !strings.HasSuffix(key, "]") {
		return key, "", false
	}
	open := strings.LastIndexByte(key, '[')
	if open < 0 {
		return key, "", false
	}
	return key[:open], key[open+1 : len(key)-1], true
}

func sortByField(errs []problem.FieldError) {
	// The values come out of a map; the same request gets the same answer.
	slices.SortFunc(errs, func(a, b problem.FieldError) int { return strings.Compare(a.Field, b.Field) })
}

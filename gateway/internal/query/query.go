// Package query checks a URL's query against the fields that it may set, so
// that no parameter is ignored. What the generated handlers then do with the
// parameters is theirs.
package query

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
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

// Check returns what is wrong with the parameters' names, and with values that
// no field can hold.
func (s *Schema) Check(values url.Values) []problem.FieldError {
	if len(values) == 0 {
		return nil
	}
	var errs []problem.FieldError
	seen := make(map[string]bool, len(values))
	for key, vs := range values {
		path, detail := s.checkKey(key, vs, seen)
		if detail != "" {
			errs = append(errs, problem.FieldError{Field: path, Detail: detail})
		}
	}
	sortByField(errs)
	return errs
}

func (s *Schema) checkKey(key string, values []string, seen map[string]bool) (path, detail string) {
	name, mapKey, isMapKey := splitMapKey(key)
	fields := fieldpath.Resolve(s.message.Descriptor(), name)
	if fields == nil {
		return fieldpath.Shorten(key), "there is no such query parameter"
	}
	path = fieldpath.JSON(fields)
	proto := fieldpath.Proto(fields)
	if s.closed {
		return path, "it belongs into the body"
	}
	for _, b := range s.bound {
		if proto == b || strings.HasPrefix(proto, b+".") || strings.HasPrefix(b, proto+".") {
			return path, "it is set by the path or the body, not by the query"
		}
	}
	field := fields[len(fields)-1]
	if isMapKey != field.IsMap() {
		if field.IsMap() {
			return path, "it is a map; write " + path + "[key]=value"
		}
		return path, "it is not a map"
	}
	if isMapKey {
		path, proto = fieldpath.Key(path, mapKey), proto+"["+mapKey+"]"
	}
	if seen[proto] {
		return path, "it is set twice, by different names"
	}
	seen[proto] = true
	return path, checkValues(field, key, values)
}

func checkValues(field protoreflect.FieldDescriptor, key string, values []string) string {
	if len(values) > 1 && !field.IsList() {
		return "it is set more than once"
	}
	if !utf8.ValidString(key) {
		return "its name is not valid UTF-8"
	}
	for _, v := range values {
		if !utf8.ValidString(v) {
			return "it must be " + fieldpath.Describe(field)
		}
	}
	return ""
}

// Diagnose returns which values no field can hold. It is asked when a handler
// refused a query that Check had nothing against.
func (s *Schema) Diagnose(values url.Values) []problem.FieldError {
	var errs []problem.FieldError
	none := utilities.NewDoubleArray(nil)
	for key, vs := range values {
		one := url.Values{key: vs}
		if err := runtime.PopulateQueryParameters(s.message.New().Interface(), one, none); err == nil {
			continue
		}
		name, _, _ := splitMapKey(key)
		fields := fieldpath.Resolve(s.message.Descriptor(), name)
		if fields == nil {
			continue
		}
		field := fields[len(fields)-1]
		if field.IsMap() {
			field = field.MapValue()
		}
		errs = append(errs, problem.FieldError{
			Field: fieldpath.JSON(fields), Detail: "it must be " + describe(field),
		})
	}
	sortByField(errs)
	return errs
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

// splitMapKey takes `labels[a]` apart, as the generated handlers do.
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

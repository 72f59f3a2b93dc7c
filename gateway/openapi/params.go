package openapi

import (
	"fmt"
	"slices"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
)

// sharedParameters are those of many methods.
func sharedParameters(limits Limits) map[string]*parameter {
	most := "The server caps it."
	if limits.CallMax > 0 && limits.Stream > 0 {
		most = fmt.Sprintf("The server caps it at %v, for a stream at %v.", limits.CallMax, limits.Stream)
	}
	return map[string]*parameter{
		"Alt": {
			Name: "$alt", In: "query", Description: "The form of the answer, instead of Accept; behind it, enums as numbers.",
			Schema: &schema{Type: "string", Pattern: `^(json|ndjson|sse|media)(;enum-encoding=int)?$`},
		},
		"GrpcTimeout": {
			Name: "Grpc-Timeout", In: "header", Description: "How long the call may take, such as `500m` for half a second. " + most,
			Schema: &schema{Type: "string", Pattern: `^[0-9]{1,8}[HMSmun]$`},
		},
		"IfMatch": {
			Name: "If-Match", In: "header", Description: "The state that is to be changed: one entity tag, or `*`.",
			Schema: &schema{Type: "string"},
		},
		"IfNoneMatch": {
			Name: "If-None-Match", In: "header", Description: "The states that the caller has: entity tags.",
			Schema: &schema{Type: "string"},
		},
		"LastEventID": {
			Name: "Last-Event-ID", In: "header", Description: "The id of the last event that was received, to go on behind it.",
			Schema: &schema{Type: "string"},
		},
	}
}

func shared(name string) *parameter { return &parameter{Ref: "#/components/parameters/" + name} }

func (b *builder) parameters(x *binding, names []string) []*parameter {
	var all []*parameter
	for i, s := range x.template.wildcards() {
		all = append(all, b.pathParameter(x, s, names[i]))
	}
	if x.body != "*" {
		all = append(all, b.queryParameters(x, x.method.Input(), nil, true)...)
	}
	all = append(all, shared("Alt"), shared("GrpcTimeout"))
	if x.takesETag() {
		all = append(all, shared("IfMatch"))
	}
	if x.givesETag() && x.verb == "GET" {
		all = append(all, shared("IfNoneMatch"))
	}
	if x.method.IsStreamingServer() && !x.answersMedia() {
		all = append(all, shared("LastEventID"))
	}
	return all
}

func (b *builder) pathParameter(x *binding, s segment, name string) *parameter {
	p := &parameter{Name: name, In: "path", Required: true, MultiSegment: s.deep, Schema: &schema{Type: "string", Pattern: "^[^/]+$"}}
	if s.deep {
		p.Schema.Pattern = ""
	}
	if s.field == "" {
		return p
	}
	fields := fieldpath.Resolve(x.method.Input(), s.field)
	field := fields[len(fields)-1]
	p.Field = b.config.JSON.path(fields)
	whole := s.only && slices.ContainsFunc(x.template.segments, func(other segment) bool {
		return other.field == s.field && other.literal != ""
	})
	if !s.only || whole {
		p.Description = fmt.Sprintf("A part of `%s`, which is `%s`.", p.Field, x.template.pattern(s.field))
		return p
	}
	// The parameter is the field.
	p.Description = comment(field)
	p.Schema = b.schemas.value(field, checksOf(isChecked(fields)))
	if !s.deep && field.Kind() == protoreflect.StringKind && p.Schema.MinLength == nil {
		one := uint64(1)
		p.Schema.MinLength = &one
	}
	return p
}

// isChecked reports whether protovalidate looks at the last of the fields.
func isChecked(fields []protoreflect.FieldDescriptor) bool {
	return !slices.ContainsFunc(fields[:len(fields)-1], func(fd protoreflect.FieldDescriptor) bool {
		return rulesOf(fd).GetIgnore() == validatepb.Ignore_IGNORE_ALWAYS
	})
}

// queryParameters returns what the body and the path leave, field by field.
func (b *builder) queryParameters(x *binding, md protoreflect.MessageDescriptor, above []protoreflect.FieldDescriptor, needed bool) []*parameter {
	var all []*parameter
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		path := append(slices.Clone(above), fd)
		nested := fd.Message()
		switch {
		case x.isBound(path):
		case fd.IsMap():
			if settable(fd.MapValue()) {
				all = append(all, b.queryParameter(path, needed))
			}
		case settable(fd):
			all = append(all, b.queryParameter(path, needed))
		case fd.IsList(), nested.FullName() == "google.protobuf.Empty", isMedia(nested):
			// Cannot be set, or has nothing that could be.
		case slices.ContainsFunc(path[:len(path)-1], func(up protoreflect.FieldDescriptor) bool { return up.Message().FullName() == nested.FullName() }) || nested.FullName() == x.method.Input().FullName():
			// A message within itself: the first level says it all.
		default:
			all = append(all, b.queryParameters(x, nested, path, needed && rulesOf(fd).GetRequired())...)
		}
	}
	return all
}

// isBound reports whether the path or the body sets a field. Of a message of
// which the path sets a field, the others can be set.
func (x *binding) isBound(path []protoreflect.FieldDescriptor) bool {
	if x.bodyField != nil && path[0] == x.bodyField {
		return true
	}
	return slices.Contains(x.bound, fieldpath.Proto(path))
}

// settable reports whether one value can be written as text.
func settable(fd protoreflect.FieldDescriptor) bool {
	md := fd.Message()
	return md == nil || fieldpath.HasOwnJSON(md)
}

func (b *builder) queryParameter(path []protoreflect.FieldDescriptor, needed bool) *parameter {
	fd := path[len(path)-1]
	rules := isChecked(path)
	p := &parameter{Name: b.config.JSON.path(path), In: "query", Description: comment(fd)}
	value := b.schemas.value(fd, checksOf(rules))
	p.Required = needed && rules && mustBeSet(fd)
	if of := fd.ContainingOneof(); of != nil && !of.IsSynthetic() {
		p.Oneof = string(of.Name())
	}
	switch {
	case fd.IsMap():
		p.Style, p.Explode = "deepObject", true
	case fd.IsList():
		p.Style, p.Explode = "form", true
	}
	if isJSON(fd) {
		// One parameter that is JSON, as a serialization of its own.
		p.Style, p.Explode = "", false
		p.Content = map[string]mediaType{"application/json": {Schema: value}}
		return p
	}
	p.Schema = value
	return p
}

// isJSON reports whether a field is written in a query as a JSON value.
func isJSON(fd protoreflect.FieldDescriptor) bool {
	if fd.Message() == nil || fd.IsMap() || fd.IsList() {
		return false
	}
	switch fd.Message().FullName() {
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Any":
		return true
	default:
		return false
	}
}

package gateway

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldmask"
	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/internal/query"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// patch is the body of a PATCH whose request has a mask of what is to change.
// The generated handlers make such masks, too, but refuse bodies with some
// well-known types, and take what else the body names for changes.
type patch struct {
	resource proto.Message
	mask     []string
}

// findMask finds the mask of a PATCH: the only field of its type.
func (b *binding) findMask() {
	if b.verb != "PATCH" || b.bodyField == nil || b.bodyType == nil {
		return
	}
	fields := b.method.Input().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Message() == nil || fd.Message().FullName() != "google.protobuf.FieldMask" || fd.IsList() {
			continue
		}
		if b.maskField != nil {
			b.maskField = nil // which one is meant is not for us to guess
			return
		}
		b.maskField = fd
	}
}

// readPatch decodes the body. The generated handler gets none.
func (x *exchange) readPatch() *problem.Problem {
	resource := x.binding.bodyType.New().Interface()
	if err := x.gateway.marshaler.Unmarshal(x.body, resource); err != nil && !jsonbody.Empty(x.body) {
		found := x.binding.diagnoseBody(x.gateway.marshaler.decode, x.body)
		return badRequest(found.Detail, found.Errors)
	}
	mask := fieldmask.FromJSON(x.body, resource.ProtoReflect().Descriptor())
	// What the path says, and what state is asked for, are no changes.
	mask = slices.DeleteFunc(mask, func(path string) bool {
		return path == "etag" || slices.Contains(x.binding.bound, fieldpath.Append(string(x.binding.bodyField.Name()), path))
	})
	x.patch = &patch{resource: resource, mask: mask}
	x.body = nil
	return nil
}

// applyPatch puts body and mask into the request. A mask that the caller gives
// in the query holds; its paths may be in JSON names.
func (x *exchange) applyPatch(msg proto.Message) *problem.Problem {
	if x.patch == nil {
		return nil
	}
	b, m := x.binding, msg.ProtoReflect()
	m.Set(b.bodyField, protoreflect.ValueOfMessage(x.patch.resource.ProtoReflect()))
	for i, fields := range b.pathFields {
		if _, value := x.match.Variable(i); query.Set(m, fields, value) != nil {
			return badPath(b.query.DiagnosePath(x.match.Params()))
		}
	}
	mask := x.patch.mask
	given, _ := m.Get(b.maskField).Message().Interface().(*fieldmaskpb.FieldMask)
	if len(given.GetPaths()) > 0 {
		var unknown string
		if mask, unknown = fieldmask.Normalize(given.GetPaths(), b.bodyField.Message()); mask == nil {
			return badRequest("the query does not fit the method", []problem.FieldError{{
				Field: b.maskField.JSONName(), Detail: "there is no field " + fieldpath.Shorten(unknown) + " in " + b.bodyField.JSONName(),
			}})
		}
	}
	m.Set(b.maskField, protoreflect.ValueOfMessage((&fieldmaskpb.FieldMask{Paths: mask}).ProtoReflect()))
	x.patch.mask = mask // of which the rules are asked, see changes
	return nil
}

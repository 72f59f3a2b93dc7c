package openapi

import (
	"errors"
	"fmt"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeSSE    = "text/event-stream"
	typeAny    = "*/*"
)

// bodyMessage returns the message that the body is, nil if it is none.
func (x *binding) bodyMessage() protoreflect.MessageDescriptor {
	switch {
	case x.body == "*":
		return x.method.Input()
	case x.bodyField != nil && x.bodyField.Cardinality() != protoreflect.Repeated:
		return x.bodyField.Message()
	default:
		return nil
	}
}

func (x *binding) bodyIsMedia() bool { return isMedia(x.bodyMessage()) }

func (b *builder) requestBody(x *binding) *requestBody {
	switch {
	case x.body == "":
		return nil
	case x.bodyIsMedia():
		return &requestBody{Content: map[string]mediaType{typeAny: {}}}
	}
	made := b.bodySchema(x)
	body := &requestBody{Content: map[string]mediaType{typeJSON: {Schema: made}}}
	if x.bodyField != nil {
		body.Description = comment(x.bodyField)
		body.Required = mustBeSet(x.bodyField) && !x.method.IsStreamingClient()
	}
	if x.method.IsStreamingClient() {
		body.Description = "A stream: JSON values one behind the other, each as the schema has it."
		body.Content[typeNDJSON] = mediaType{Schema: made}
	}
	return body
}

// bodySchema returns the schema of a body, without the fields that the path
// sets.
func (b *builder) bodySchema(x *binding) *schema {
	md, prefix, rules := x.bodyMessage(), "", checked
	if x.bodyField != nil {
		if md == nil || b.config.JSON.wellKnown(md) != nil {
			return b.schemas.value(x.bodyField, checked)
		}
		prefix = string(x.bodyField.Name()) + "."
		switch {
		case rulesOf(x.bodyField).GetIgnore() == validatepb.Ignore_IGNORE_ALWAYS:
			rules = unchecked
		case x.masked():
			rules = inPart
		}
	}
	without := map[string]bool{}
	for _, path := range x.bound {
		if rest, ok := strings.CutPrefix(path, prefix); ok && !strings.Contains(rest, ".") {
			without[rest] = true
		}
	}
	if len(without) == 0 {
		return b.schemas.message(md, rules)
	}
	return b.schemas.object(md, rules, without)
}

// masked reports whether the body is what a PATCH changes of a resource, so that
// what it leaves out is not asked for: the gateway makes a mask of it then.
func (x *binding) masked() bool {
	if x.verb != "PATCH" || x.bodyField == nil || x.bodyMessage() == nil {
		return false
	}
	masks := 0
	fields := x.method.Input().Fields()
	for i := range fields.Len() {
		if md := fields.Get(i).Message(); md != nil && md.FullName() == "google.protobuf.FieldMask" && !fields.Get(i).IsList() {
			masks++
		}
	}
	return masks == 1
}

// answersMedia reports whether the answer has a media type of its own.
func (x *binding) answersMedia() bool {
	if x.answerField != nil {
		return x.answerField.Cardinality() != protoreflect.Repeated && isMedia(x.answerField.Message())
	}
	return isMedia(x.method.Output())
}

func hasETag(md protoreflect.MessageDescriptor) bool {
	if md == nil {
		return false
	}
	fd := md.Fields().ByName("etag")
	return fd != nil && fd.Kind() == protoreflect.StringKind && !fd.IsList()
}

// takesETag reports whether If-Match can be met.
func (x *binding) takesETag() bool {
	if x.method.IsStreamingClient() || x.method.IsStreamingServer() {
		return false
	}
	return hasETag(x.method.Input()) || hasETag(x.bodyMessage())
}

// givesETag reports whether the answer has the header ETag.
func (x *binding) givesETag() bool {
	if x.method.IsStreamingClient() || x.method.IsStreamingServer() {
		return false
	}
	if f := x.answerField; f != nil {
		return f.Cardinality() != protoreflect.Repeated && hasETag(f.Message())
	}
	return hasETag(x.method.Output())
}

// success returns the status and the answer of a call that goes well.
func (b *builder) success(x *binding) (string, *response, error) {
	status, answer := "200", &response{Description: "It went well.", Headers: map[string]header{}}
	declared, _ := proto.GetExtension(x.method.Options(), gatewayv1.E_Answer).(*gatewayv1.Answer)
	if declared.GetSuccess() != nil && x.method.IsStreamingServer() {
		return "", nil, errors.New("option (evenkeel.gateway.v1.answer): a stream is answered 200; take created and no_content out")
	}
	switch to := declared.GetSuccess().(type) {
	case *gatewayv1.Answer_NoContent:
		if x.method.Output().Fields().Len() > 0 {
			return "", nil, fmt.Errorf("option (evenkeel.gateway.v1.answer): no_content: %s has fields, which nobody would see", x.method.Output().FullName())
		}
		answer.Description = "It is done."
		return "204", answer, nil
	case *gatewayv1.Answer_Created:
		status, answer.Description = "201", "It is created."
		if location := to.Created.GetLocation(); location != "" {
			if err := checkLocation(location, x.method.Output()); err != nil {
				return "", nil, fmt.Errorf("option (evenkeel.gateway.v1.answer): created.location: %w", err)
			}
			answer.Headers["Location"] = header{Description: "Where the new resource is: `" + location + "`.", Schema: &schema{Type: "string", Format: "uri-reference"}}
		}
	}
	if x.givesETag() {
		answer.Headers["ETag"] = header{Description: "Which state it is.", Schema: &schema{Type: "string"}}
	}
	answer.Content = b.answerContent(x, declared.GetEvents())
	return status, answer, nil
}

func checkLocation(location string, output protoreflect.MessageDescriptor) error {
	parsed, err := parseTemplate(location)
	if err != nil {
		return err
	}
	for _, field := range parsed.fields {
		if fieldpath.Resolve(output, field) == nil {
			return fmt.Errorf("%s has no field %q", output.FullName(), field)
		}
	}
	return nil
}

func (b *builder) answerContent(x *binding, events *gatewayv1.Events) map[string]mediaType {
	if x.answersMedia() {
		return map[string]mediaType{typeAny: {}}
	}
	var made *schema
	if x.answerField != nil {
		made = b.schemas.value(x.answerField, checked)
	} else {
		made = b.schemas.message(x.method.Output(), checked)
	}
	if !x.method.IsStreamingServer() {
		return map[string]mediaType{typeJSON: {Schema: made}}
	}
	failed := &schema{
		Type: "object", Description: "The end of a stream that failed.", Required: []string{"error"},
		Properties: map[string]*schema{"error": reference("Problem")},
	}
	line := &schema{
		Type: "object", Required: []string{"result"}, Properties: map[string]*schema{"result": made},
	}
	return map[string]mediaType{
		typeNDJSON: {Schema: &schema{Description: "Each line is one such value.", OneOf: []*schema{line, failed}}},
		typeJSON:   {Schema: &schema{Type: "array", Items: &schema{AnyOf: []*schema{made, failed}}}},
		typeSSE:    {Schema: &schema{Description: eventsText(events), AnyOf: []*schema{made, reference("Problem")}}},
	}
}

func eventsText(events *gatewayv1.Events) string {
	text := "Server-sent events, whose data is one such value each; the last is an event `error` with a problem, or an event `end`."
	if id := events.GetId(); id != "" {
		text += " Their id is the field `" + id + "`."
	}
	if kind := events.GetType(); kind != "" {
		text += " Their type is the field `" + kind + "`."
	}
	return text
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
	"github.com/evenkeel/evenkeel/gateway/problem"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// answerOf reads a method's option evenkeel.gateway.v1.answer.
func (b *binding) readAnswer() error {
	declared, _ := proto.GetExtension(b.method.Options(), gatewayv1.E_Answer).(*gatewayv1.Answer)
	output := b.method.Output()
	if declared == nil {
		return nil
	}
	const option = "option (evenkeel.gateway.v1.answer): "
	if declared.GetSuccess() != nil && b.serverStream() {
		return errors.New(option + "a stream is answered 200; take created and no_content out")
	}
	switch success := declared.GetSuccess().(type) {
	case *gatewayv1.Answer_Created:
		location, err := parseLocation(success.Created.GetLocation(), output)
		if err != nil {
			return fmt.Errorf(option+"created.location: %w", err)
		}
		b.success, b.location = http.StatusCreated, location
	case *gatewayv1.Answer_NoContent:
		if !success.NoContent {
			return errors.New(option + "no_content: must be true")
		}
		if output.Fields().Len() > 0 {
			return fmt.Errorf(option+"no_content: %s has fields, which nobody would see", output.FullName())
		}
		b.success = http.StatusNoContent
	}
	return b.readEvents(declared.GetEvents())
}

func (b *binding) readEvents(events *gatewayv1.Events) error {
	if events == nil {
		return nil
	}
	if !b.serverStream() {
		return errors.New("option (evenkeel.gateway.v1.answer): events: the method has no server stream")
	}
	for _, e := range []struct {
		name, field string
		to          *protoreflect.FieldDescriptor
	}{{"id", events.GetId(), &b.eventID}, {"type", events.GetType(), &b.eventType}} {
		if e.field == "" {
			continue
		}
		fd := fieldpath.Field(b.method.Output(), e.field)
		if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() {
			return fmt.Errorf("option (evenkeel.gateway.v1.answer): events.%s: %s has no string field %q", e.name, b.method.Output().FullName(), e.field)
		}
		*e.to = fd
	}
	return nil
}

// location makes the header Location from a response.
type location struct {
	template *route.Template
	fields   map[string][]protoreflect.FieldDescriptor
}

func parseLocation(template string, output protoreflect.MessageDescriptor) (*location, error) {
	if template == "" {
		return nil, nil
	}
	parsed, err := route.Parse(template)
	if err != nil {
		return nil, err
	}
	l := &location{template: parsed, fields: map[string][]protoreflect.FieldDescriptor{}}
	for _, path := range parsed.Fields() {
		fields := fieldpath.Resolve(output, path)
		if fields == nil {
			return nil, fmt.Errorf("%s has no field %q", output.FullName(), path)
		}
		last := fields[len(fields)-1]
		if last.Cardinality() == protoreflect.Repeated || last.Message() != nil || last.Kind() == protoreflect.BytesKind {
			return nil, fmt.Errorf("field %q cannot stand in a path", path)
		}
		l.fields[path] = fields
	}
	return l, nil
}

// of returns the path of a response, or "" if the response does not fit.
func (l *location) of(msg protoreflect.Message) string {
	return l.template.Expand(func(path string) string {
		at := msg
		fields := l.fields[path]
		for _, fd := range fields[:len(fields)-1] {
			at = at.Get(fd).Message()
		}
		return at.Get(fields[len(fields)-1]).String()
	})
}

// succeeded looks at the response of a unary call that went well, before it is
// written. raw are its bytes if it was left raw.
func (x *exchange) succeeded(reply proto.Message, raw []byte) {
	b := x.binding
	x.writer.success = b.success
	if b.location != nil {
		if to := b.location.of(reply.ProtoReflect()); to != "" {
			x.writer.Header().Set("Location", to)
		}
	}
	switch {
	case b.etag == nil:
	case raw != nil:
		x.setETag(wirejson.Text(raw, b.etag))
	default:
		x.setETag(textAt(reply, b.etag))
	}
}

// textAt returns the string at a path in a reply.
func textAt(msg proto.Message, path []protoreflect.FieldDescriptor) string {
	m := msg.ProtoReflect()
	for _, fd := range path[:len(path)-1] {
		m = m.Get(fd).Message()
	}
	return m.Get(path[len(path)-1]).String()
}

// rewrite chooses what of a stream's response is written.
func rewrite(ctx context.Context, response proto.Message) (any, error) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && x.binding != nil {
		return x.shown(response), nil
	}
	return response, nil
}

// shown returns what of a response is written. If that is of a media type of its
// own, it sets the header.
func (x *exchange) shown(response proto.Message) any {
	field := x.binding.responseField
	switch {
	case x.binding.answersMedia:
		if field != nil {
			response = response.ProtoReflect().Get(field).Message().Interface()
		}
		body, _ := response.(*httpbody.HttpBody)
		x.writer.Header().Set("Content-Type", mediaTypeOf(body))
		return body
	case field != nil:
		return oneField{message: response, field: field}
	default:
		return response
	}
}

// Entity tags (RFC 9110, section 8.8.3).

// setETag tells a response's tag, if it can be one, and answers 304 to those who
// have it.
func (x *exchange) setETag(value string) {
	tag := value
	if !x.gateway.config.QuotedETags {
		tag = `"` + value + `"`
	}
	if value == "" || !isEntityTag(tag) {
		return
	}
	x.headers[2] = tag
	x.writer.Header()["Etag"] = x.headers[2:3:3]
	given := x.request.Header["If-None-Match"]
	if (x.request.Method == http.MethodGet || x.request.Method == http.MethodHead) && len(given) > 0 && anyTag(given, tag) {
		x.writer.success = http.StatusNotModified
	}
}

// isEntityTag is entity-tag, in ASCII.
func isEntityTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c <= ' ' || c > '~' || c == '"' {
			return false
		}
	}
	return true
}

// anyTag reports whether one of the tags in a header is tag, weakly compared.
func anyTag(header []string, tag string) bool {
	for _, given := range entityTags(header) {
		if given == "*" || strings.TrimPrefix(given, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// entityTags takes a list of tags apart. A comma may stand within quotes.
func entityTags(header []string) []string {
	var tags []string
	rest := strings.Join(header, ",")
	for rest != "" {
		end, quoted := len(rest), false
		for i := range len(rest) {
			if rest[i] == '"' {
				quoted = !quoted
			}
			if rest[i] == ',' && !quoted {
				end = i
				break
			}
		}
		if tag := strings.Trim(rest[:end], " \t"); tag != "" {
			tags = append(tags, tag)
		}
		rest = rest[min(end+1, len(rest)):]
	}
	return tags
}

// readConditions takes the state that the caller asks for, and refuses what would
// be a promise that nobody keeps: that nothing is there yet, or that only a part of
// it is replaced (RFC 9110, sections 13.1.2 and 14.5).
func (x *exchange) readConditions() *problem.Problem {
	h, method := x.request.Header, x.request.Method
	switch {
	case len(h["If-None-Match"]) > 0 && method != http.MethodGet && method != http.MethodHead:
		return badHeader("If-None-Match", "only GET and HEAD can be made conditional by it")
	case len(h["Content-Range"]) > 0:
		return badHeader("Content-Range", "a body is taken as a whole only")
	}
	return x.readIfMatch()
}

// readIfMatch takes the state that the caller asks for. A method whose request
// has no field for it cannot keep the promise, so it is refused.
func (x *exchange) readIfMatch() *problem.Problem {
	given := x.request.Header["If-Match"]
	if len(given) == 0 {
		return nil
	}
	tags := entityTags(given)
	switch {
	case len(tags) == 1 && tags[0] == "*":
		return nil // whatever is there; the method tells if nothing is
	case x.binding.ifMatch == nil:
		return badHeader("If-Match", "the method cannot be made conditional")
	case len(tags) != 1 || !isEntityTag(tags[0]):
		return badHeader("If-Match", `it must be one entity tag, such as "abc", or *`)
	case strings.HasPrefix(tags[0], "W/"):
		return preconditionFailed() // a weak tag matches nothing here
	}
	x.ifMatch = tags[0]
	if !x.gateway.config.QuotedETags {
		x.ifMatch = strings.Trim(x.ifMatch, `"`)
	}
	return nil
}

func preconditionFailed() *problem.Problem {
	return problem.New(http.StatusPreconditionFailed, codes.Aborted, "the resource is not in the state that If-Match names")
}

// applyIfMatch puts that state into the request, which may not name another.
func (x *exchange) applyIfMatch(msg protoreflect.Message) *problem.Problem {
	if x.ifMatch == "" {
		return nil
	}
	fields := x.binding.ifMatch
	for _, fd := range fields[:len(fields)-1] {
		msg = msg.Mutable(fd).Message()
	}
	field := fields[len(fields)-1]
	if there := msg.Get(field).String(); there != "" && there != x.ifMatch {
		return badRequest("the request does not fit the method", []problem.FieldError{{
			Field: fieldpath.JSON(fields), Detail: "it is not what the header If-Match says",
		}})
	}
	msg.Set(field, protoreflect.ValueOfString(x.ifMatch))
	return nil
}

// findETags finds where responses and requests hold the state of a resource.
func (b *binding) findETags() {
	if b.stream() {
		return
	}
	output := b.method.Output()
	var prefix []protoreflect.FieldDescriptor
	if f := b.responseField; f != nil {
		if output, prefix = f.Message(), []protoreflect.FieldDescriptor{f}; output == nil || f.Cardinality() == protoreflect.Repeated {
			output = nil
		}
	}
	b.etag = stateOf(output, prefix)
	if b.ifMatch = stateOf(b.method.Input(), nil); b.ifMatch == nil && b.bodyField != nil && b.bodyType != nil {
		b.ifMatch = stateOf(b.bodyField.Message(), []protoreflect.FieldDescriptor{b.bodyField})
	}
}

func stateOf(md protoreflect.MessageDescriptor, prefix []protoreflect.FieldDescriptor) []protoreflect.FieldDescriptor {
	if md == nil {
		return nil
	}
	fd := md.Fields().ByName("etag")
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.IsList() {
		return nil
	}
	return append(prefix, fd)
}

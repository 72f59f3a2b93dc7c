package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/query"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/retry"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// A binding is one way to call a method by HTTP: a verb and a path template,
// with the generated handler that does it.
type binding struct {
	rpc      string // "/package.Service/Method"
	verb     string
	template string
	bodyRule string // "", "*" or a field, as in google.api.http
	method   protoreflect.MethodDescriptor
	rule     access.Rule
	query    *query.Schema
	// bodyField is the field that the body is, nil if there is none or if it is
	// the whole message.
	bodyField protoreflect.FieldDescriptor
	bodyType  protoreflect.MessageType // nil if the body is no message
	message   protoreflect.MessageType // of the request
	reply     protoreflect.MessageType
	handler   runtime.HandlerFunc // used for streams

	conn        grpc.ClientConnInterface // that unary calls take
	callOptions []grpc.CallOption        // of them
	// told is what their contexts tell of it: the template, see
	// [runtime.HTTPPathPattern].
	told context.Context

	observed *telemetry.Route // nil if there is no telemetry
	log      slog.Handler
	logUsual slog.Handler // of requests that end as they should, see logTo

	hasRules bool               // of protovalidate, for the request
	policy   *policy.Rules      // nil for none
	rates    *ratelimit.Limiter // with those of the method
	limited  bool               // by any
	// byAddress says that one of them may count callers that are known by where
	// they call from.
	byAddress bool
	overload  *overload.Limiter // nil for none
	retry     *retry.Conn       // nil for none
	priority  overload.Priority

	pathFields  [][]protoreflect.FieldDescriptor // that the path's variables set, in their order
	bound       []string                         // the same, as paths in proto names
	bodyIsMedia bool                             // the body is a google.api.HttpBody
	maskField   protoreflect.FieldDescriptor     // of a PATCH, see patch
	ifMatch     []protoreflect.FieldDescriptor   // where the request holds an etag

	responseRule  string                         // "" or a field, as in google.api.http
	responseField protoreflect.FieldDescriptor   // that the answer is, nil if it is the whole
	answersMedia  bool                           // the answer is a google.api.HttpBody
	success       int                            // 0 for 200
	location      *location                      // nil for none
	etag          []protoreflect.FieldDescriptor // where the response holds one
	eventID       protoreflect.FieldDescriptor
	eventType     protoreflect.FieldDescriptor
}

func (b *binding) hasBody() bool { return b.bodyRule != "" }

func (b *binding) clientStream() bool { return b.method.IsStreamingClient() }

func (b *binding) serverStream() bool { return b.method.IsStreamingServer() }

func (b *binding) stream() bool { return b.clientStream() || b.serverStream() }

// bodyTypes returns the media types that the body may have.
func (b *binding) bodyTypes() []string {
	if b.clientStream() {
		return []string{typeNDJSON, typeJSON}
	}
	return []string{typeJSON}
}

// looksIntoReply reports whether more is done with a reply than to write it and
// to find its tag.
func (b *binding) looksIntoReply() bool {
	return b.answersMedia || b.location != nil || b.eventID != nil || b.eventType != nil || inOneof(b.etag)
}

// inOneof reports whether one of some fields can be cleared by another.
func inOneof(fields []protoreflect.FieldDescriptor) bool {
	return slices.ContainsFunc(fields, func(fd protoreflect.FieldDescriptor) bool {
		of := fd.ContainingOneof()
		return of != nil && !of.IsSynthetic()
	})
}

// bindingsOf returns the bindings of a method in the order in which
// protoc-gen-grpc-gateway registers them: the rule itself, then its additional
// bindings.
func bindingsOf(method protoreflect.MethodDescriptor, rule access.Rule) ([]*binding, error) {
	declared, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if declared == nil {
		return nil, nil
	}
	var bindings []*binding
	for i, r := range append([]*annotations.HttpRule{declared}, declared.GetAdditionalBindings()...) {
		b, err := newBinding(method, rule, r)
		if err != nil {
			return nil, fmt.Errorf("binding %d: %w", i, err)
		}
		if b != nil {
			bindings = append(bindings, b)
		}
	}
	return bindings, nil
}

func newBinding(method protoreflect.MethodDescriptor, rule access.Rule, declared *annotations.HttpRule) (*binding, error) {
	b := &binding{
		rpc:    fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()),
		method: method, rule: rule, bodyRule: declared.GetBody(), responseRule: declared.GetResponseBody(),
	}
	switch pattern := declared.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.verb, b.template = "GET", pattern.Get
	case *annotations.HttpRule_Put:
		b.verb, b.template = "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		b.verb, b.template = "POST", pattern.Post
	case *annotations.HttpRule_Delete:
		b.verb, b.template = "DELETE", pattern.Delete
	case *annotations.HttpRule_Patch:
		b.verb, b.template = "PATCH", pattern.Patch
	case *annotations.HttpRule_Custom:
		b.verb, b.template = pattern.Custom.GetKind(), pattern.Custom.GetPath()
	default:
		return nil, nil // nothing is generated for a rule without a pattern
	}
	if err := b.resolve(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", b.verb, b.template, err)
	}
	return b, nil
}

// resolve finds what the template and the body rule name.
func (b *binding) resolve() error {
	parsed, err := route.Parse(b.template)
	if err != nil {
		return err
	}
	input := b.method.Input()
	if b.message, err = typeOf(input); err != nil {
		return err
	}
	if b.reply, err = typeOf(b.method.Output()); err != nil {
		return err
	}
	var bound []string
	for _, path := range parsed.Fields() {
		fields := fieldpath.Resolve(input, path)
		if fields == nil {
			return fmt.Errorf("%s has no field %q", input.FullName(), path)
		}
		b.pathFields = append(b.pathFields, fields)
		bound = append(bound, fieldpath.Proto(fields))
	}
	b.bound = bound
	switch b.bodyRule {
	case "":
	case "*":
		b.bodyType = b.message
	default:
		if b.bodyField = fieldpath.Field(input, b.bodyRule); b.bodyField == nil {
			return fmt.Errorf("body: %s has no field %q", input.FullName(), b.bodyRule)
		}
		bound = append(bound, string(b.bodyField.Name()))
		if b.bodyField.Message() != nil && b.bodyField.Cardinality() != protoreflect.Repeated {
			b.bodyType = b.message.New().NewField(b.bodyField).Message().Type()
		}
	}
	b.query = query.NewSchema(b.message, bound, b.bodyRule == "*")
	b.bodyIsMedia = b.hasBody() && b.bodyType != nil && isMedia(b.bodyType.Descriptor())
	return b.resolveAnswer()
}

func typeOf(md protoreflect.MessageDescriptor) (protoreflect.MessageType, error) {
	found, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		return nil, fmt.Errorf("the type %s is not linked in: %w", md.FullName(), err)
	}
	return found, nil
}

// resolveAnswer finds what the answer is.
func (b *binding) resolveAnswer() error {
	output := b.method.Output()
	b.answersMedia = isMedia(output)
	if b.responseRule != "" {
		if b.responseField = fieldpath.Field(output, b.responseRule); b.responseField == nil {
			return fmt.Errorf("response_body: %s has no field %q", output.FullName(), b.responseRule)
		}
		b.answersMedia = b.responseField.Cardinality() != protoreflect.Repeated && isMedia(b.responseField.Message())
	}
	b.findMask()
	b.findETags()
	return b.readAnswer()
}

// isMedia reports whether messages of a type are bodies of a media type of their
// own.
func isMedia(md protoreflect.MessageDescriptor) bool {
	return md != nil && md.FullName() == "google.api.HttpBody"
}

// serviceOf finds a service's descriptor by name.
func serviceOf(name string) (protoreflect.ServiceDescriptor, error) {
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, errors.New("its descriptor is not linked in; import the generated package")
	}
	service, ok := descriptor.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, errors.New("it is not a service")
	}
	return service, nil
}

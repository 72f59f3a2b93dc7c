package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/reach"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// validator checks requests against the protovalidate rules in their protos.
type validator struct {
	// rules is made when there are any: it takes some MiB.
	rules  func() (protovalidate.Validator, error)
	logger *slog.Logger
}

func newValidator(logger *slog.Logger) *validator {
	return &validator{logger: logger, rules: sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() })}
}

// prepare compiles the rules of every request of a service, so that a broken
// one is found at the start and not by the first caller.
func (v *validator) prepare(service protoreflect.ServiceDescriptor) error {
	seen := map[protoreflect.FullName]bool{}
	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		if !hasRules(method.Input()) {
			continue
		}
		rules, err := v.rules()
		if err == nil {
			err = compile(rules, method.Input(), seen)
		}
		if err != nil {
			return fmt.Errorf("method %s: %w", method.Name(), err)
		}
	}
	return nil
}

// hasRules reports whether a message, or one that it can hold, has rules.
func hasRules(md protoreflect.MessageDescriptor) bool {
	for m := range reach.Messages(md) {
		if hasRule(m) {
			return true
		}
		for i := range m.Oneofs().Len() {
			if hasRule(m.Oneofs().Get(i)) {
				return true
			}
		}
		for i := range m.Fields().Len() {
			if hasRule(m.Fields().Get(i)) {
				return true
			}
		}
	}
	return false
}

// hasRule reports whether a message, a oneof or a field has a rule of its own,
// or an option that is not linked in and might be one.
func hasRule(d protoreflect.Descriptor) bool {
	options := d.Options().ProtoReflect()
	if len(options.GetUnknown()) > 0 {
		return true
	}
	found := false
	options.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		found = fd.FullName().Parent() == "buf.validate"
		return !found
	})
	return found
}

// compile has the rules of a message and of those that it can hold made ready,
// but for those that were seen, and adds to them.
func compile(rules protovalidate.Validator, md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) error {
	for m := range reach.Messages(md) {
		if seen[m.FullName()] {
			continue
		}
		seen[m.FullName()] = true
		// What an empty message violates does not matter here.
		var broken *protovalidate.CompilationError
		if err := rules.Validate(dynamicpb.NewMessage(m)); errors.As(err, &broken) {
			return fmt.Errorf("the validation rules of %s: %w", m.FullName(), err)
		}
	}
	return nil
}

// check returns what is wrong with a request, or nil.
func (v *validator) check(x *exchange, msg proto.Message) *problem.Problem {
	rules, err := v.rules()
	if err == nil {
		err = rules.Validate(msg, x.validation()...)
	}
	if err == nil {
		return nil
	}
	var violated *protovalidate.ValidationError
	if !errors.As(err, &violated) {
		// A rule that cannot be judged, such as one that divides by zero. The
		// text may quote the request.
		v.logger.LogAttrs(context.Background(), slog.LevelError, "gateway: a validation rule cannot be evaluated",
			slog.String("request_id", x.id), slog.String("rpc", x.binding.rpc), slog.String("message", string(msg.ProtoReflect().Descriptor().FullName())))
		return problem.New(http.StatusInternalServerError, codes.Internal, "the request could not be checked")
	}
	errs := make([]problem.FieldError, len(violated.Violations))
	for i, violation := range violated.Violations {
		errs[i] = problem.FieldError{
			Field:  jsonPath(msg.ProtoReflect().Descriptor(), violation.Proto.GetField().GetElements()),
			Detail: violation.Proto.GetMessage(),
			Reason: violation.Proto.GetRuleId(),
		}
	}
	return problem.FromStatus(problem.ToStatus(codes.InvalidArgument, "the request breaks the rules of its fields", errs...))
}

// jsonPath writes the path of a violation in JSON names.
func jsonPath(md protoreflect.MessageDescriptor, elements []*validatepb.FieldPathElement) string {
	var path strings.Builder
	for i, e := range elements {
		if i > 0 {
			path.WriteByte('.')
		}
		name := e.GetFieldName()
		var fd protoreflect.FieldDescriptor
		if md != nil {
			fd = md.Fields().ByNumber(protoreflect.FieldNumber(e.GetFieldNumber()))
		}
		if fd != nil {
			name = fd.JSONName()
		}
		path.WriteString(name)
		path.WriteString(subscript(e))
		md = reach.Element(fd)
	}
	return path.String()
}

func subscript(e *validatepb.FieldPathElement) string {
	switch s := e.GetSubscript().(type) {
	case *validatepb.FieldPathElement_Index:
		return fmt.Sprintf("[%d]", s.Index)
	case *validatepb.FieldPathElement_BoolKey:
		return fmt.Sprintf("[%t]", s.BoolKey)
	case *validatepb.FieldPathElement_IntKey:
		return fmt.Sprintf("[%d]", s.IntKey)
	case *validatepb.FieldPathElement_UintKey:
		return fmt.Sprintf("[%d]", s.UintKey)
	case *validatepb.FieldPathElement_StringKey:
		return fieldpath.Key("", s.StringKey)
	default:
		return ""
	}
}

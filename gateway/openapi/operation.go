package openapi

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A binding is one way to call a method by HTTP.
type binding struct {
	method   protoreflect.MethodDescriptor
	verb     string
	template *template
	body     string // "", "*" or a field
	answer   string // "" or a field
	bound    []string
	rule     access.Rule
	// bodyField and answerField are what body and answer name.
	bodyField, answerField protoreflect.FieldDescriptor
}

func (b *builder) addMethod(method protoreflect.MethodDescriptor) error {
	declared, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if declared == nil {
		return nil
	}
	rule, err := b.ruleOf(method)
	if err != nil {
		return err
	}
	if !rule.Public() && b.config.Security.none() {
		return errors.New("is not public, and Config.Security names no credentials: nobody could call it")
	}
	for i, r := range append([]*annotations.HttpRule{declared}, declared.GetAdditionalBindings()...) {
		verb, path := verbAndPath(r)
		if verb == "" {
			continue
		}
		x := &binding{method: method, verb: verb, body: r.GetBody(), answer: r.GetResponseBody(), rule: rule}
		if err := x.resolve(path); err != nil {
			return fmt.Errorf("binding %d: %s %s: %w", i, verb, path, err)
		}
		if err := b.addBinding(x, path, i); err != nil {
			return fmt.Errorf("binding %d: %s %s: %w", i, verb, path, err)
		}
	}
	return nil
}

// ruleOf returns who may call a method, as the gateway finds it out.
func (b *builder) ruleOf(method protoreflect.MethodDescriptor) (access.Rule, error) {
	name := string(method.Parent().FullName()) + "/" + string(method.Name())
	if declared, ok := b.config.Access[name]; ok {
		if access.Declares(method) {
			return access.Rule{}, fmt.Errorf("Config.Access[%q]: the method has the option (evenkeel.gateway.v1.access); change it there", name)
		}
		return access.Read(declared)
	}
	return access.Of(method)
}

func verbAndPath(r *annotations.HttpRule) (verb, path string) {
	switch pattern := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", pattern.Get
	case *annotations.HttpRule_Put:
		return "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		return "POST", pattern.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", pattern.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", pattern.Patch
	case *annotations.HttpRule_Custom:
		return pattern.Custom.GetKind(), pattern.Custom.GetPath()
	default:
		return "", ""
	}
}

// resolve finds what the binding names.
func (x *binding) resolve(path string) error {
	var err error
	if x.template, err = parseTemplate(path); err != nil {
		return err
	}
	input := x.method.Input()
	for _, field := range x.template.fields {
		fields := fieldpath.Resolve(input, field)
		if fields == nil {
			return fmt.Errorf("%s has no field %q", input.FullName(), field)
		}
		x.bound = append(x.bound, fieldpath.Proto(fields))
	}
	if x.body != "" && x.body != "*" {
		if x.bodyField = fieldpath.Field(input, x.body); x.bodyField == nil {
			return fmt.Errorf("body: %s has no field %q", input.FullName(), x.body)
		}
	}
	if x.answer != "" {
		if x.answerField = fieldpath.Field(x.method.Output(), x.answer); x.answerField == nil {
			return fmt.Errorf("response_body: %s has no field %q", x.method.Output().FullName(), x.answer)
		}
	}
	return nil
}

func (b *builder) addBinding(x *binding, path string, nth int) error {
	item, at := b.place(x.template)
	policies, err := ratelimit.Declared(x.method)
	if err != nil {
		return err
	}
	op := &operation{
		OperationID: b.id(x.method, nth),
		Tags:        []string{string(x.method.Parent().FullName())},
		Description: comment(x.method),
		RPC:         string(x.method.Parent().FullName()) + "/" + string(x.method.Name()),
		Template:    path,
		Rates:       ratesOf(policies),
		Priority:    b.priorityOf(x.method),
		Policy:      policyOf(x.method),
		Security:    b.securityOf(x.rule),
	}
	if o, ok := x.method.Options().(*descriptorpb.MethodOptions); ok {
		op.Deprecated = o.GetDeprecated()
	}
	op.Parameters = b.parameters(x, at.names)
	op.RequestBody = b.requestBody(x)
	if op.Responses, err = b.responses(x, op); err != nil {
		return err
	}
	if !item.add(x.verb, op) {
		return fmt.Errorf("%s is the same operation", b.owners[x.verb+at.path])
	}
	b.owners[x.verb+at.path] = op.RPC
	return nil
}

// securityOf returns the requirements of a rule, one of which must be met.
func (b *builder) securityOf(rule access.Rule) []map[string][]string {
	requirements := []map[string][]string{}
	if rule.Public() {
		return requirements
	}
	s := b.config.Security
	for _, scheme := range []struct {
		there bool
		name  string
	}{{s.Bearer, "bearer"}, {s.APIKey, "apiKey"}, {s.MutualTLS, "mutualTLS"}} {
		if scheme.there {
			requirements = append(requirements, map[string][]string{scheme.name: append([]string{}, rule.Scopes()...)})
		}
	}
	return requirements
}

// priorityOf returns the priority that a method declares, "" for the usual, or
// where it makes no difference.
func (b *builder) priorityOf(method protoreflect.MethodDescriptor) string {
	if !slices.Contains(b.config.Overload, string(method.Parent().FullName())) {
		return ""
	}
	limits, _ := proto.GetExtension(method.Options(), gatewayv1.E_Limits).(*gatewayv1.Limits)
	switch limits.GetPriority() {
	case gatewayv1.Priority_PRIORITY_CRITICAL:
		return "critical"
	case gatewayv1.Priority_PRIORITY_SHEDDABLE:
		return "sheddable"
	default:
		return ""
	}
}

// policyOf returns what a policy demands, in the words that callers are told:
// the expressions are not for them.
func policyOf(method protoreflect.MethodDescriptor) *accessRules {
	declared, _ := proto.GetExtension(method.Options(), gatewayv1.E_Policy).(*gatewayv1.Policy)
	if declared == nil {
		return nil
	}
	rules := &accessRules{AnyRole: declared.GetAnyRole()}
	for _, c := range declared.GetConditions() {
		rules.Conditions = append(rules.Conditions, condition{ID: c.GetId(), Message: c.GetMessage()})
	}
	return rules
}

func isMedia(md protoreflect.MessageDescriptor) bool {
	return md != nil && md.FullName() == "google.api.HttpBody"
}

package gateway

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/reach"
)

// A RouteRule is a protovalidate rule that a request is checked against.
type RouteRule struct {
	// Field is the field's path in the request, in JSON names; behind a list or
	// a map stands [] for each of its elements: "book.authors[].fullName". It is
	// "" for a rule of the request as a whole.
	Field string `json:"field"`
	// Rule is the rule's path in its proto: "string.max_len",
	// "repeated.items.string.min_len", "required"; "cel" for an expression, and
	// "rules of" for all those of a message that is not gone into, since it lies
	// too deep or holds itself.
	Rule string `json:"rule"`
	// Value is what the rule is set to, an expression, or a message's full name.
	Value string `json:"value"`
	// ID and Message are those of an expression, if it has them.
	ID      string `json:"id,omitempty"`
	Message string `json:"message,omitempty"`
}

// String writes a rule in a line: `id: string.pattern "^[a-z]+$"`.
func (r RouteRule) String() string {
	parts := []string{cmp.Or(r.Field, "the request") + ":", r.Rule}
	if r.ID != "" {
		parts = append(parts, r.ID)
	}
	if r.Message != "" {
		parts = append(parts, strconv.Quote(r.Message))
	}
	return strings.Join(append(parts, strings.ReplaceAll(r.Value, "\n", " ")), " ")
}

const (
	// rulesDepth is how many messages below the request are gone into.
	rulesDepth = 8
	// rulesMessages is how many messages are gone into at most: where types hold
	// one another, there are more ways through them than anybody would read.
	rulesMessages = 500
)

// rulesTold lists the rules of a request: first those of the whole, then those
// of its fields in their order, each with what is below it.
func rulesTold(md protoreflect.MessageDescriptor) []RouteRule {
	l := &ruleLister{}
	l.message("", md)
	return l.rules
}

// ruleLister goes through a request's type.
type ruleLister struct {
	rules    []RouteRule
	within   []protoreflect.FullName // the messages from the request to here
	messages int                     // that were gone into
}

func (l *ruleLister) message(path string, md protoreflect.MessageDescriptor) {
	if !hasRules(md) {
		return
	}
	if len(l.within) > rulesDepth || l.messages >= rulesMessages || slices.Contains(l.within, md.FullName()) {
		l.add(RouteRule{Field: path, Rule: "rules of", Value: string(md.FullName())})
		return
	}
	l.messages++
	l.within = append(l.within, md.FullName())
	defer func() { l.within = l.within[:len(l.within)-1] }()

	if rules, _ := protovalidate.ResolveMessageRules(md); rules != nil {
		l.declared(path, "", rules.ProtoReflect(), nil)
	}
	oneofs := md.Oneofs()
	for i := range oneofs.Len() {
		if rules, _ := protovalidate.ResolveOneofRules(oneofs.Get(i)); rules != nil {
			l.declared(fieldpath.Append(path, string(oneofs.Get(i).Name())), "", rules.ProtoReflect(), nil)
		}
	}
	fields := md.Fields()
	for i := range fields.Len() {
		l.field(path, fields.Get(i))
	}
}

func (l *ruleLister) field(path string, fd protoreflect.FieldDescriptor) {
	path = fieldpath.Append(path, fd.JSONName())
	rules, _ := protovalidate.ResolveFieldRules(fd)
	if rules.GetIgnore() == validatepb.Ignore_IGNORE_ALWAYS {
		// Nothing else of it is looked at, nor what is below it.
		l.add(RouteRule{Field: path, Rule: "ignore", Value: rules.GetIgnore().String()})
		return
	}
	if rules != nil {
		l.declared(path, "", rules.ProtoReflect(), fd)
	}
	below, elements := reach.Element(fd), rules
	switch {
	case fd.IsMap():
		path, elements = path+"[]", rules.GetMap().GetValues()
	case fd.IsList():
		path, elements = path+"[]", rules.GetRepeated().GetItems()
	}
	if below != nil && elements.GetIgnore() != validatepb.Ignore_IGNORE_ALWAYS {
		l.message(path, below)
	}
}

// declared lists what a message of protovalidate's own, such as FieldRules, says.
func (l *ruleLister) declared(path, prefix string, rules protoreflect.Message, of protoreflect.FieldDescriptor) {
	var set []protoreflect.FieldDescriptor
	rules.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		set = append(set, fd)
		return true
	})
	slices.SortFunc(set, func(a, b protoreflect.FieldDescriptor) int { return cmp.Compare(a.Number(), b.Number()) })
	for _, fd := range set {
		value, name := rules.Get(fd), prefix+string(fd.Name())
		if fd.IsExtension() {
			name = prefix + "[" + string(fd.FullName()) + "]"
		}
		switch {
		case isNoRule(fd, value):
		case fd.Name() == "cel" && fd.IsList():
			l.expressions(path, prefix, value.List())
		case fd.Name() == "cel_expression" && fd.IsList():
			for i := range value.List().Len() {
				l.add(RouteRule{Field: path, Rule: prefix + "cel", Value: value.List().Get(i).String()})
			}
		case fd.IsList() && fd.Message() != nil && isProtovalidates(fd.Message()): // MessageRules.oneof
			for i := range value.List().Len() {
				l.declared(path, name+".", value.List().Get(i).Message(), of)
			}
		case fd.Message() != nil && !fd.IsList() && isProtovalidates(fd.Message()):
			l.declared(path, name+".", value.Message(), of)
		default:
			l.add(RouteRule{Field: path, Rule: name, Value: ruleValue(fd, value, of)})
		}
	}
}

func (l *ruleLister) expressions(path, prefix string, list protoreflect.List) {
	for i := range list.Len() {
		if rule, ok := list.Get(i).Message().Interface().(*validatepb.Rule); ok {
			l.add(RouteRule{Field: path, Rule: prefix + "cel", Value: rule.GetExpression(), ID: rule.GetId(), Message: rule.GetMessage()})
		}
	}
}

func (l *ruleLister) add(r RouteRule) { l.rules = append(l.rules, r) }

// isNoRule reports whether something is set that nothing is checked against:
// an example, or a rule that is switched off.
func isNoRule(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
	switch {
	case fd.Name() == "example":
		return true
	case fd.IsList() || fd.IsMap():
		return false
	case fd.Kind() == protoreflect.BoolKind:
		return !value.Bool() && fd.Name() != "const"
	case fd.Name() == "ignore":
		return value.Enum() == 0
	}
	return false
}

func isProtovalidates(md protoreflect.MessageDescriptor) bool {
	return md.ParentFile().Package() == "buf.validate"
}

// ruleValue writes what a rule of a field is set to; numbers of an enum by name.
func ruleValue(fd protoreflect.FieldDescriptor, value protoreflect.Value, of protoreflect.FieldDescriptor) string {
	if !fd.IsList() {
		return ruleScalar(fd, value, of)
	}
	parts := make([]string, value.List().Len())
	for i := range parts {
		parts[i] = ruleScalar(fd, value.List().Get(i), of)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func ruleScalar(fd protoreflect.FieldDescriptor, value protoreflect.Value, of protoreflect.FieldDescriptor) string {
	switch {
	case fd.Kind() == protoreflect.StringKind:
		return strconv.Quote(value.String())
	case fd.Kind() == protoreflect.BytesKind:
		return strconv.Quote(string(value.Bytes()))
	case fd.Kind() == protoreflect.EnumKind:
		return enumName(fd.Enum(), value.Enum())
	case fd.Message() != nil: // a Duration, a Timestamp
		text, err := protojson.Marshal(value.Message().Interface())
		if err != nil {
			return "a " + string(fd.Message().Name()) + " that is not valid"
		}
		return string(text)
	case fd.Kind() == protoreflect.Int32Kind && fd.ContainingMessage().FullName() == "buf.validate.EnumRules" && of != nil:
		if of.IsMap() {
			of = of.MapValue()
		}
		return enumName(of.Enum(), protoreflect.EnumNumber(value.Int()))
	default:
		return value.String()
	}
}

func enumName(ed protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	if ed != nil {
		if v := ed.Values().ByNumber(n); v != nil {
			return string(v.Name())
		}
	}
	return strconv.Itoa(int(n))
}

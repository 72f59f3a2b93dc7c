package openapi

import (
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/internal/reach"
)

// unchecked ends the name of a schema without rules.
const unchecked = ".Unchecked"

// schemas makes the schemas of messages and enums, each once.
type schemas struct {
	made map[string]*schema
	// ruled remembers which messages have rules, themselves or within.
	ruled map[protoreflect.FullName]bool
}

func newSchemas() *schemas {
	return &schemas{made: map[string]*schema{}, ruled: map[protoreflect.FullName]bool{}}
}

func reference(name string) *schema { return &schema{Ref: "#/components/schemas/" + name} }

// message returns the schema of a message: a reference, unless it is a type with
// a JSON form of its own. With rules is what protovalidate checks.
func (s *schemas) message(md protoreflect.MessageDescriptor, rules bool) *schema {
	if own := wellKnown(md); own != nil {
		return own
	}
	name := string(md.FullName())
	if !rules && s.hasRules(md) {
		name += unchecked
	}
	if s.made[name] == nil {
		made := &schema{} // known before it is filled: messages may hold themselves
		s.made[name] = made
		*made = *s.object(md, rules, nil)
	}
	return reference(name)
}

// object returns the schema of a message in full, without the fields in without,
// by proto name.
func (s *schemas) object(md protoreflect.MessageDescriptor, rules bool, without map[string]bool) *schema {
	made := &schema{Type: "object", Description: comment(md), Properties: map[string]*schema{}}
	if o, ok := md.Options().(*descriptorpb.MessageOptions); ok {
		made.Deprecated = o.GetDeprecated()
	}
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if without[string(fd.Name())] {
			continue
		}
		made.Properties[fd.JSONName()] = s.field(fd, rules)
		if fd.Cardinality() == protoreflect.Required || rules && mustBeSet(fd) {
			made.Required = append(made.Required, fd.JSONName())
		}
	}
	oneofs := md.Oneofs()
	for i := range oneofs.Len() {
		if of := oneofs.Get(i); !of.IsSynthetic() {
			made.AllOf = append(made.AllOf, oneofSchema(of, rules, without))
		}
	}
	return made
}

// oneofSchema says that no more than one of the fields is set, or exactly one.
func oneofSchema(of protoreflect.OneofDescriptor, rules bool, without map[string]bool) *schema {
	var some, none schema
	some.Title = string(of.Name())
	some.Description = comment(of)
	fields := of.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if without[string(fd.Name())] {
			continue
		}
		// Both use the same: only one of them is written to.
		one := &schema{Required: []string{fd.JSONName()}}
		some.OneOf, none.AnyOf = append(some.OneOf, one), append(none.AnyOf, one)
	}
	declared, _ := proto.GetExtension(of.Options(), validatepb.E_Oneof).(*validatepb.OneofRules)
	if len(none.AnyOf) > 0 && (!rules || !declared.GetRequired()) {
		some.OneOf = append(some.OneOf, &schema{Not: &none})
	}
	return &some
}

// field returns the schema of a field with what is said about it.
func (s *schemas) field(fd protoreflect.FieldDescriptor, rules bool) *schema {
	made := s.value(fd, rules)
	made.Description = comment(fd)
	if o, ok := fd.Options().(*descriptorpb.FieldOptions); ok {
		made.Deprecated = o.GetDeprecated()
	}
	return made
}

// value returns the schema of what a field holds.
func (s *schemas) value(fd protoreflect.FieldDescriptor, rules bool) *schema {
	declared := rulesOf(fd)
	rules = rules && declared.GetIgnore() != validatepb.Ignore_IGNORE_ALWAYS
	var made *schema
	switch {
	case fd.IsMap():
		made = &schema{Type: "object", AdditionalProperties: s.single(fd.MapValue(), rules), PropertyNames: keySchema(fd.MapKey())}
	case fd.IsList():
		made = &schema{Type: "array", Items: s.single(fd, rules)}
	default:
		made = s.single(fd, rules)
		if fd.HasDefault() && fd.HasPresence() {
			made.Default = defaultOf(fd)
		}
	}
	if rules && declared != nil {
		applyRules(made, fd, declared)
	}
	return made
}

// single returns the schema of one value: of a field that is not repeated, or of
// an element.
func (s *schemas) single(fd protoreflect.FieldDescriptor, rules bool) *schema {
	switch {
	case fd.Enum() != nil:
		return s.enum(fd.Enum())
	case fd.Message() != nil:
		return s.message(fd.Message(), rules)
	default:
		return scalar(fd.Kind())
	}
}

func (s *schemas) enum(ed protoreflect.EnumDescriptor) *schema {
	if ed.FullName() == "google.protobuf.NullValue" {
		return &schema{Type: "null"}
	}
	name := string(ed.FullName())
	if s.made[name] == nil {
		made := &schema{Type: "string"}
		lines := []string{comment(ed)}
		values := ed.Values()
		for i := range values.Len() {
			v := values.Get(i)
			made.Enum = append(made.Enum, string(v.Name()))
			if c := comment(v); c != "" {
				lines = append(lines, "- `"+string(v.Name())+"`: "+c)
			}
		}
		made.Description = strings.TrimSpace(strings.Join(lines, "\n"))
		s.made[name] = made
	}
	return reference(name)
}

// hasRules reports whether the schema of a message, or of one that it can hold,
// tells rules. That is less than the gateway asks: rules of a message as a whole
// are not in a schema, so that they need not make two of it.
func (s *schemas) hasRules(md protoreflect.MessageDescriptor) bool {
	known, ok := s.ruled[md.FullName()]
	if !ok {
		for m := range reach.Messages(md) {
			if known = tellsRules(m); known {
				break
			}
		}
		s.ruled[md.FullName()] = known
	}
	return known
}

func tellsRules(md protoreflect.MessageDescriptor) bool {
	for i := range md.Fields().Len() {
		if rulesOf(md.Fields().Get(i)) != nil {
			return true
		}
	}
	for i := range md.Oneofs().Len() {
		if proto.HasExtension(md.Oneofs().Get(i).Options(), validatepb.E_Oneof) {
			return true
		}
	}
	return false
}

// comment returns what is written above a declaration, where its file tells.
func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimPrefix(line, " ")
		if !strings.HasPrefix(line, "buf:lint:") { // is for a tool
			lines = append(lines, strings.TrimRight(line, " \t\r"))
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

package openapi

import (
	"fmt"
	"slices"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/internal/reach"
)

// checks say which rules of protovalidate hold for a value.
type checks uint8

const (
	// unchecked says that none do.
	unchecked checks = iota
	// inPart says that they hold for what is there, as for what a PATCH changes.
	inPart
	// checked says that all do.
	checked
)

// suffixes end the names of schemas that tell less than all rules.
var suffixes = [...]string{unchecked: ".Unchecked", inPart: ".Part", checked: ""}

// checksOf returns checked, or unchecked.
func checksOf(rules bool) checks {
	if rules {
		return checked
	}
	return unchecked
}

// within is what holds for an element of a list or a map, which is there as a
// whole.
func (c checks) within() checks {
	if c == inPart {
		return checked
	}
	return c
}

// schemas makes the schemas of messages and enums, each once.
type schemas struct {
	form JSON
	made map[string]*schema
	// ruled remembers which messages have rules, themselves or within.
	ruled map[protoreflect.FullName]bool
}

func newSchemas(form JSON) *schemas {
	return &schemas{form: form, made: map[string]*schema{}, ruled: map[protoreflect.FullName]bool{}}
}

func reference(name string) *schema { return &schema{Ref: "#/components/schemas/" + name} }

// message returns the schema of a message: a reference, unless it is a type with
// a JSON form of its own.
func (s *schemas) message(md protoreflect.MessageDescriptor, rules checks) *schema {
	if own := s.form.wellKnown(md); own != nil {
		return own
	}
	name := string(md.FullName())
	if rules != checked && s.hasRules(md) {
		name += suffixes[rules]
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
func (s *schemas) object(md protoreflect.MessageDescriptor, rules checks, without map[string]bool) *schema {
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
		made.Properties[s.form.name(fd)] = s.field(fd, rules)
		if fd.Cardinality() == protoreflect.Required || rules == checked && mustBeSet(fd) {
			made.Required = append(made.Required, s.form.name(fd))
		}
	}
	oneofs := md.Oneofs()
	for i := range oneofs.Len() {
		if of := oneofs.Get(i); !of.IsSynthetic() {
			made.AllOf = append(made.AllOf, s.oneof(of, rules, without))
		}
	}
	return made
}

// oneof says that no more than one of the fields is set, or exactly one.
func (s *schemas) oneof(of protoreflect.OneofDescriptor, rules checks, without map[string]bool) *schema {
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
		one := &schema{Required: []string{s.form.name(fd)}}
		some.OneOf, none.AnyOf = append(some.OneOf, one), append(none.AnyOf, one)
	}
	declared, _ := proto.GetExtension(of.Options(), validatepb.E_Oneof).(*validatepb.OneofRules)
	if len(none.AnyOf) > 0 && (rules != checked || !declared.GetRequired()) {
		some.OneOf = append(some.OneOf, &schema{Not: &none})
	}
	return &some
}

// field returns the schema of a field with what is said about it.
func (s *schemas) field(fd protoreflect.FieldDescriptor, rules checks) *schema {
	made := s.value(fd, rules)
	if s.form.NullUnset && fd.HasPresence() && fd.ContainingOneof() == nil {
		made = &schema{AnyOf: []*schema{made, {Type: "null"}}}
	}
	made.Description = comment(fd)
	if o, ok := fd.Options().(*descriptorpb.FieldOptions); ok {
		made.Deprecated = o.GetDeprecated()
	}
	return made
}

// value returns the schema of what a field holds.
func (s *schemas) value(fd protoreflect.FieldDescriptor, rules checks) *schema {
	declared := rulesOf(fd)
	if declared.GetIgnore() == validatepb.Ignore_IGNORE_ALWAYS {
		rules = unchecked
	}
	var made *schema
	switch {
	case fd.IsMap():
		made = &schema{Type: "object", AdditionalProperties: s.single(fd.MapValue(), rules.within()), PropertyNames: keySchema(fd.MapKey())}
	case fd.IsList():
		made = &schema{Type: "array", Items: s.single(fd, rules.within())}
	default:
		made = s.single(fd, rules)
		if fd.HasDefault() && fd.HasPresence() {
			made.Default = s.form.defaultOf(fd)
		}
	}
	if rules != unchecked && declared != nil {
		s.form.applyRules(made, fd, declared)
	}
	return made
}

// single returns the schema of one value: of a field that is not repeated, or of
// an element.
func (s *schemas) single(fd protoreflect.FieldDescriptor, rules checks) *schema {
	switch {
	case fd.Enum() != nil:
		return s.enum(fd.Enum())
	case fd.Message() != nil:
		return s.message(fd.Message(), rules)
	default:
		return s.form.scalar(fd.Kind())
	}
}

func (s *schemas) enum(ed protoreflect.EnumDescriptor) *schema {
	if ed.FullName() == "google.protobuf.NullValue" {
		return &schema{Type: "null"}
	}
	name := string(ed.FullName())
	if s.made[name] == nil {
		made := &schema{Type: "string"}
		if s.form.EnumNumbers {
			made.Type = "integer"
		}
		lines := []string{comment(ed)}
		values := ed.Values()
		for i := range values.Len() {
			v := values.Get(i)
			written, told := s.form.enumValue(v), comment(v)
			if s.form.EnumNumbers {
				told = strings.TrimSpace(string(v.Name()) + " " + told) // a number says nothing
			}
			if !slices.Contains(made.Enum, written) { // numbers may have several names
				made.Enum = append(made.Enum, written)
			}
			if told != "" {
				lines = append(lines, fmt.Sprintf("- `%v`: %s", written, told))
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

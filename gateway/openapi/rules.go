package openapi

import (
	"regexp"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rulesOf returns the protovalidate rules of a field, or nil.
func rulesOf(fd protoreflect.FieldDescriptor) *validatepb.FieldRules {
	if fd.Options() == nil || !proto.HasExtension(fd.Options(), validatepb.E_Field) {
		return nil
	}
	rules, _ := proto.GetExtension(fd.Options(), validatepb.E_Field).(*validatepb.FieldRules)
	return rules
}

// mustBeSet reports whether a message without the field breaks its rules: it is
// required, or it has no presence and zero is not allowed.
func mustBeSet(fd protoreflect.FieldDescriptor) bool {
	rules := rulesOf(fd)
	switch {
	case rules == nil || rules.GetIgnore() == validatepb.Ignore_IGNORE_ALWAYS:
		return false
	case rules.GetRequired():
		return true
	case rules.GetIgnore() == validatepb.Ignore_IGNORE_IF_ZERO_VALUE || fd.HasPresence():
		return false
	}
	return rules.GetString().GetMinLen() > 0 || rules.GetString().GetLen() > 0 ||
		rules.GetRepeated().GetMinItems() > 0 || rules.GetMap().GetMinPairs() > 0
}

// applyRules narrows a schema down to what the rules allow, as far as JSON
// Schema can say it.
func (j JSON) applyRules(to *schema, fd protoreflect.FieldDescriptor, rules *validatepb.FieldRules) {
	if rules.GetIgnore() == validatepb.Ignore_IGNORE_IF_ZERO_VALUE {
		return // zero need not keep to them, and most keywords cannot except it
	}
	switch kind := rules.GetType().(type) {
	case *validatepb.FieldRules_Repeated:
		to.MinItems, to.MaxItems = kind.Repeated.MinItems, kind.Repeated.MaxItems
		to.UniqueItems = kind.Repeated.GetUnique()
		if items := kind.Repeated.GetItems(); items != nil && to.Items != nil {
			j.applyRules(to.Items, fd, items)
		}
	case *validatepb.FieldRules_Map:
		to.MinProperties, to.MaxProperties = kind.Map.MinPairs, kind.Map.MaxPairs
		if values := kind.Map.GetValues(); values != nil && fd.IsMap() {
			j.applyRules(to.AdditionalProperties, fd.MapValue(), values)
		}
		if keys := kind.Map.GetKeys().GetString(); keys != nil && fd.IsMap() {
			if to.PropertyNames == nil {
				to.PropertyNames = &schema{}
			}
			stringRules(to.PropertyNames, keys)
		}
	case *validatepb.FieldRules_String_:
		stringRules(to, kind.String_)
	case *validatepb.FieldRules_Bool:
		if kind.Bool.Const != nil {
			to.Const = kind.Bool.GetConst()
		}
	case *validatepb.FieldRules_Enum:
		j.enumRules(to, fd, kind.Enum)
	default:
		j.numberRules(to, rules)
	}
	// A required field without presence must not be zero.
	if rules.GetRequired() && fd.Kind() == protoreflect.StringKind && !fd.HasPresence() && !fd.IsList() && !fd.IsMap() && to.MinLength == nil {
		one := uint64(1)
		to.MinLength = &one
	}
}

func stringRules(to *schema, r *validatepb.StringRules) {
	to.MinLength, to.MaxLength = r.MinLen, r.MaxLen
	if r.Len != nil {
		to.MinLength, to.MaxLength = r.Len, r.Len
	}
	if r.Const != nil {
		to.Const = r.GetConst()
	}
	for _, v := range r.GetIn() {
		to.Enum = append(to.Enum, v)
	}
	if in := r.GetNotIn(); len(in) > 0 {
		to.Not = &schema{}
		for _, v := range in {
			to.Not.Enum = append(to.Not.Enum, v)
		}
	}
	var patterns []string
	if r.Pattern != nil && portable(r.GetPattern()) {
		patterns = append(patterns, r.GetPattern())
	}
	if r.Prefix != nil {
		patterns = append(patterns, "^"+regexp.QuoteMeta(r.GetPrefix()))
	}
	if r.Suffix != nil {
		patterns = append(patterns, regexp.QuoteMeta(r.GetSuffix())+"$")
	}
	if r.Contains != nil {
		patterns = append(patterns, regexp.QuoteMeta(r.GetContains()))
	}
	if len(patterns) == 1 {
		to.Pattern = patterns[0]
	} else {
		for _, p := range patterns {
			to.AllOf = append(to.AllOf, &schema{Pattern: p})
		}
	}
	switch {
	case r.GetEmail():
		to.Format = "email"
	case r.GetHostname():
		to.Format = "hostname"
	case r.GetIpv4():
		to.Format = "ipv4"
	case r.GetIpv6():
		to.Format = "ipv6"
	case r.GetUri():
		to.Format = "uri"
	case r.GetUriRef():
		to.Format = "uri-reference"
	case r.GetUuid():
		to.Format = "uuid"
	}
}

// portable reports whether a pattern in the syntax of RE2 means the same in that
// of ECMA-262, as far as can be told without parsing it.
func portable(pattern string) bool {
	for _, other := range []string{`\A`, `\z`, `\C`, `\Q`, `\a`, `\p`, `\P`, `\x{`, `[[:`, `[:`, `[^[:`} {
		if strings.Contains(pattern, other) {
			return false
		}
	}
	return !strings.Contains(strings.ReplaceAll(pattern, "(?:", ""), "(?")
}

func (j JSON) enumRules(to *schema, fd protoreflect.FieldDescriptor, r *validatepb.EnumRules) {
	ed := fd.Enum()
	if ed == nil {
		return
	}
	names := func(numbers []int32) []any {
		var found []any
		for _, n := range numbers {
			if v := ed.Values().ByNumber(protoreflect.EnumNumber(n)); v != nil {
				found = append(found, j.enumValue(v))
			}
		}
		return found
	}
	if r.Const != nil {
		to.Enum = names([]int32{r.GetConst()})
	} else if in := r.GetIn(); len(in) > 0 {
		to.Enum = names(in)
	}
	if out := names(r.GetNotIn()); len(out) > 0 {
		to.Not = &schema{Enum: out}
	}
}

// numberRules reads the rules of all kinds of numbers, whose fields are named
// alike.
func (j JSON) numberRules(to *schema, rules *validatepb.FieldRules) {
	at := to
	if len(to.AnyOf) == 2 { // a floating point number, or NaN and the like
		at = to.AnyOf[0]
	}
	if at.Type != "integer" && at.Type != "number" {
		return
	}
	m := rules.ProtoReflect()
	which := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if which == nil || which.Message() == nil {
		return
	}
	r := m.Get(which).Message()
	get := func(name protoreflect.Name) any {
		fd := r.Descriptor().Fields().ByName(name)
		if fd == nil || fd.IsList() || !r.Has(fd) {
			return nil
		}
		return j.of(fd.Kind(), r.Get(fd))
	}
	list := func(name protoreflect.Name) []any {
		var values []any
		if fd := r.Descriptor().Fields().ByName(name); fd != nil && fd.IsList() {
			for i := range r.Get(fd).List().Len() {
				values = append(values, j.of(fd.Kind(), r.Get(fd).List().Get(i)))
			}
		}
		return values
	}
	bound := func(name protoreflect.Name) any {
		if _, ok := number(get(name)); !ok {
			return nil // none, or infinite, which JSON cannot write
		}
		return get(name)
	}
	gt, gte, lt, lte := bound("gt"), bound("gte"), bound("lt"), bound("lte")
	if !outside(gt, gte, lt, lte) {
		at.ExclusiveMinimum, at.ExclusiveMaximum = gt, lt
		if gte != nil {
			at.Minimum = gte
		}
		if lte != nil {
			at.Maximum = lte
		}
	}
	if c := get("const"); c != nil {
		at.Const = c
	}
	at.Enum = append(at.Enum, list("in")...)
	if out := list("not_in"); len(out) > 0 {
		at.Not = &schema{Enum: out}
	}
}

// outside reports whether the bounds are those of a gap: to protovalidate,
// greater than 5 and less than 2 means one of both.
func outside(gt, gte, lt, lte any) bool {
	lower, upper := gt, lt
	if lower == nil {
		lower = gte
	}
	if upper == nil {
		upper = lte
	}
	l, ok1 := number(lower)
	u, ok2 := number(upper)
	return ok1 && ok2 && l > u
}

func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int32:
		return float64(x), true
	case uint32:
		return float64(x), true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case float32:
		return float64(x), true
	case float64:
		return x, true
	default:
		return 0, false
	}
}

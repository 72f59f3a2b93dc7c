package gateway

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// rulesOfMessage returns the rules of the first message of a file, whose messages and
// enums are written in the text format of a FileDescriptorProto.
func rulesOfMessage(t *testing.T, text string) []string {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(`
		name: "rules.proto" package: "rules" syntax: "proto3"
		dependency: "buf/validate/validate.proto"
		dependency: "google/protobuf/duration.proto"
		dependency: "google/protobuf/struct.proto"
	`+text), file); err != nil {
		t.Fatal(err)
	}
	fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range rulesTold(fd.Messages().Get(0)) {
		told = append(told, r.String())
	}
	return told
}

func wantRules(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("rules\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestEachRuleIsToldWithItsFieldAndItsValue(t *testing.T) {
	wantRules(t, rulesOfMessage(t, `
		enum_type { name: "Kind" value { name: "KIND_NONE" number: 0 } value { name: "KIND_ODD" number: 1 } }
		message_type {
			name: "Request"
			options { [buf.validate.message] {
				cel { id: "both" message: "needs both" expression: "this.id != ''\n&& this.count > 0" }
				cel_expression: "this.count < 9"
				oneof { fields: "id" fields: "count" required: true }
			} }
			oneof_decl { name: "either" options { [buf.validate.oneof] { required: true } } }
			field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] {
				string { max_len: 20 pattern: "^[a-z]+$" in: "a" in: "b" email: false example: "x" }
				required: true
				cel { id: "id.short" message: "must be \"short\"" expression: "size(this) < 4" }
				cel_expression: "this != 'c'"
			} } }
			field { name: "count" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL options { [buf.validate.field] { ignore: IGNORE_IF_ZERO_VALUE int32 { gt: 0 lte: 7 } } } }
			field { name: "kind" number: 3 type: TYPE_ENUM type_name: ".rules.Kind" label: LABEL_OPTIONAL options { [buf.validate.field] { enum { defined_only: true in: 1 in: 5 } } } }
			field { name: "how_long" number: 4 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL options { [buf.validate.field] { duration { lt { seconds: 1 nanos: 500000000 } } } } }
			field { name: "is_on" number: 5 type: TYPE_BOOL label: LABEL_OPTIONAL options { [buf.validate.field] { bool { const: false } } } }
			field { name: "names" number: 6 type: TYPE_STRING label: LABEL_REPEATED options { [buf.validate.field] { repeated { min_items: 1 unique: true items { string { min_len: 2 } cel { id: "item" expression: "true" } } } } } }
			field { name: "raw" number: 7 type: TYPE_BYTES label: LABEL_OPTIONAL options { [buf.validate.field] { bytes { prefix: "\377" } } } }
			field { name: "free" number: 8 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "one" number: 9 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
			field { name: "extra" number: 10 type: TYPE_MESSAGE type_name: ".google.protobuf.Struct" label: LABEL_OPTIONAL }
		}`),
		`the request: cel both "needs both" this.id != '' && this.count > 0`,
		`the request: oneof.fields ["id", "count"]`,
		`the request: oneof.required true`,
		`the request: cel this.count < 9`,
		`either: required true`,
		`id: string.max_len 20`,
		`id: string.pattern "^[a-z]+$"`,
		`id: string.in ["a", "b"]`,
		`id: cel id.short "must be \"short\"" size(this) < 4`,
		`id: required true`,
		`id: cel this != 'c'`,
		`count: int32.lte 7`,
		`count: int32.gt 0`,
		`count: ignore IGNORE_IF_ZERO_VALUE`,
		`kind: enum.defined_only true`,
		`kind: enum.in [KIND_ODD, 5]`,
		`howLong: duration.lt "1.500s"`,
		`isOn: bool.const false`,
		`names: repeated.min_items 1`,
		`names: repeated.unique true`,
		`names: repeated.items.string.min_len 2`,
		`names: repeated.items.cel item true`,
		`raw: bytes.prefix "\xff"`,
	)
}

// inner is a message with a rule, for others to hold.
const inner = `message_type { name: "Inner" field { name: "a" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { string { min_len: 1 } } } } }`

func TestRulesOfMessagesWithinAreTold(t *testing.T) {
	wantRules(t, rulesOfMessage(t, `
		message_type {
			name: "Request"
			nested_type {
				name: "MapEntry" options { map_entry: true }
				field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
				field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_OPTIONAL }
			}
			field { name: "one" number: 1 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_OPTIONAL }
			field { name: "many" number: 2 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_REPEATED }
			field { name: "map" number: 3 type: TYPE_MESSAGE type_name: ".rules.Request.MapEntry" label: LABEL_REPEATED options { [buf.validate.field] { map { min_pairs: 1 keys { string { len: 3 } } } } } }
			field { name: "ignored" number: 4 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_OPTIONAL options { [buf.validate.field] { ignore: IGNORE_ALWAYS required: true } } }
			field { name: "unread" number: 5 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_REPEATED options { [buf.validate.field] { repeated { items { ignore: IGNORE_ALWAYS } } } } }
		}`+inner),
		`one.a: string.min_len 1`,
		`many[].a: string.min_len 1`,
		`map: map.min_pairs 1`,
		`map: map.keys.string.len 3`,
		`map[].a: string.min_len 1`,
		`ignored: ignore IGNORE_ALWAYS`,
		`unread: repeated.items.ignore IGNORE_ALWAYS`,
	)
}

func TestMessagesThatHoldThemselvesAreGoneIntoOnce(t *testing.T) {
	wantRules(t, rulesOfMessage(t, `
		message_type {
			name: "Node"
			field { name: "next" number: 1 type: TYPE_MESSAGE type_name: ".rules.Node" label: LABEL_OPTIONAL }
			field { name: "inner" number: 2 type: TYPE_MESSAGE type_name: ".rules.Inner" label: LABEL_OPTIONAL }
		}`+inner),
		`next: rules of rules.Node`,
		`inner.a: string.min_len 1`,
	)
}

// chain is a request and messages below it, each of which holds the next in
// fields of the names.
func chain(length int, names ...string) string {
	var text strings.Builder
	for i := range length {
		text.WriteString(`message_type { name: "M` + string(rune('a'+i)) + `"`)
		for n, name := range names {
			next := "M" + string(rune('a'+i+1))
			if i == length-1 {
				next = "Inner"
			}
			text.WriteString(` field { name: "` + name + `" number: ` + string(rune('1'+n)) + ` type: TYPE_MESSAGE type_name: ".rules.` + next + `" label: LABEL_OPTIONAL }`)
		}
		text.WriteString(" }\n")
	}
	return text.String() + inner
}

func TestMessagesThatLieTooDeepAreNamed(t *testing.T) {
	wantRules(t, rulesOfMessage(t, chain(rulesDepth, "f")), strings.Repeat("f.", rulesDepth)+"a: string.min_len 1")
	wantRules(t, rulesOfMessage(t, chain(rulesDepth+1, "f")), strings.Repeat("f.", rulesDepth)+"f: rules of rules.Inner")
}

func TestThereIsAnEndToWhatIsGoneInto(t *testing.T) {
	// 4 fields on 8 levels are 65,536 ways.
	got := rulesOfMessage(t, chain(rulesDepth, "f", "g", "h", "i"))
	if n := len(got); n < rulesMessages/2 || n > 4*rulesMessages {
		t.Errorf("%d rules are told", n)
	}
	if last := got[len(got)-1]; last != "i: rules of rules.Mb" {
		t.Errorf("the last is %s", last)
	}
}

func TestWithoutRulesNothingIsTold(t *testing.T) {
	var none protoreflect.MessageDescriptor = (&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor()
	if told := rulesTold(none); told != nil {
		t.Errorf("%v", told)
	}
}

package openapi

import (
	"encoding/json"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func countBindings(method protoreflect.MethodDescriptor) int {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return 0
	}
	return 1 + len(rule.GetAdditionalBindings())
}

func TestFieldsHaveTheirJSONForm(t *testing.T) {
	for _, c := range []struct {
		message proto.Message
		field   string
		want    string
	}{
		{&testv1.Scalars{}, "aBool", `{"type":"boolean"}`},
		{&testv1.Scalars{}, "anInt32", `{"type":"integer","format":"int32"}`},
		{&testv1.Scalars{}, "aUint32", `{"type":"integer","minimum":0,"maximum":4294967295}`},
		{&testv1.Scalars{}, "anInt64", `{"type":"string","format":"int64","pattern":"^-?[0-9]+$"}`},
		{&testv1.Scalars{}, "someBytes", `{"type":"string","contentEncoding":"base64"}`},
		{&testv1.Scalars{}, "aDouble", `{"anyOf":[{"type":"number","format":"double"},{"enum":["NaN","Infinity","-Infinity"]}]}`},
		{&testv1.Scalars{}, "orbit", `{"$ref":"#/components/schemas/evenkeel.test.v1.Orbit"}`},
		{&testv1.Maps{}, "byInt32", `{"type":"object","propertyNames":{"pattern":"^-?[0-9]+$"},"additionalProperties":{"type":"string","format":"int64","pattern":"^-?[0-9]+$"}}`},
		{&testv1.Choice{}, "nothing", `{"type":"null"}`},
		{&testv1.WellKnown{}, "timestamp", `{"type":"string","format":"date-time"}`},
		{&testv1.WellKnown{}, "value", `{}`},
		{&testv1.WellKnown{}, "int64Value", `{"type":"string","format":"int64","pattern":"^-?[0-9]+$"}`},
		{&testv1.WellKnown{}, "any", `{"type":"object","properties":{"@type":{"type":"string"}},"required":["@type"]}`},
		{&testv1.Kinds{}, `told by "hand"`, `{"type":"string"}`},
		{&testv1.Legacy{}, "seven", `{"type":"integer","format":"int32","default":7}`},
		{&testv1.Book{}, "title", `{"type":"string","minLength":1,"maxLength":50}`},
		{&testv1.Book{}, "pageCount", `{"type":"integer","format":"int32","minimum":1}`},
		{&testv1.Book{}, "labels", `{"type":"object","additionalProperties":{"type":"string","maxLength":5}}`},
		{&testv1.UpdateNoteRequest{}, "note", `{"$ref":"#/components/schemas/evenkeel.test.v1.Note.Unchecked"}`},
	} {
		md := c.message.ProtoReflect().Descriptor()
		fd := md.Fields().ByJSONName(c.field)
		got, err := json.Marshal(newSchemas(JSON{}).field(fd, checked))
		if err != nil || string(got) != c.want {
			t.Errorf("%s.%s: %v\n%s, want\n%s", md.Name(), c.field, err, got, c.want)
		}
	}
}

func TestFieldsHaveTheFormThatIsConfigured(t *testing.T) {
	for _, c := range []struct {
		form    JSON
		message proto.Message
		field   string
		want    string
	}{
		{JSON{ProtoNames: true}, &testv1.Scalars{}, "an_int32", `{"type":"integer","format":"int32"}`},
		{JSON{Int64Numbers: true}, &testv1.Scalars{}, "anInt64", `{"type":"integer","format":"int64"}`},
		{JSON{Int64Numbers: true}, &testv1.Scalars{}, "aFixed64", `{"type":"integer","format":"uint64","minimum":0}`},
		{JSON{Int64Numbers: true}, &testv1.WellKnown{}, "int64Value", `{"type":"integer","format":"int64"}`},
		{JSON{Int64Numbers: true}, &testv1.Maps{}, "byInt32", `{"type":"object","propertyNames":{"pattern":"^-?[0-9]+$"},"additionalProperties":{"type":"integer","format":"int64"}}`},
		{JSON{Int64Numbers: true}, &testv1.OldStyle{}, "number", `{"type":"integer","format":"int64","default":5}`},
		{JSON{URLBytes: true}, &testv1.Scalars{}, "someBytes", `{"type":"string","contentEncoding":"base64url"}`},
		{JSON{EnumNumbers: true}, &testv1.Choice{}, "nothing", `{"type":"null"}`},
		{JSON{NullUnset: true}, &testv1.Kinds{}, "scalars", `{"anyOf":[{"$ref":"#/components/schemas/evenkeel.test.v1.Scalars"},{"type":"null"}]}`},
		{JSON{NullUnset: true}, &testv1.Kinds{}, "more", `{"type":"array","items":{"$ref":"#/components/schemas/evenkeel.test.v1.Kinds"}}`},
		{JSON{NullUnset: true}, &testv1.Choice{}, "scalars", `{"$ref":"#/components/schemas/evenkeel.test.v1.Scalars"}`},
		{JSON{NullUnset: true}, &testv1.OptionalScalars{}, "aBool", `{"type":"boolean"}`},
	} {
		s := newSchemas(c.form)
		got, err := json.Marshal(s.object(c.message.ProtoReflect().Descriptor(), checked, nil).Properties[c.field])
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %s: %v\n%s, want\n%s", c.form, c.field, err, got, c.want)
		}
	}
	s := newSchemas(JSON{EnumNumbers: true})
	s.enum(testv1.Orbit(0).Descriptor())
	got, _ := json.Marshal(s.made["evenkeel.test.v1.Orbit"])
	const want = `{"type":"integer","description":"- ` + "`0`: ORBIT_UNSPECIFIED\\n- `1`: ORBIT_LOW\\n- `-1`: ORBIT_RETROGRADE" + `","enum":[0,1,-1]}`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestOfAPartNothingMustBeThere: what is there has its rules, and what is in a
// list is there as a whole.
func TestOfAPartNothingMustBeThere(t *testing.T) {
	s := newSchemas(JSON{})
	part := s.object((&testv1.Book{}).ProtoReflect().Descriptor(), inPart, nil)
	title, _ := json.Marshal(part.Properties["title"])
	authors, _ := json.Marshal(part.Properties["authors"])
	if part.Required != nil || string(title) != `{"type":"string","minLength":1,"maxLength":50}` ||
		string(authors) != `{"type":"array","items":{"$ref":"#/components/schemas/evenkeel.test.v1.Author"}}` {
		t.Errorf("required %v, title %s, authors %s", part.Required, title, authors)
	}
	if got := s.message((&testv1.Note{}).ProtoReflect().Descriptor(), inPart).Ref; got != "#/components/schemas/evenkeel.test.v1.Note.Part" {
		t.Error(got)
	}
	if got := s.made["evenkeel.test.v1.Note.Part"].Properties["author"].Ref; got != "#/components/schemas/evenkeel.test.v1.Author.Part" {
		t.Error(got)
	}
	if got := s.made["evenkeel.test.v1.Author.Part"].Required; got != nil {
		t.Error(got)
	}
	patch := library(t).root.Paths["/v1/shelves/{shelves}/books/{books}"].Patch
	if body, _ := json.Marshal(patch.RequestBody.Content[typeJSON].Schema.Required); string(body) != "null" {
		t.Errorf("PATCH asks for %s", body)
	}
}

func TestRequiredIsWhatTheRulesRequire(t *testing.T) {
	s := newSchemas(JSON{})
	for _, c := range []struct {
		message proto.Message
		want    string
	}{
		{&testv1.Book{}, `["title"]`},
		{&testv1.CreateBookRequest{}, `["book"]`},
		{&testv1.Legacy{}, `["must"]`},
		{&testv1.UpdateBookRequest{}, `null`},
	} {
		md := c.message.ProtoReflect().Descriptor()
		if got, _ := json.Marshal(s.object(md, checked, nil).Required); string(got) != c.want {
			t.Errorf("%s: %s, want %s", md.Name(), got, c.want)
		}
	}
	if got := s.object((&testv1.Book{}).ProtoReflect().Descriptor(), unchecked, nil).Required; got != nil {
		t.Errorf("without rules: %v", got)
	}
}

func TestNoMoreThanOneFieldOfAOneof(t *testing.T) {
	md := (&testv1.EchoRequest{}).ProtoReflect().Descriptor()
	got, _ := json.Marshal(newSchemas(JSON{}).object(md, checked, nil).AllOf)
	const want = `[{"title":"choice","oneOf":[{"required":["left"]},{"required":["right"]},{"not":{"anyOf":[{"required":["left"]},{"required":["right"]}]}}]}]`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestTheQueryIsWhatPathAndBodyLeave(t *testing.T) {
	paths := library(t).root.Paths
	names := func(op *operation) map[string]*parameter {
		found := map[string]*parameter{}
		for _, p := range op.Parameters {
			if p.In == "query" {
				found[p.Name] = p
			}
		}
		return found
	}
	list := names(paths["/v1/shelves/{parent}/books"].Get)
	if len(list) != 2 || list["pageSize"] == nil || list["pageToken"] == nil {
		t.Errorf("ListBooks: %v", list)
	}
	if all := names(paths["/v1/books"].Get); len(all) != 3 {
		t.Errorf("ListBooks of all: %v", all)
	}
	if create := names(paths["/v1/shelves/{parent}/books"].Post); len(create) != 1 || create["bookId"] == nil {
		t.Errorf("CreateBook: %v", create)
	}
	if post := names(paths["/v1/echo"].Post); len(post) != 0 {
		t.Errorf("body \"*\" leaves nothing: %v", post)
	}
	echo := names(paths["/v1/echo"].Get)
	for name, there := range map[string]bool{
		"text": true, "counts": true, "nested.number": true, "nested.deeper.number": false, "several": false, "byName": false,
		"time": true, "anything": true, "names": true, "left": true, "maybe": true,
	} {
		if (echo[name] != nil) != there {
			t.Errorf("Echo: %s: %v", name, echo[name])
		}
	}
	if echo["counts"].Style != "deepObject" || echo["anything"].Content == nil || echo["left"].Oneof != "choice" {
		t.Error("a parameter is not written as the gateway reads it")
	}
}

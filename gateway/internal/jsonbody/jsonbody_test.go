package jsonbody

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

var echo = (&testv1.EchoRequest{}).ProtoReflect().Type()

func TestDepthIsCountedOutsideOfStringsOnly(t *testing.T) {
	for body, depth := range map[string]int{
		``: 0, `1`: 0, `{}`: 1, `[]`: 1, `{"a":[1,{"b":{}}]}`: 4, `"[[[["`: 0, `{"[[[\"[[[":"}}}{{{\\"}`: 1,
		`[][][]`: 1, `[[],[[]]]`: 3, `"unterminated [[[`: 0, `"\`: 0, `}}}[`: 1,
	} {
		if TooDeep([]byte(body), depth) {
			t.Errorf("%s: deeper than %d", body, depth)
		}
		if depth > 0 && !strings.HasPrefix(body, "}") && !TooDeep([]byte(body), depth-1) {
			t.Errorf("%s: not deeper than %d", body, depth-1)
		}
	}
}

func TestDiagnosisNamesTheField(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                                      NotJSON,
		`{} x`:                                   MoreThanOne,
		`{}{}`:                                   MoreThanOne,
		"{\"text\":\"\xff\"}":                    NotUTF8,
		`[]`:                                     NotAnObject,
		`null`:                                   NotAnObject,
		`{"x":1}`:                                "x: there is no such field",
		`{"text":1}`:                             "text: it must be a string in valid UTF-8",
		`{"nested":{"deeper":{"number":"x"}}}`:   "nested.deeper.number: it must be an integer of 32 bits",
		`{"nested":null,"text":1}`:               "text: it must be a string in valid UTF-8",
		`{"several":[{},null]}`:                  "several[1]: it must be an object",
		`{"byName":{"a":null}}`:                  `byName["a"]: it must be an object`,
		`{"several":[{},{"x":1}]}`:               "several[1].x: there is no such field",
		`{"byName":{"a":{"x":1}}}`:               `byName["a"].x: there is no such field`,
		`{"byName":{"a":5}}`:                     `byName["a"]: it must be an object`,
		`{"byName":5}`:                           "byName: it must be an object",
		`{"numbers":[1,"x"]}`:                    "numbers[1]: it must be an integer of 32 bits",
		`{"numbers":{}}`:                         "numbers: it must be an array",
		`{"kind":"X"}`:                           "kind: it must be one of KIND_UNSPECIFIED, KIND_FICTION, KIND_FACT",
		`{"kinds":["KIND_FACT","X"]}`:            "kinds[1]: it must be one of KIND_UNSPECIFIED, KIND_FICTION, KIND_FACT",
		`{"text":"a","text":"b"}`:                "text: it is set twice",
		`{"left":"a","right":1}`:                 "right: it excludes left, which is set, too",
		`{"left":null,"right":1,"x":1}`:          "x: there is no such field",
		`{"time":"x"}`:                           "time: it must be a timestamp as in RFC 3339, such as 2006-01-02T15:04:05Z",
		`{"wrapped":"x"}`:                        "wrapped: it must be an integer of 32 bits",
		`{"anything":1}`:                         "anything: it must be an object",
		`{"uint64Value":-1}`:                     "uint64Value: it must be an integer of 64 bits, not negative",
		`{"doubleValue":"x"}`:                    "doubleValue: it must be a number",
		`{"boolValue":1}`:                        "boolValue: it must be true or false",
		`{"bytesValue":"?"}`:                     "bytesValue: it must be a string in base64",
		`{"span":"1h"}`:                          "span: it must be a duration in seconds, such as 1.5s",
		`{"mask":1}`:                             "mask: it must be field paths with commas between them",
		`{"` + strings.Repeat("x", 200) + `":1}`: strings.Repeat("x", 100) + "…: there is no such field",
	} {
		found := Diagnose(protojson.UnmarshalOptions{}, []byte(body), echo, "")
		got := found.Detail
		if len(found.Errors) > 0 {
			got = found.Errors[0].Field + ": " + found.Errors[0].Detail
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if found := Diagnose(protojson.UnmarshalOptions{}, []byte(`{"x":1}`), echo, "book"); found.Errors[0].Field != "book.x" {
		t.Errorf("with a prefix: %+v", found)
	}
	if found := Diagnose(protojson.UnmarshalOptions{}, bytes.Repeat([]byte(" "), maxDiagnosed+1), echo, ""); found.Detail != DoesNotFit {
		t.Errorf("a large body: %+v", found)
	}
	if found := DiagnoseField(protojson.UnmarshalOptions{}, []byte(`["a"] 5`), echo, "names"); found.Detail != MoreThanOne {
		t.Errorf("a field with more behind: %+v", found)
	}
	if found := DiagnoseField(protojson.UnmarshalOptions{}, []byte(`["a",5]`), echo, "names"); len(found.Errors) != 1 || found.Errors[0].Field != "names[1]" {
		t.Errorf("a field: %+v", found)
	}
}

// depthOf counts as a JSON parser does.
func depthOf(data []byte) int {
	dec := json.NewDecoder(bytes.NewReader(data))
	depth, most := 0, 0
	for {
		token, err := dec.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			most = max(most, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{`{"text":"a"}`, `{"several":[{"number":1}],"byName":{"a":{}},"counts":{"a":1}}`, `{"value":[[{}]],"anything":{"a":null}}`, `{"left":"a","right":1}`, `[[[`, `{"time":"2020-01-01T00:00:00Z","kinds":["KIND_FACT",2]}`, `{"a":"\"[{"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if json.Valid(body) {
			if d := depthOf(body); TooDeep(body, d) || d > 0 && !TooDeep(body, d-1) {
				t.Errorf("%q: depth is %d", body, d)
			}
		}
		if TooDeep(body, 64) {
			return
		}
		err := protojson.Unmarshal(body, &testv1.EchoRequest{})
		found := Diagnose(protojson.UnmarshalOptions{}, body, echo, "")
		if found.Detail == "" {
			t.Errorf("%q: nothing said", body)
		}
		if err == nil && len(found.Errors) > 0 {
			t.Errorf("%q is right, but diagnosed as %+v", body, found.Errors)
		}
		if err == nil && (found.Detail == NotJSON || found.Detail == MoreThanOne || found.Detail == NotUTF8 || found.Detail == NotAnObject) {
			t.Errorf("%q is right, but diagnosed as %q", body, found.Detail)
		}
	})
}

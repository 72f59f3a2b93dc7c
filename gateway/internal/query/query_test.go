package query

import (
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

var echo = (&testv1.EchoRequest{}).ProtoReflect().Type()

// say returns what is wrong, one error a line.
func say(s *Schema, raw string) string {
	values, ok := Parse(raw)
	if !ok {
		return "malformed"
	}
	errs := s.Check(values, 5, false)
	if len(errs) == 0 {
		errs = s.Diagnose(values)
	}
	var lines []string
	for _, e := range errs {
		lines = append(lines, e.Field+": "+e.Detail)
	}
	return strings.Join(lines, "\n")
}

func TestParametersAreCheckedAgainstTheFields(t *testing.T) {
	open := NewSchema(echo, nil, false)
	for raw, want := range map[string]string{
		"":                                     "",
		"text=a&int32_value=1":                 "",
		"int32Value=1":                         "",
		"nested.deeper.number=1":               "",
		"names=a&names=b":                      "",
		"counts[a]=1&counts[b]=2":              "",
		"text":                                 "",
		"maybe=":                               "",
		"x=1":                                  "x: there is no such query parameter",
		"b=1&a=1":                              "a: there is no such query parameter\nb: there is no such query parameter",
		"=1":                                   ": there is no such query parameter",
		"nested.=1":                            "nested.: there is no such query parameter",
		"names.x=1":                            "names.x: there is no such query parameter",
		"text.x=1":                             "text.x: there is no such query parameter",
		"text=a&text=b":                        "text: it is set more than once",
		"counts=1":                             "counts: it is a map; write counts[key]=value",
		"text[a]=1":                            "text: it is not a map",
		"counts[a]=1&counts[a]=2":              `counts["a"]: it is set more than once`,
		"counts[a]=x":                          "counts: it must be an integer of 32 bits",
		"nested=1":                             "nested: it must be set field by field, with a dot between the names",
		"several=1":                            "several: it must be set field by field, with a dot between the names",
		"int32_value=x":                        "int32Value: it must be an integer of 32 bits",
		"numbers=1&numbers=x":                  "numbers: it must be an integer of 32 bits",
		"text=%FF":                             "text: it must be a string in valid UTF-8",
		"%FF=1":                                "\uFFFD: there is no such query parameter",
		"counts[a%0Ab]=1":                      `counts["a\nb"]: a key with a line break cannot be set by the query`,
		"left=a&right=1":                       "right: it excludes left, which is set, too",
		"right=1&left=a":                       "right: it excludes left, which is set, too",
		"time.seconds=1":                       "time.seconds: there is no such query parameter",
		"span.nanos=-1":                        "span.nanos: there is no such query parameter",
		"value.number_value=NaN":               "value.number_value: there is no such query parameter",
		"wrapped.value=1":                      "",
		"mask=a.b,c_d":                         "",
		"mask=*":                               "",
		"mask=":                                "",
		"mask.paths=a":                         "",
		"mask=a,,b":                            "mask: it must be field paths with commas between them",
		"mask=a..b":                            "mask: it must be field paths with commas between them",
		"mask=a,":                              "mask: it must be field paths with commas between them",
		"nested.deeper.deeper.deeper.number=1": "",
		"nested.deeper.deeper.deeper.deeper.number=1": "nested.deeper.deeper.deeper.deeper.number: it nests deeper than 5 levels",
		"value=[[[[[]]]]]":                            "",
		"value=[[[[[[]]]]]]":                          "value: it nests deeper than 5 levels",
		"anything={\"a\":[[[[[1]]]]]}":                "anything: it nests deeper than 5 levels",
		"text=[[[[[[[[":                               "",
		"a;b":                                         "malformed",
		"%zz=1":                                       "malformed",
	} {
		if got := say(open, raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	if got := say(open, "int32_value=1&int32Value=2"); got != "int32Value: it is set twice, by different names" {
		t.Errorf("two names: %q", got)
	}
}

func TestWhatPathAndBodySetIsNotTheQuerys(t *testing.T) {
	const said = ": it is set by the path or the body, not by the query"
	bound := NewSchema(echo, []string{"nested.number", "text"}, false)
	for raw, want := range map[string]string{
		"text=a": "text" + said, "nested.number=1": "nested.number" + said, "nested=1": "nested" + said,
		"nested.deeper.number=1": "", "int32_value=1": "",
	} {
		if got := say(bound, raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	if got := say(NewSchema(echo, nil, true), "text=a"); got != "text: it belongs into the body" {
		t.Errorf("the whole message is the body: %q", got)
	}
}

func TestPathParametersAreNamed(t *testing.T) {
	s := NewSchema(echo, nil, false)
	for _, c := range []struct{ field, value, want string }{
		{"int32_value", "x", "int32Value"}, {"nested.number", "x", "nested.number"}, {"text", "\xff", "text"}, {"kind", "X", "kind"}, {"text", "a", ""},
	} {
		errs := s.DiagnosePath(map[string]string{c.field: c.value})
		got := ""
		if len(errs) > 0 {
			got = errs[0].Field
		}
		if got != c.want {
			t.Errorf("%s=%q: %q", c.field, c.value, got)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"text=a", "counts[a]=1", "nested.deeper.number=7&names=a&names=b", "time=2020-01-01T00:00:00Z", "value={}", "text=%ff", "a;b", "counts[a]]=1", "[a]=1", "counts[%0a]=1", "left=a&right=1"} {
		f.Add(raw)
	}
	s := NewSchema(echo, []string{"text", "nested.number"}, false)
	bound := utilities.NewDoubleArray([][]string{{"text"}, {"nested", "number"}})
	f.Fuzz(func(t *testing.T, raw string) {
		values, ok := Parse(raw)
		if !ok {
			return
		}
		if errs := s.Check(values, 5, false); len(errs) > 0 {
			return
		}
		// What passes names a field each, and is set or refused by the handlers.
		for key := range values {
			name, _, _ := splitMapKey(key)
			if fieldpath.Resolve(echo.Descriptor(), name) == nil || strings.HasSuffix(key, "]") && strings.Contains(key, "\n") {
				t.Errorf("%q would be ignored", key)
			}
		}
		err := runtime.PopulateQueryParameters(&testv1.EchoRequest{}, values, bound)
		if err == nil && len(s.Diagnose(values)) > 0 {
			t.Errorf("%q is right, but diagnosed as %v", raw, s.Diagnose(values))
		}
	})
}

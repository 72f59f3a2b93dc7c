package query

import (
	"net/url"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"

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
	_, errs := s.Read(values, 5, false)
	var lines []string
	for _, e := range errs {
		lines = append(lines, e.Field+": "+e.Detail)
	}
	return strings.Join(lines, "\n")
}

func TestWhatAPathCapturedIsPutIntoTheField(t *testing.T) {
	for _, c := range []struct {
		path, text string
		want       *testv1.EchoRequest // nil for none that the field can hold
	}{
		{"text", "a,b", &testv1.EchoRequest{Text: "a,b"}},
		{"text", "", &testv1.EchoRequest{}},
		{"int32_value", "-7", &testv1.EchoRequest{Int32Value: -7}},
		{"int32_value", "7.5", nil},
		{"bool_value", "maybe", nil},
		{"kind", "KIND_FICTION", &testv1.EchoRequest{Kind: testv1.Kind_KIND_FICTION}},
		{"nested.number", "3", &testv1.EchoRequest{Nested: &testv1.Nested{Number: 3}}},
		{"left", "", &testv1.EchoRequest{Choice: &testv1.EchoRequest_Left{}}},
		{"names", "a,b", &testv1.EchoRequest{Names: []string{"a", "b"}}},
		{"numbers", "1,2", &testv1.EchoRequest{Numbers: []int32{1, 2}}},
		{"numbers", "1,x", nil},
	} {
		got := &testv1.EchoRequest{}
		err := Set(got.ProtoReflect(), fieldpath.Resolve(echo.Descriptor(), c.path), c.text)
		if (err != nil) != (c.want == nil) || err == nil && !proto.Equal(got, c.want) {
			t.Errorf("%s=%q: %v, %v; want %v", c.path, c.text, got, err, c.want)
		}
	}
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
		"counts[a]=x":                          `counts["a"]: it must be an integer of 32 bits`,
		"nested=1":                             "nested: it must be set field by field, with a dot between the names",
		"several=1":                            "several: it must be set field by field, with a dot between the names",
		"int32_value=x":                        "int32Value: it must be an integer of 32 bits",
		"numbers=1&numbers=x":                  "numbers: it must be an integer of 32 bits",
		"text=%FF":                             "text: it must be a string in valid UTF-8",
		"%FF=1":                                "\uFFFD: there is no such query parameter",
		"counts[a%0Ab]=1":                      "",
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

func TestEveryKindIsReadAndNothingElse(t *testing.T) {
	for _, c := range []struct{ field, good, bad string }{
		{"bool_value", "true false 1 0", "yes TRUEish 2"},
		{"int32_value", "0 -1 2147483647", "2147483648 1.0 0x10 1_0 abc"},
		{"int64_value", "-9223372036854775808", "9223372036854775808 1e3"},
		{"uint32_value", "4294967295", "-1 4294967296"},
		{"uint64_value", "18446744073709551615", "-1 18446744073709551616"},
		{"double_value", "1 1.5 1e300 -2 NaN Infinity -Infinity", "1e999 0x1p3 inf nan 1_0 abc"},
		{"float_value", "1.5 3e38 NaN", "4e38 x"},
		{"bytes_value", "AQI= AQI -_8 +/8=", "$$ A"},
		{"kind", "KIND_FACT 1 7 -1", "FACT kind_fact 9999999999"},
		{"time", "2020-01-02T03:04:05Z 2020-01-02T03:04:05.123+01:00", "yesterday 2020-01-02 1577934245"},
		{"span", "1s 1.5s -3s", "1m quickly 1"},
		{"wrapped", "5 -1", "x 1.5"},
		{"anything", "{} {\"a\":[1]}", "[] x 5"},
		{"value", "{} [] 5 true \"x\" null", "x"},
		{"kinds", "KIND_FACT 2", "x"},
		{"numbers", "5", "5,6"},
	} {
		s := NewSchema(echo, nil, false)
		for _, v := range strings.Fields(c.good) {
			if _, errs := s.Read(url.Values{c.field: {v}}, 64, false); len(errs) > 0 {
				t.Errorf("%s=%s: %v", c.field, v, errs)
			}
		}
		for _, v := range append(strings.Fields(c.bad), "") {
			if v == "" && c.field == "bytes_value" {
				continue // no bytes
			}
			if _, errs := s.Read(url.Values{c.field: {v}}, 64, false); len(errs) != 1 || !strings.HasPrefix(errs[0].Detail, "it must be ") {
				t.Errorf("%s=%s: %v", c.field, v, errs)
			}
		}
	}
}

// FuzzQuery: what is read is in the message, and a message that the stock
// handlers read too is the same.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"text=a", "counts[a]=1", "nested.deeper.number=7&names=a&names=b", "time=2020-01-01T00:00:00Z", "value={}", "text=%ff", "a;b", "counts[a]]=1", "[a]=1", "counts[%0a]=1", "left=a&right=1", "kind=77", "mask=a,b", "wrapped=5", "bytes_value=-_8", "double_value=1e5", "span=1.5s"} {
		f.Add(raw)
	}
	s := NewSchema(echo, nil, false)
	f.Fuzz(func(t *testing.T, raw string) {
		values, ok := Parse(raw)
		if !ok {
			return
		}
		got, errs := s.Read(values, 5, false)
		if len(errs) > 0 || got == nil {
			return
		}
		for key := range values {
			name, _, _ := splitMapKey(key)
			if fieldpath.Resolve(echo.Descriptor(), name) == nil || strings.HasSuffix(key, "]") && strings.Contains(key, "\n") {
				return // the stock handlers do not know such
			}
		}
		stock := &testv1.EchoRequest{}
		if runtime.PopulateQueryParameters(stock, values, utilities.NewDoubleArray(nil)) == nil && !proto.Equal(got, stock) {
			t.Errorf("%q: %v, stock %v", raw, got, stock)
		}
	})
}

package jsonwire_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonwire"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// inputs is how many bodies TestItReadsWhatProtojsonReads makes:
// `go test ./gateway/internal/jsonwire -run WhatProtojson -inputs 5000000`.
var inputs = flag.Int("inputs", 20_000, "how many bodies to compare")

var roots = []proto.Message{
	&testv1.Kinds{}, &testv1.Scalars{}, &testv1.OptionalScalars{}, &testv1.RepeatedScalars{}, &testv1.Maps{}, &testv1.Choice{},
	&testv1.WellKnown{}, &testv1.EchoRequest{}, &testv1.OldStyle{}, &testv1.Legacy{}, &testv1.HoldsLegacy{}, &testv1.Book{},
	&testv1.CreateBookRequest{}, &anypb.Any{}, &structpb.Value{}, &emptypb.Empty{},
}

// compare reads a body as a request is read. It returns whether it was plain, and
// how it differs from what protojson reads of it, or "".
func compare(reader *jsonwire.Reader, root proto.Message, body []byte) (plain bool, diff string) {
	got := root.ProtoReflect().New().Interface()
	wire, plain := reader.Append([]byte("before"), root.ProtoReflect().Descriptor(), body)
	if !plain {
		if string(wire) != "before" {
			return false, fmt.Sprintf("%T %s: what is left to others leaves %q", root, body, wire)
		}
		return false, ""
	}
	if proto.Unmarshal(wire[len("before"):], got) != nil {
		return false, "" // left to protojson, too
	}
	want := root.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(body, want); err != nil {
		return true, fmt.Sprintf("%T %s: read as %v, where protojson says %v", root, body, got, err)
	}
	if !proto.Equal(got, want) {
		return true, fmt.Sprintf("%T %s:\ngot  %v\nwant %v", root, body, got, want)
	}
	return true, ""
}

func TestItReadsWhatProtojsonReads(t *testing.T) {
	var reader jsonwire.Reader
	w := &bodyWriter{Rand: rand.New(rand.NewPCG(1, uint64(*inputs)))}
	plain := 0
	for i := range *inputs {
		w.odd = i%2 == 0
		root := roots[w.IntN(len(roots))]
		body := []byte(w.message(root.ProtoReflect().Descriptor(), 0))
		if w.odd && w.IntN(4) == 0 {
			body[w.IntN(len(body))] = byte(w.IntN(256))
		}
		was, diff := compare(&reader, root, body)
		if diff != "" {
			t.Fatalf("input %d: %s", i, diff)
		}
		if was {
			plain++
		}
	}
	if plain < *inputs/4 {
		t.Errorf("only %d of %d bodies are read: the test shows little", plain, *inputs)
	}
}

func FuzzJSON(f *testing.F) {
	w := &bodyWriter{Rand: rand.New(rand.NewPCG(3, 4)), odd: true}
	for i := range 60 {
		f.Add(uint(i), []byte(w.message(roots[i%len(roots)].ProtoReflect().Descriptor(), 0)))
	}
	var reader jsonwire.Reader
	f.Fuzz(func(t *testing.T, root uint, body []byte) {
		if _, diff := compare(&reader, roots[root%uint(len(roots))], body); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatIsPlainIsRead(t *testing.T) {
	var reader jsonwire.Reader
	long := strings.Repeat("a", 300)
	for body, root := range map[string]proto.Message{
		`{}`: &testv1.Book{},
		` { "title" : "A b\u00fcch" , "page_count":300 }`:                                                                    nil, // an escape
		`{"title":"Büch","pageCount":300,"authors":[{"fullName":"` + long + `"},{"full_name":"Bob"}],"kind":"KIND_FICTION"}`: &testv1.Book{},
		"{\r\n\t\"title\": \"a\"\r\n}\n":                                                                                     &testv1.Book{},
		`{"kind":1}`:                                                                                                         &testv1.Book{},
		`{"anInt64":"-9007199254740993","aUint64":18446744073709551615,"aDouble":-1.5e-3,"aFloat":0.25,"aBool":true,"someBytes":"_-8"}`: &testv1.Scalars{},
		`{"title":"a","title":"b"}`:      nil, // twice
		`{"pageCount":1,"page_count":1}`: nil,
		`{"title":null}`:                 nil,
		`{"nothing":1}`:                  nil,
		`{"pageCount":1.0}`:              nil,
		`{"pageCount":2147483648}`:       nil,
		`{"title":"a"} {}`:               nil,
		`{"title":"a"`:                   nil,
		`{"title":"a",}`:                 nil,
		`[]`:                             nil,
		``:                               nil,
	} {
		want := root != nil
		if !want {
			root = &testv1.Book{}
		}
		got, diff := compare(&reader, root, []byte(body))
		if got != want || diff != "" {
			t.Errorf("%s: plain %v, want %v; %s", body, got, want, diff)
		}
	}
}

func TestWhatNestsDeepIsLeft(t *testing.T) {
	body := strings.Repeat(`{"nested":`, 100) + `{}` + strings.Repeat(`}`, 100)
	var reader jsonwire.Reader
	if _, plain := reader.Append(nil, (&testv1.Nested{}).ProtoReflect().Descriptor(), []byte(body)); plain {
		t.Error("100 levels were read")
	}
}

// bodyWriter writes bodies: those that callers send, and if they are to be odd, now
// and then what is not plain or wrong.
type bodyWriter struct {
	*rand.Rand
	odd bool
}

// rarely is true once in n times if bodies are to be odd.
func (w *bodyWriter) rarely(n int) bool { return w.odd && w.IntN(n) == 0 }

func (w *bodyWriter) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *bodyWriter) space() string {
	if w.IntN(8) > 0 {
		return ""
	}
	return w.pick(" ", "\n", "\t", "\r", "  ")
}

func (w *bodyWriter) message(md protoreflect.MessageDescriptor, depth int) string {
	if w.rarely(60) {
		return w.pick("null", "[]", `""`, "{", "1")
	}
	var members []string
	fields := md.Fields()
	for _, i := range w.Perm(fields.Len())[:min(fields.Len(), w.IntN(6))] {
		fd := fields.Get(i)
		if !w.odd && (fd.IsMap() || fd.Message() != nil && fd.Message().FullName().Parent() == "google.protobuf" ||
			fd.ContainingOneof() != nil && !fd.HasOptionalKeyword() && w.IntN(3) > 0) || fd.Message() != nil && depth > 5 {
			continue
		}
		name := w.pick(fd.JSONName(), fd.JSONName(), fd.TextName())
		if w.rarely(80) {
			name = w.pick("nothing", "", "[x.y]", `a\u0062`, "@type")
		}
		members = append(members, w.space()+strconv.Quote(name)+w.space()+":"+w.space()+w.field(fd, depth)+w.space())
		if w.rarely(60) {
			members = append(members, members[len(members)-1])
		}
	}
	return "{" + w.space() + strings.Join(members, ",") + "}"
}

func (w *bodyWriter) field(fd protoreflect.FieldDescriptor, depth int) string {
	if w.rarely(30) {
		return w.pick("null", "{}", "[]", `"a"`, "0", "true", "-", "1e", `"`, "[null]", "nul")
	}
	if fd.IsMap() {
		return `{"1":` + w.value(fd.MapValue(), depth) + "}"
	}
	if !fd.IsList() {
		return w.value(fd, depth)
	}
	var elements []string
	for range w.IntN(4) {
		elements = append(elements, w.space()+w.value(fd, depth)+w.space())
	}
	return "[" + strings.Join(elements, ",") + "]"
}

func (w *bodyWriter) value(fd protoreflect.FieldDescriptor, depth int) string {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.message(fd.Message(), depth+1)
	case protoreflect.StringKind:
		if w.rarely(10) {
			return w.pick(`"\n"`, `"\u00e9"`, "\"\xff\"", "\"\x01\"", `"\ud800"`, "\"\u007f\"")
		}
		return `"` + w.pick("", "a", "A book", "é", "\U0001F600", strings.Repeat("long ", 40), "/", "<&>") + `"`
	case protoreflect.BytesKind:
		raw := make([]byte, w.IntN(5))
		for i := range raw {
			raw[i] = byte(w.IntN(256))
		}
		coding := []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding}[w.IntN(4)]
		if w.rarely(10) {
			return `"` + coding.EncodeToString(raw) + w.pick("=", "-", "+_", " ") + `"`
		}
		return `"` + coding.EncodeToString(raw) + `"`
	case protoreflect.BoolKind:
		return w.pick("true", "false")
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		if w.IntN(4) == 0 {
			return w.pick("0", "1", "-1", "77", "2147483647")
		}
		return strconv.Quote(string(values.Get(w.IntN(values.Len())).Name()))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if w.rarely(6) {
			return w.pick(`"NaN"`, `"1.5"`, "1e400", "01", "1.", ".5", "+1", "1e+", "- 1", "0x1")
		}
		return w.pick("0", "-0", "1", "1.5", "-2.25e-3", "1E5", "1e+2", "0.1", "123456789012345678", "3.5e38", "-1e-50")
	default:
		if w.rarely(4) {
			return w.pick("1.0", "1e2", "-0", "01", `" 1"`, `"1 "`, `"1,"`, "9223372036854775808", "-9223372036854775808",
				"18446744073709551616", `""`, "1.5", "- 1", "4294967296", "-2147483649", `"1`, "1x")
		}
		n := w.pick("0", "1", "300", "2147483647", "127", "128")
		if w.IntN(3) == 0 {
			n = w.pick("-1", "-300", "4294967295", "9223372036854775807", "-9223372036854775807", "18446744073709551615", "-2147483648")
		}
		if w.IntN(3) == 0 {
			return `"` + n + `"`
		}
		return n
	}
}

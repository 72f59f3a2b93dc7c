package wirejson_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
)

// inputs is how many messages TestItWritesWhatProtojsonWrites makes:
// `go test ./gateway/internal/wirejson -run WhatProtojson -inputs 5000000`.
var inputs = flag.Int("inputs", 10_000, "how many messages to compare")

var roots = []proto.Message{
	&testv1.Kinds{}, &testv1.Scalars{}, &testv1.OptionalScalars{}, &testv1.RepeatedScalars{}, &testv1.Maps{}, &testv1.Choice{},
	&testv1.WellKnown{}, &testv1.EchoRequest{}, &testv1.OldStyle{}, &testv1.Legacy{}, &testv1.HoldsLegacy{},
	&anypb.Any{}, &structpb.Struct{}, &structpb.Value{}, &structpb.ListValue{}, &testv1.Book{},
}

// pair is an encoder and what protojson calls the same options.
type pair struct {
	ours   *wirejson.Encoder
	theirs protojson.MarshalOptions
}

var pairs = []pair{
	{wirejson.New(wirejson.Options{Defaults: true}), protojson.MarshalOptions{EmitDefaultValues: true}},
	{wirejson.New(wirejson.Options{}), protojson.MarshalOptions{}},
	{wirejson.New(wirejson.Options{Unset: true}), protojson.MarshalOptions{EmitUnpopulated: true}},
	{wirejson.New(wirejson.Options{ProtoNames: true, EnumNumbers: true, Defaults: true}),
		protojson.MarshalOptions{UseProtoNames: true, UseEnumNumbers: true, EmitDefaultValues: true}},
}

// compare returns how the two differ on a message, or "".
func (p pair) compare(root proto.Message, wire []byte) string {
	got, gotErr := p.ours.Append([]byte("before"), root.ProtoReflect().Descriptor(), wire)
	msg := root.ProtoReflect().New().Interface()
	var want []byte
	wantErr := proto.Unmarshal(wire, msg)
	if wantErr == nil {
		want, wantErr = p.theirs.Marshal(msg)
	}
	switch {
	case gotErr != nil && wantErr != nil:
		if string(got) != "before" {
			return fmt.Sprintf("an error leaves %q", got)
		}
		return ""
	case (gotErr != nil) != (wantErr != nil):
		return fmt.Sprintf("%T %x: error %v, want %v\ngot  %s\nwant %s", root, wire, gotErr, wantErr, got, want)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		return fmt.Sprintf("%v in %s", err, want)
	}
	if got = bytes.TrimPrefix(got, []byte("before")); !bytes.Equal(got, compact.Bytes()) {
		return fmt.Sprintf("%T %x:\ngot  %s\nwant %s", root, wire, got, compact.Bytes())
	}
	return ""
}

func TestItWritesWhatProtojsonWrites(t *testing.T) {
	s := &shaper{Rand: rand.New(rand.NewPCG(1, uint64(*inputs)))}
	written := 0
	for i := range *inputs {
		s.broken = i%2 == 0
		root := roots[s.IntN(len(roots))]
		wire := s.message(root.ProtoReflect().Descriptor(), 0)
		p := pairs[s.IntN(len(pairs))]
		if diff := p.compare(root, wire); diff != "" {
			t.Fatalf("input %d: %s", i, diff)
		}
		if _, err := p.ours.Append(nil, root.ProtoReflect().Descriptor(), wire); err == nil {
			written++
		}
	}
	if written < *inputs/2 {
		t.Errorf("only %d of %d inputs have a JSON form: the test shows little", written, *inputs)
	}
}

func FuzzWire(f *testing.F) {
	s := &shaper{Rand: rand.New(rand.NewPCG(3, 4))}
	for i := range 40 {
		f.Add(uint(i), uint(i), s.message(roots[i%len(roots)].ProtoReflect().Descriptor(), 0))
	}
	f.Fuzz(func(t *testing.T, root, p uint, wire []byte) {
		if diff := pairs[p%uint(len(pairs))].compare(roots[root%uint(len(roots))], wire); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAByteIsEscapedWhereverItStands(t *testing.T) {
	enc := wirejson.New(wirejson.Options{})
	for c := range 0x80 {
		for at := range 20 {
			text := []byte("twenty letters a to z")
			text[at] = byte(c)
			msg := wrapperspb.String(string(text))
			want, err := protojson.Marshal(msg)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := enc.AppendMessage(nil, msg); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q: %s, %v; want %s", text, got, err, want)
			}
		}
	}
}

func TestOptionsThatProtojsonDoesNotHave(t *testing.T) {
	msg := &testv1.Scalars{AnInt64: -1 << 60, AUint64: 1 << 63, SomeBytes: []byte{0xfb, 0xff, 1, 2}}
	for _, c := range []struct {
		options wirejson.Options
		want    string
	}{
		{wirejson.Options{}, `{"anInt64":"-1152921504606846976","aUint64":"9223372036854775808","someBytes":"+/8BAg=="}`},
		{wirejson.Options{Int64Numbers: true}, `{"anInt64":-1152921504606846976,"aUint64":9223372036854775808,"someBytes":"+/8BAg=="}`},
		{wirejson.Options{URLBytes: true}, `{"anInt64":"-1152921504606846976","aUint64":"9223372036854775808","someBytes":"-_8BAg"}`},
	} {
		got, err := wirejson.New(c.options).AppendMessage(nil, msg)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.options, got, err, c.want)
		}
	}
}

func TestOneFieldIsWrittenAlone(t *testing.T) {
	full := &testv1.EchoRequest{Text: "a", Names: []string{"x"}, Counts: map[string]int32{"k": 1}, Nested: &testv1.Nested{Number: 1}, Kind: testv1.Kind_KIND_FACT, BytesValue: []byte{1}, Int64Value: 5}
	for field, want := range map[protoreflect.Name][2]string{
		"text": {`"a"`, `""`}, "names": {`["x"]`, `[]`}, "counts": {`{"k":1}`, `{}`}, "nested": {`{"number":1}`, `{}`},
		"kind": {`"KIND_FACT"`, `"KIND_UNSPECIFIED"`}, "bytes_value": {`"AQ=="`, `""`}, "int64_value": {`"5"`, `"0"`},
		"maybe": {`null`, `null`}, "time": {`null`, `null`},
	} {
		fd := full.ProtoReflect().Descriptor().Fields().ByName(field)
		for i, msg := range []*testv1.EchoRequest{full, {}} {
			got, err := wirejson.New(wirejson.Options{}).AppendField(nil, msg, fd)
			if err != nil || string(got) != want[i] {
				t.Errorf("%s: %s, %v; want %s", field, got, err, want[i])
			}
		}
	}
	old := &testv1.Legacy{Must: proto.String("m"), Item: []*testv1.Legacy_Item{{Text: proto.String("t")}}}
	for field, want := range map[protoreflect.Name]string{"must": `"m"`, "item": `[{"text":"t"}]`, "seven": "null"} {
		got, err := wirejson.New(wirejson.Options{}).AppendField(nil, old, old.ProtoReflect().Descriptor().Fields().ByName(field))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", field, got, err, want)
		}
	}
}

func TestAMessageOfUnknownFieldsIsItsOwnWireForm(t *testing.T) {
	wire, err := proto.Marshal(&testv1.Book{Name: "n", Title: "t"})
	if err != nil {
		t.Fatal(err)
	}
	raw := &testv1.Book{}
	raw.ProtoReflect().SetUnknown(wire)
	got, err := wirejson.New(wirejson.Options{}).AppendMessage(nil, raw)
	if err != nil || string(got) != `{"name":"n","title":"t"}` {
		t.Errorf("%s, %v", got, err)
	}
	raw.Kind = testv1.Kind_KIND_FACT // a later field is merged with the others
	if got, err = wirejson.New(wirejson.Options{}).AppendMessage(nil, raw); err != nil || string(got) != `{"name":"n","title":"t","kind":"KIND_FACT"}` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = wirejson.New(wirejson.Options{}).AppendMessage(nil, (*testv1.Book)(nil)); err != nil || string(got) != "{}" {
		t.Errorf("nil: %s, %v", got, err)
	}
}

func TestWhatNestsTooDeepIsRefused(t *testing.T) {
	var wire []byte
	for range 10_001 {
		wire = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), wire)
	}
	if diff := pairs[0].compare(&testv1.Nested{}, wire); diff != "" {
		t.Error(diff[:200])
	}
	if _, err := pairs[0].ours.Append(nil, (&testv1.Nested{}).ProtoReflect().Descriptor(), wire); err == nil {
		t.Error("it is written")
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	book := &testv1.Book{Name: "shelves/1/books/2", Title: "T", Authors: []*testv1.Author{{FullName: "A"}, {FullName: "B"}}, Kind: testv1.Kind_KIND_FACT}
	wire, err := proto.Marshal(book)
	if err != nil {
		t.Fatal(err)
	}
	enc, out := wirejson.New(wirejson.Options{Defaults: true}), make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := enc.Append(out, book.ProtoReflect().Descriptor(), wire); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0.5 && !raceEnabled {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkWire(b *testing.B)      { benchmark(b, true) }
func BenchmarkProtojson(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, ours bool) {
	book := &testv1.Book{Name: "shelves/1/books/2", Title: "A title of some length", Kind: testv1.Kind_KIND_FACT, Labels: map[string]string{"a": "b", "c": "d"}}
	for range 8 {
		book.Authors = append(book.Authors, &testv1.Author{FullName: "Somebody With A Name"})
	}
	wire, err := proto.Marshal(book)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ours {
			_, err = pairs[0].ours.Append(nil, book.ProtoReflect().Descriptor(), wire)
		} else {
			msg := &testv1.Book{}
			if err = proto.Unmarshal(wire, msg); err == nil {
				_, err = pairs[0].theirs.Marshal(msg)
			}
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

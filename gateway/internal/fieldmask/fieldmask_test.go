package fieldmask

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

var note = (&testv1.Note{}).ProtoReflect().Descriptor()

func TestAMaskHoldsTheKeysOfTheBody(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                          "",
		`{"text":"x"}`:                "text",
		`{"text":null,"etag":""}`:     "etag,text",
		`{"author":{"fullName":"a"}}`: "author.full_name",
		`{"author":{"full_name":""}}`: "author.full_name",
		`{"author":{}}`:               "author",
		`{"author": { } }`:            "author",
		`{"author":null}`:             "author",
		`{"labels":{"a":"b","c":""}}`: "labels",
		`{"labels":{}}`:               "labels",
		`{"time":"2020-01-01T00:00:00Z","extra":{"a":{"b":1}}}`: "extra,time",
		`{"name":"n"}`: "name",
	} {
		if got := strings.Join(FromJSON([]byte(body), note), ","); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestPathsAreNormalized(t *testing.T) {
	for path, want := range map[string]string{
		"text": "text", "author.fullName": "author.full_name", "author.full_name": "author.full_name", "*": "*", "author.*": "author.*",
		"labels.some key": "labels.some key", "extra.a.b": "extra.a.b", "time": "time",
	} {
		got, unknown := Normalize([]string{path}, note)
		if unknown != "" || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, %q; want %q", path, got, unknown, want)
		}
	}
	for _, path := range []string{"nonsense", "", "text.more", "author.", "author..full_name", ".text", "author.nonsense"} {
		if got, unknown := Normalize([]string{"text", path}, note); got != nil || unknown != path {
			t.Errorf("%s: %q, %q; want it to be unknown", path, got, unknown)
		}
	}
}

// FuzzFromJSON: each path of a mask is one that Normalize leaves as it is, and
// what is set in the message is in the mask, or below it.
func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(`{"text":"x","author":{"fullName":"a"},"labels":{"a":"b"},"extra":{"x":[]},"time":null}`))
	f.Add([]byte(`{"author":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		msg := &testv1.Note{}
		if protojson.Unmarshal(data, msg) != nil {
			return
		}
		paths := FromJSON(data, note)
		normal, unknown := Normalize(paths, note)
		if unknown != "" || !slices.Equal(paths, normal) && len(paths) > 0 {
			t.Errorf("%s: %q, normalized %q, unknown %q", data, paths, normal, unknown)
		}
		for i := range note.Fields().Len() {
			fd := note.Fields().Get(i)
			if msg.ProtoReflect().Has(fd) && !slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p+".", string(fd.Name())+".") }) {
				t.Errorf("%s sets %s, which is not in %q", data, fd.Name(), paths)
			}
		}
	})
}

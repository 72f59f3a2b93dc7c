package gateway

import (
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

func TestEntityTagsAreTakenApart(t *testing.T) {
	for header, want := range map[string][]string{
		`"a"`: {`"a"`}, `"a", W/"b"`: {`"a"`, `W/"b"`}, `"a,b","c"`: {`"a,b"`, `"c"`}, `*`: {`*`}, ` , ,"a",`: {`"a"`}, ``: nil, `"a`: {`"a`},
	} {
		if got := entityTags([]string{header}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// FuzzEntityTags: a tag that can be told is found again wherever it stands in a
// list, and nothing makes it appear where it is not.
func FuzzEntityTags(f *testing.F) {
	f.Add(`abc`, `"x", W/"y"`)
	f.Add(`a,b`, `"`)
	f.Add(``, `*`)
	f.Fuzz(func(t *testing.T, value, rest string) {
		tag := `"` + value + `"`
		tags := entityTags([]string{rest})
		for _, other := range tags {
			if other == "" || strings.Trim(other, " \t") != other {
				t.Errorf("%q is a tag in %q", other, rest)
			}
		}
		if !isEntityTag(tag) {
			return
		}
		if !anyTag([]string{tag, rest}, tag) || strings.Count(rest, `"`)%2 == 0 && !anyTag([]string{rest, tag}, tag) {
			t.Errorf("%s is not found beside %q", tag, rest)
		}
	})
}

// FuzzEvents: whatever a backend says, the events that a caller reads are those
// that were sent, and no more.
func FuzzEvents(f *testing.F) {
	f.Add("1", "tick", "text")
	f.Add("a\nid: 2", "b\r\ndata: x", "\n\ndata: evil\n\n")
	f.Fuzz(func(t *testing.T, id, event, text string) {
		var out strings.Builder
		frames := newFrames(typeSSE, 1<<40, func(p []byte) error { out.Write(p); return nil })
		frames.id, frames.event = oneLine(id), oneLine(event)
		encoded, err := (&marshaler{}).fields.Marshal(text)
		if err != nil {
			t.Skip()
		}
		_ = frames.message(encoded)
		frames.fail(problem.New(500, 13, text))
		blocks := strings.Split(strings.TrimSuffix(out.String(), "\n\n"), "\n\n")
		if len(blocks) != 2 || strings.Count(out.String(), "data: ") < 2 {
			t.Fatalf("%q are %d events", out.String(), len(blocks))
		}
		for _, block := range blocks {
			for line := range strings.SplitSeq(block, "\n") {
				if !strings.HasPrefix(line, "id: ") && !strings.HasPrefix(line, "event: ") && !strings.HasPrefix(line, "data: ") || strings.ContainsAny(line, "\r\x00") {
					t.Errorf("line %q", line)
				}
			}
		}
	})
}

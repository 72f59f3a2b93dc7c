package gateway_test

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func TestCreatedIsAnsweredWithItsLocation(t *testing.T) {
	d := newDoor(t, nil)
	for body, location := range map[string]string{
		`{"text":"x"}`: "/v1/shelves/1/books/2/notes/7",
		`{"name":"shelves/1/books/ä b:c/notes/%"}`: "/v1/shelves/1/books/%C3%A4%20b%3Ac/notes/%25",
		`{"name":"nonsense"}`:                      "",
		`{"name":"shelves/1/books/../notes/1"}`:    "",
	} {
		a := d.do("POST", "/v1/shelves/1/books/2/notes", body).want(201)
		if got := a.header.Get("Location"); got != location {
			t.Errorf("%s: Location %q, want %q", body, got, location)
		}
		if location != "" {
			note := a.decode()["name"]
			if got := d.do("GET", location, "").want(200).decode()["name"]; got != note {
				t.Errorf("%s leads to %v, not to %v", location, got, note)
			}
		}
	}
}

func TestNoContentIsAnswered204(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("DELETE", "/v1/shelves/1/books/2/notes/7", "").want(204)
	if a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("Content-Length") != "" {
		t.Errorf("%q %v", a.body, a.header)
	}
	// What does not say so answers 200 and {}.
	if a := d.do("DELETE", "/v1/shelves/1/books/2", "", bearer(token(t, "ann", "books.write"))).want(200); a.body != "{}" {
		t.Errorf("%q", a.body)
	}
}

func TestAnEtagFieldIsAnEntityTag(t *testing.T) {
	const note = "/v1/shelves/1/books/2/notes/7"
	d := newDoor(t, nil)
	if got := d.do("GET", note, "").want(200).header.Get("Etag"); got != `"v1"` {
		t.Errorf("ETag %q", got)
	}
	for given, status := range map[string]int{
		`"v1"`: 304, `W/"v1"`: 304, `"a", "v1"`: 304, `*`: 304, `"v2"`: 200, `"v1,"`: 200, `v1`: 200, `"a,b","c"`: 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := d.do(method, note, "", header("If-None-Match", given)).want(status)
			if a.header.Get("Etag") != `"v1"` || status == 304 && (a.body != "" || a.header.Get("Content-Type") != "") {
				t.Errorf("%s: %v %q", given, a.header, a.body)
			}
		}
	}
	if got := d.do("GET", "/v1/books", "").want(200).header.Get("Etag"); got != "" {
		t.Errorf("ETag %q of what has none", got)
	}
	quoted := newDoor(t, func(c *gateway.Config) { c.QuotedETags = true })
	if got := quoted.do("GET", note, "").want(200).header.Get("Etag"); got != "" {
		t.Errorf("ETag %q of a field that is none", got)
	}
}

func TestIfMatchBecomesTheEtagOfTheRequest(t *testing.T) {
	const note = "/v1/shelves/1/books/2/notes/7"
	d := newDoor(t, nil)
	for given, status := range map[string]int{`"v1"`: 200, `"v2"`: 412, `*`: 200, `W/"v1"`: 412, `v1`: 400, `"v1", "v2"`: 400} {
		a := d.do("PATCH", note, `{"text":"x"}`, header("If-Match", given))
		if a.want(status); status == 412 {
			a.wantProblem(412, "ABORTED")
		}
		if given == `"v1"` {
			r, _ := d.books.lastRequest().(*testv1.UpdateNoteRequest)
			if r.GetNote().GetEtag() != "v1" || strings.Join(r.GetUpdateMask().GetPaths(), ",") != "text" {
				t.Errorf("request %v", r)
			}
		}
	}
	d.do("DELETE", note, "", header("If-Match", `"v2"`)).wantProblem(412, "ABORTED")
	d.do("DELETE", note, "", header("If-Match", `"v1"`)).want(204)
	if r, _ := d.books.lastRequest().(*testv1.DeleteNoteRequest); r.GetEtag() != "v1" {
		t.Errorf("request %v", r)
	}
	// Another state in the body is a contradiction; without the header it holds.
	d.do("PATCH", note, `{"text":"x","etag":"v1"}`, header("If-Match", `"v2"`)).wantField("note.etag")
	d.do("PATCH", note, `{"text":"x","etag":"v2"}`).wantProblem(409, "ABORTED")
	// What cannot keep the promise refuses it.
	d.do("POST", "/v1/shelves/1/books/2:rate", `{"stars":3}`, header("If-Match", `"v1"`)).wantProblem(400, "INVALID_ARGUMENT")
}

// TestWhatNobodyKeepsIsNotPromised: to ignore one of these would overwrite what a
// caller meant to keep.
func TestWhatNobodyKeepsIsNotPromised(t *testing.T) {
	const note, file = "/v1/shelves/1/books/2/notes/7", "/v1/files/a"
	d := newDoor(t, nil)
	text := header("Content-Type", "text/plain")
	for _, c := range []struct {
		method, target, body, name, value string
	}{
		{"PUT", file, "new", "If-None-Match", "*"},
		{"POST", file, "new", "If-None-Match", `"v1"`},
		{"PATCH", note, `{"text":"x"}`, "If-None-Match", "*"},
		{"DELETE", note, "", "If-None-Match", `"v1"`},
		{"PUT", file, "ne", "Content-Range", "bytes 0-1/3"},
		{"PATCH", note, `{"text":"x"}`, "Content-Range", "bytes 0-1/3"},
	} {
		changes := []with{header(c.name, c.value)}
		if c.target == file {
			changes = append(changes, text)
		}
		p := d.do(c.method, c.target, c.body, changes...).wantProblem(400, "INVALID_ARGUMENT")
		if !strings.Contains(p.Detail, c.name) {
			t.Errorf("%s %s with %s: %s", c.method, c.target, c.name, p.Detail)
		}
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
	d.do("PUT", file, "new", text).want(200)
	d.do("GET", "/v1/books", "", header("If-None-Match", `"v1"`)).want(200) // has no tag
}

func TestQuotedTagsKeepTheirQuotes(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.QuotedETags = true })
	d.do("PATCH", "/v1/shelves/1/books/2/notes/7", `{"text":"x"}`, header("If-Match", `"v1"`)).want(412)
	if r, _ := d.books.lastRequest().(*testv1.UpdateNoteRequest); r.GetNote().GetEtag() != `"v1"` {
		t.Errorf("request %v", r)
	}
	a := d.do("PATCH", "/v1/shelves/1/books/2/notes/7", `{"text":"x"}`).want(200)
	if got := a.header.Get("Etag"); got != "" {
		t.Errorf("ETag %q", got)
	}
}

func TestAPatchMaskHoldsWhatChanges(t *testing.T) {
	const note = "/v1/shelves/1/books/2/notes/7"
	d := newDoor(t, nil)
	for body, want := range map[string]string{
		`{"text":"x","author":{"fullName":"a"},"labels":{"a":"b"}}`:  "author.full_name,labels,text",
		`{"name":"shelves/9/books/9/notes/9","etag":"v1","text":""}`: "text",
		`{"extra":{"a":{"@type":"b"}},"time":null,"author":{}}`:      "author,extra,time",
		``: "",
	} {
		d.do("PATCH", note, body).want(200)
		r, _ := d.books.lastRequest().(*testv1.UpdateNoteRequest)
		if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != want || r.GetNote().GetName() != "shelves/1/books/2/notes/7" {
			t.Errorf("%s: mask %q, want %q; name %q", body, got, want, r.GetNote().GetName())
		}
	}
	for mask, want := range map[string]string{"text,author.fullName": "text,author.full_name", "*": "*", "labels.a": "labels.a"} {
		d.do("PATCH", note+"?updateMask="+mask, `{"text":"x"}`).want(200)
		r, _ := d.books.lastRequest().(*testv1.UpdateNoteRequest)
		if got := strings.Join(r.GetUpdateMask().GetPaths(), ","); got != want {
			t.Errorf("%s: mask %q, want %q", mask, got, want)
		}
	}
	d.do("PATCH", note+"?update_mask=nonsense", `{"text":"x"}`).wantField("updateMask")
	d.do("PATCH", note, `{"text":5}`).wantField("note.text")
	d.do("PATCH", note, `{"nonsense":5}`).wantField("note.nonsense")
	d.do("PATCH", note, `[]`).wantProblem(400, "INVALID_ARGUMENT")
}

func TestMediaGoesBothWaysAsItIs(t *testing.T) {
	d := newDoor(t, nil)
	const data = "\x00\xff{not json"
	a := d.do("PUT", "/v1/files/a/b?writer=ann", data, header("Content-Type", "image/png")).want(200)
	if a.body != data || a.header.Get("Content-Type") != "image/png" {
		t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
	}
	if r, _ := d.books.lastRequest().(*testv1.WriteFileRequest); r.GetPath() != "a/b" || r.GetWriter() != "ann" || string(r.GetFile().GetData()) != data {
		t.Errorf("request %v", r)
	}
	a = d.do("POST", "/v1/reflect", data, header("Content-Type", "text/x-odd; charset=utf-8")).want(200)
	if a.body != data || a.header.Get("Content-Type") != "text/x-odd; charset=utf-8" {
		t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
	}
	a = d.do("POST", "/v1/reflect", data, header("Content-Type", "none")).want(200)
	if a.body != data || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q as %q", a.body, a.header.Get("Content-Type"))
	}
	// Of a field of it, the answer is JSON.
	if a = d.do("POST", "/v1/files/a", "abc", header("Content-Type", "text/plain")).want(200); a.body != `"YWJj"` {
		t.Errorf("%q", a.body)
	}
	small := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes = 10 })
	small.do("POST", "/v1/reflect", strings.Repeat("x", 11), header("Content-Type", "text/plain")).wantProblem(413, "INVALID_ARGUMENT")
}

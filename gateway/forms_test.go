package gateway_test

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func TestEachFormOfJSONHasAnOption(t *testing.T) {
	const ask = "/v1/echo?int64_value=5&kind=1&bytes_value=%2B%2F8%3D&nested.number=1&maybe=x"
	for name, c := range map[string]struct {
		form gateway.JSON
		has  []string
		not  []string
	}{
		"default": {gateway.JSON{},
			[]string{`"int64Value":"5"`, `"kind":"KIND_FICTION"`, `"bytesValue":"+/8="`, `"text":""`, `"names":[]`, `"counts":{}`, `"uint64Value":"0"`},
			[]string{`"time"`, `null`, `int64_value`}},
		"ProtoNames":   {gateway.JSON{ProtoNames: true}, []string{`"int64_value":"5"`, `"bytes_value"`}, []string{`int64Value`}},
		"EnumNumbers":  {gateway.JSON{EnumNumbers: true}, []string{`"kind":1`}, []string{"KIND_"}},
		"Int64Numbers": {gateway.JSON{Int64Numbers: true}, []string{`"int64Value":5`, `"uint64Value":0`}, nil},
		"URLBytes":     {gateway.JSON{URLBytes: true}, []string{`"bytesValue":"-_8"`}, nil},
		"OmitDefaults": {gateway.JSON{OmitDefaults: true}, []string{`"int64Value":"5"`, `"maybe":"x"`}, []string{`"text"`, `"names"`, `null`}},
		"NullUnset":    {gateway.JSON{NullUnset: true}, []string{`"time":null`, `"anything":null`, `"names":[]`}, []string{`"left"`}},
	} {
		d := newDoor(t, func(c2 *gateway.Config) { c2.JSON = c.form })
		body := d.do("GET", ask, "").want(200).body
		for _, part := range c.has {
			if !strings.Contains(body, part) {
				t.Errorf("%s: no %s in %s", name, part, body)
			}
		}
		for _, part := range c.not {
			if strings.Contains(body, part) {
				t.Errorf("%s: %s in %s", name, part, body)
			}
		}
	}
	if _, err := gateway.New(gateway.Config{JSON: gateway.JSON{NullUnset: true, OmitDefaults: true}}); err == nil || !strings.Contains(err.Error(), "Config.JSON.NullUnset") {
		t.Errorf("NullUnset with OmitDefaults: %v", err)
	}
}

func TestRequestsMayTakeAnyForm(t *testing.T) {
	d := newDoor(t, nil)
	for _, body := range []string{
		`{"int64Value":"5","kind":"KIND_FACT","bytesValue":"+/8=","int32Value":7}`,
		`{"int64_value":5,"kind":2,"bytes_value":"-_8","int32_value":"7"}`,
		`{"int64Value":5.0,"kind":2,"bytesValue":"-_8=","int32Value":7e0}`,
	} {
		d.do("POST", "/v1/echo", body).want(200)
		r, _ := d.books.lastRequest().(*testv1.EchoRequest)
		if r.GetInt64Value() != 5 || r.GetKind() != testv1.Kind_KIND_FACT || string(r.GetBytesValue()) != "\xfb\xff" || r.GetInt32Value() != 7 {
			t.Errorf("%s: %v", body, r)
		}
	}
	for _, query := range []string{"int64Value=5&nested.deeper.number=2", "int64_value=5&nested.deeper.number=2"} {
		d.do("GET", "/v1/echo?"+query, "").want(200)
		if r, _ := d.books.lastRequest().(*testv1.EchoRequest); r.GetInt64Value() != 5 || r.GetNested().GetDeeper().GetNumber() != 2 {
			t.Errorf("%s: %v", query, r)
		}
	}
}

func TestWhatIsUnknownCanBeIgnored(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Lenient = gateway.Lenient{BodyFields: true, QueryParameters: true} })
	ann := bearer(token(t, "ann"))
	d.do("GET", "/v1/books?nonsense=1&page_size=3", "").want(200)
	d.do("GET", "/v1/books?nonsense=1&page_size=x", "").wantField("pageSize")
	d.do("POST", "/v1/echo", `{"nonsense":1,"text":"a","kind":"KIND_NONSENSE","nested":{"what":[]}}`).want(200)
	d.do("POST", "/v1/echo", `{"nonsense":1,"int32Value":"x"}`).wantField("int32Value")
	d.do("POST", "/v1/echo", `{"text":"a"} x`).wantProblem(400, "INVALID_ARGUMENT")
	d.do("PATCH", "/v1/shelves/1/books/2", `{"nonsense":{"a":1},"title":"x"}`, ann).want(200)
	if r, _ := d.books.lastRequest().(*testv1.UpdateBookRequest); strings.Join(r.GetUpdateMask().GetPaths(), ",") != "title" || r.GetBook().GetTitle() != "x" {
		t.Errorf("request %v", r)
	}
}

func TestAltChoosesTheForm(t *testing.T) {
	d := newDoor(t, nil)
	for _, c := range []struct{ target, contentType, has string }{
		{"/v1/echo?kind=1&alt=json", "application/json", `"KIND_FICTION"`},
		{"/v1/echo?kind=1&$alt=json", "application/json", `"KIND_FICTION"`},
		{"/v1/echo?kind=1&$alt=json;enum-encoding=int", "application/json", `"kind":1`},
		{"/v1/echo?kind=1&%24alt=json%3Benum-encoding%3Dint", "application/json", `"kind":1`},
		{"/v1/books:watch?count=1&alt=json", "application/json", `[{"book":`},
		{"/v1/books:watch?count=1&alt=sse", "text/event-stream", "data: {"},
		{"/v1/books:watch?count=1&alt=ndjson", "application/x-ndjson", `{"result":`},
		{"/v1/files/a?alt=media", "text/plain", "file a"},
	} {
		// The parameter goes before Accept.
		a := d.do("GET", c.target, "", header("Accept", "text/html")).want(200)
		if a.header.Get("Content-Type") != c.contentType || !strings.Contains(a.body, c.has) {
			t.Errorf("%s: %q %s", c.target, a.header.Get("Content-Type"), a.body)
		}
	}
	for target, field := range map[string]string{
		"/v1/echo?alt=proto": "alt", "/v1/echo?alt=": "alt", "/v1/echo?alt=json&alt=json": "alt", "/v1/echo?alt=json&$alt=json": "$alt",
		"/v1/echo?alt=sse": "alt", "/v1/echo?$alt=media": "$alt", "/v1/files/a?alt=json": "alt", "/v1/echo?alt=json%3Bx=y": "alt",
		"/v1/echo?alt=json;x=y": "alt",
	} {
		d.do("GET", target, "").wantField(field)
	}
}

package openapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

var update = flag.Bool("update", false, "write the golden file")

var config = Config{
	Title: "Library", Version: "1.0.0", Servers: []string{"/"},
	Security: Security{Bearer: true, APIKey: true}, Overload: []string{"evenkeel.test.v1.LibraryService"},
}

func service(name string) protoreflect.ServiceDescriptor {
	return testv1.File_evenkeel_test_v1_library_proto.Services().ByName(protoreflect.Name(name))
}

func library(t *testing.T) *Document {
	t.Helper()
	doc, err := New(config, service("LibraryService"))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheDocumentIsTheGoldenOne(t *testing.T) {
	const golden = "testdata/library.json"
	got := library(t).JSON()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document is not that of %s; look at the difference after go test -update", golden)
	}
}

func TestTheSameDescriptorsMakeTheSameBytes(t *testing.T) {
	first := library(t).JSON()
	for range 5 {
		if !bytes.Equal(first, library(t).JSON()) {
			t.Fatal("it came out otherwise")
		}
	}
}

func TestEveryReferenceResolves(t *testing.T) {
	doc := library(t).JSON()
	var parsed any
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	seen := 0
	walk(parsed, func(m map[string]any) {
		ref, ok := m["$ref"].(string)
		if !ok {
			return
		}
		seen++
		at := parsed
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			object, _ := at.(map[string]any)
			at = object[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	if seen == 0 {
		t.Error("there is no reference at all")
	}
}

func walk(v any, visit func(map[string]any)) {
	switch x := v.(type) {
	case map[string]any:
		visit(x)
		for _, inner := range x {
			walk(inner, visit)
		}
	case []any:
		for _, inner := range x {
			walk(inner, visit)
		}
	}
}

func TestOperationsAreNamedOnce(t *testing.T) {
	ids := map[string]bool{}
	for path, item := range library(t).root.Paths {
		for method, op := range item.operations() {
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	bindings := 0
	methods := service("LibraryService").Methods()
	for i := range methods.Len() {
		bindings += countBindings(methods.Get(i))
	}
	if len(ids) != bindings {
		t.Errorf("%d operations of %d bindings", len(ids), bindings)
	}
}

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

func TestPathParametersAreDeclaredAndPathsDiffer(t *testing.T) {
	shapes := map[string]string{}
	for path, item := range library(t).root.Paths {
		shape := placeholder.ReplaceAllString(path, "{}")
		if other := shapes[shape]; other != "" && !strings.Contains(path+other, "_rest") {
			t.Errorf("%s and %s are the same path", path, other)
		}
		shapes[shape] = path
		for method, op := range item.operations() {
			var named, declared []string
			for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
				named = append(named, m[1])
			}
			seen := map[string]bool{}
			for _, p := range op.Parameters {
				if p.In == "path" {
					declared = append(declared, p.Name)
					if !p.Required {
						t.Errorf("%s %s: %s is not required", method, path, p.Name)
					}
				}
				if id := p.In + " " + p.Name + p.Ref; seen[id] {
					t.Errorf("%s %s: %s is there twice", method, path, id)
				} else {
					seen[id] = true
				}
			}
			slices.Sort(named)
			slices.Sort(declared)
			if !slices.Equal(named, declared) {
				t.Errorf("%s %s: declared %v", method, path, declared)
			}
		}
	}
}

func TestWhatIsAnsweredIsWhatTheOptionsSay(t *testing.T) {
	paths := library(t).root.Paths
	for _, c := range []struct{ method, path, statuses string }{
		{"GET", "/v1/shelves/{shelves}/books/{books}", "200 400 401 403 404 406 413 414 503 504 default"},
		{"POST", "/v1/shelves/{shelves}/books/{books}/notes", "201 400 401 403 404 406 408 412 413 414 415 503 504 default"},
		{"DELETE", "/v1/shelves/{shelves}/books/{books}/notes/{notes}", "204 400 401 404 406 412 413 414 503 504 default"},
		{"GET", "/v1/scarce", "200 400 401 406 413 414 429 503 504 default"},
		{"POST", "/v1/reflect", "200 400 401 403 408 413 414 503 504 default"},
	} {
		item := paths[c.path]
		if item == nil {
			t.Errorf("there is no %s; there are %v", c.path, slices.Sorted(maps.Keys(paths)))
			continue
		}
		op := item.operations()[c.method]
		if got := strings.Join(slices.Sorted(maps.Keys(op.Responses)), " "); got != c.statuses {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.statuses)
		}
	}
	get := paths["/v1/shelves/{shelves}/books/{books}"].Get
	if got := fmt.Sprint(get.Security); got != "[map[bearer:[books.read]] map[apiKey:[books.read]]]" {
		t.Error(got)
	}
	if got := paths["/v1/scarce"].Get.Rates; len(got) != 1 || got[0] != (rate{Name: "scarce", Requests: 2, Period: "1h0m0s", Burst: 2, Key: "caller", PerMethod: true}) {
		t.Error(got)
	}
	if lock := paths["/v1/shelves/{shelves}/books/{books}"].Additional["LOCK"]; lock == nil || len(lock.Security) != 0 || lock.Security == nil {
		t.Errorf("LOCK: %+v", lock)
	}
}

func TestWhatCannotBeDescribedIsRefused(t *testing.T) {
	for _, c := range []struct {
		config   Config
		services []protoreflect.ServiceDescriptor
		want     string
	}{
		{Config{Version: "1"}, nil, "Config.Title"},
		{Config{Title: "A"}, nil, "Config.Version"},
		{Config{Title: "A", Version: "1", Servers: []string{"javascript:alert(1)"}}, nil, "Config.Servers[0]"},
		{Config{Title: "A", Version: "1"}, []protoreflect.ServiceDescriptor{nil}, "nil"},
		{Config{Title: "A", Version: "1"}, []protoreflect.ServiceDescriptor{service("LibraryService")}, "method GetBook: is not public"},
		{config, []protoreflect.ServiceDescriptor{service("OpenService")}, "method Forgotten"},
		{config, []protoreflect.ServiceDescriptor{service("AnswerService")}, "method NoField"},
		{config, []protoreflect.ServiceDescriptor{service("LibraryService"), service("RivalService")}, "is the same operation"},
	} {
		if _, err := New(c.config, c.services...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestAccessCanBeGivenBesideTheProtos(t *testing.T) {
	c := config
	c.Access = map[string]*gatewayv1.Access{"evenkeel.test.v1.LibraryService/GetBook": {Rule: &gatewayv1.Access_Public{Public: true}}}
	if _, err := New(c, service("LibraryService")); err == nil {
		t.Error("what the proto says was overruled")
	}
	open := map[string]*gatewayv1.Access{}
	for _, name := range []string{"Forgotten", "AlsoForgotten"} {
		open["evenkeel.test.v1.OpenService/"+name] = &gatewayv1.Access{Rule: &gatewayv1.Access_Authenticated{Authenticated: true}}
	}
	c.Access = open
	if _, err := New(c, service("OpenService")); err == nil || !strings.Contains(err.Error(), "Undecided") {
		t.Errorf("%v: only Undecided should be left", err)
	}
}

func TestCommentsBecomeDescriptionsWhereThereAreAny(t *testing.T) {
	file := protodesc.ToFileDescriptorProto(testv1.File_evenkeel_test_v1_library_proto)
	comment := func(text string, path ...int32) *descriptorpb.SourceCodeInfo_Location {
		return &descriptorpb.SourceCodeInfo_Location{Path: path, Span: []int32{0, 0, 1}, LeadingComments: proto.String(text)}
	}
	file.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{
		comment(" Gets a book.\n buf:lint:ignore ANYTHING\n", 6, 0, 2, 0),
		comment(" The name.\n", 4, 2, 2, 0),
	}}
	descriptor, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := New(config, descriptor.Services().ByName("LibraryService"))
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.root.Paths["/v1/shelves/{shelves}/books/{books}"].Get.Description; got != "Gets a book." {
		t.Errorf("%q", got)
	}
	if bytes.Contains(library(t).JSON(), []byte("Gets a book")) {
		t.Error("a description where the descriptor has none")
	}
}

func TestNothingInTheDocumentIsMarkupToThePage(t *testing.T) {
	c := config
	const evil = `</script><img src=x onerror=alert(1)>`
	c.Title, c.Description = evil, evil
	doc, err := New(c, service("LibraryService"))
	if err != nil {
		t.Fatal(err)
	}
	h := doc.Handler()
	for path, contentType := range map[string]string{
		"/openapi.json": "application/json", "/openapi/": "text/html; charset=utf-8",
		"/openapi/app.js": "text/javascript; charset=utf-8", "/openapi/app.css": "text/css; charset=utf-8",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		body := w.Body.String()
		if w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Security-Policy") != contentPolicy {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if strings.Contains(body, "<img") || strings.Contains(body, "onerror=") && path != "/openapi.json" {
			t.Errorf("%s: the title is in it as markup", path)
		}
		// Whatever makes markup or code of text would let it in.
		for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc", "javascript:", "http://", "https://", "<style", " style=", " onclick="} {
			if path != "/openapi.json" && strings.Contains(body, way) {
				t.Errorf("%s: has %s", path, way)
			}
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: has an inline script", path)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/openapi.json", nil))
	if w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestWhatJSONReturnsCanBeChanged(t *testing.T) {
	doc := library(t)
	doc.JSON()[0] = 'x'
	if doc.JSON()[0] != '{' {
		t.Error("the document changed")
	}
}

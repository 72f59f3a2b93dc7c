package openapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"

	hellov1 "github.com/evenkeel/evenkeel/examples/embed/proto/hello/v1"
	"github.com/evenkeel/evenkeel/gateway/openapi"
)

// A document, and the page to read it, are made of descriptors alone.
func Example() {
	doc, err := openapi.New(
		openapi.Config{Title: "Hello", Version: "1.0.0"},
		hellov1.File_hello_v1_hello_proto.Services().ByName("HelloService"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	var told struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal(doc.JSON(), &told); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(told.OpenAPI, slices.Sorted(maps.Keys(told.Paths)))

	mux := http.NewServeMux()
	mux.Handle("/openapi.json", doc.Handler())
	mux.Handle("/openapi/", doc.Handler())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/openapi/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output:
	// 3.1.1 [/v1/hello/{name}]
	// 200 text/html; charset=utf-8
}

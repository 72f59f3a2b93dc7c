package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

func Example() {
	spans := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer func() { _ = traces.Shutdown(context.Background()) }()
	t, err := telemetry.New(telemetry.Config{TracerProvider: traces})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = t.Close() }()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
	t.Middleware(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/items/7", nil))

	fmt.Println(spans.GetSpans()[0].Name)
	// Output: GET /items/{id}
}

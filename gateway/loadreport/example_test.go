package loadreport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway/loadreport"
)

func Example() {
	workers := make(chan struct{}, 8)
	reporter, err := loadreport.New(loadreport.Config{
		Window:      100 * time.Millisecond,
		Utilization: func() float64 { return float64(1+len(workers)) / float64(cap(workers)) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = reporter.Close() }()
	handler := reporter.Middleware(http.NotFoundHandler())

	// The first report is there when a tenth of the window has passed.
	for range 500 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if report := w.Header().Get("Endpoint-Load-Metrics"); strings.Contains(report, "application_utilization=0.125") {
			fmt.Println("reported")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Output: reported
}

package ratelimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

func Example() {
	limiter, err := ratelimit.New(ratelimit.Config{
		Policies: []ratelimit.Policy{{
			Name: "caller",
			Rate: ratelimit.Rate{Requests: 2, Period: time.Minute},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Printf("%d %s Retry-After: %q\n", w.Code, w.Header().Get("RateLimit"), w.Header().Get("Retry-After"))
	}
	// Output:
	// 200 "caller";r=1;t=30 Retry-After: ""
	// 200 "caller";r=0;t=60 Retry-After: ""
	// 429 "caller";r=0;t=60 Retry-After: "30"
}

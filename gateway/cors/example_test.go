package cors_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/evenkeel/evenkeel/gateway/cors"
)

func Example() {
	policy, err := cors.New(cors.Config{Origins: []string{"https://app.example.com"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := policy.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Origin", "https://app.example.com")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Header().Get("Access-Control-Allow-Origin"))

	_, err = cors.New(cors.Config{Origins: []string{"*"}, Credentials: true})
	fmt.Println(err)
	// Output:
	// https://app.example.com
	// cors: Config.Origins[0]: with Credentials every page in the world could act for whoever looks at it; name the origins
}

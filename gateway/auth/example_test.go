package auth_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// Any [http.Handler] can be told who calls, without a gateway.
func Example() {
	key, hash := auth.GenerateAPIKey()
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{
		{SHA256: hash, Subject: "robot", Scopes: []string{"books.read"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	known, err := auth.NewMiddleware(auth.MiddlewareConfig{
		Authenticators: []auth.Authenticator{keys}, // and tokens, and certificates
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := known(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "%s by %s, %v", caller.Subject, caller.Method, caller.Scopes)
	}))
	for _, given := range []string{key, "guessed", ""} {
		r := httptest.NewRequest("GET", "/", nil)
		if given != "" {
			r.Header.Set(auth.APIKeyHeader, given)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"), strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200  robot by api_key, [books.read]
	// 401 ApiKey realm="evenkeel", header="X-API-Key" {"type":"about:blank","title":"Unauthorized","status":401,"detail":"the API key is not valid","code":"UNAUTHENTICATED"}
	// 401 ApiKey realm="evenkeel", header="X-API-Key" {"type":"about:blank","title":"Unauthorized","status":401,"detail":"credentials are needed","code":"UNAUTHENTICATED"}
}

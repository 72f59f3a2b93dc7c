package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// Authenticators find out who calls any [http.Handler], without a gateway.
func Example() {
	key, hash := auth.GenerateAPIKey()
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{
		{SHA256: hash, Subject: "robot", Scopes: []string{"books.read"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := auth.Authenticate(r.Context(), r, []auth.Authenticator{keys})
		if err != nil || caller == nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "%s by %s, %v", caller.Subject, caller.Method, caller.Scopes)
	})
	for _, given := range []string{key, "guessed", ""} {
		r := httptest.NewRequest("GET", "/", nil)
		if given != "" {
			r.Header.Set(auth.APIKeyHeader, given)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 robot by api_key, [books.read]
	// 401 who are you?
	// 401 who are you?
}

package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// judge answers the same whatever it is asked.
type judge struct {
	principal *auth.Principal
	err       error
}

func (j judge) Authenticate(context.Context, *http.Request) (*auth.Principal, error) {
	return j.principal, j.err
}

func (judge) Challenge() string { return "Bearer" }

func TestMiddlewareLetsInWhoIsKnown(t *testing.T) {
	ann := &auth.Principal{Subject: "ann"}
	for name, c := range map[string]struct {
		judge     judge
		optional  bool
		status    int
		challenge string
		log       string
	}{
		"known":                     {judge: judge{principal: ann}, status: 200},
		"nobody":                    {status: 401, challenge: `Bearer realm="books"`},
		"nobody, and needs not be":  {optional: true, status: 200},
		"not who it says":           {judge: judge{err: &auth.Error{Code: auth.CodeInvalidCredentials, Description: "the token has expired"}}, status: 401, challenge: `Bearer realm="books", error="invalid_token", error_description="the token has expired"`, log: "level=INFO"},
		"the same, and needs not":   {judge: judge{err: &auth.Error{Code: auth.CodeInvalidCredentials, Description: "no"}}, optional: true, status: 401, challenge: `Bearer realm="books", error="invalid_token", error_description="no"`, log: "level=INFO"},
		"two at once":               {judge: judge{err: auth.ErrAmbiguous}, status: 400, log: "level=INFO"},
		"the issuer is away":        {judge: judge{err: &auth.Error{Code: auth.CodeUnavailable, Description: "later"}}, status: 503, log: "level=INFO"},
		"what judges them is broke": {judge: judge{err: errors.New("secret.go:7")}, status: 503, log: "level=ERROR"},
	} {
		var logs strings.Builder
		known, err := auth.NewMiddleware(auth.MiddlewareConfig{
			Authenticators: []auth.Authenticator{c.judge}, Realm: "books", Optional: c.optional,
			Logger: slog.New(slog.NewTextHandler(&logs, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		called := false
		h := known(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			if p, _ := auth.FromContext(r.Context()); p != c.judge.principal {
				t.Errorf("%s: the handler is told %v", name, p)
			}
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || called != (c.status == 200) || w.Header().Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d %v, called: %v", name, w.Code, w.Header(), called)
		}
		if strings.Contains(w.Body.String(), "secret") || !strings.Contains(logs.String(), c.log) || c.log == "" && logs.Len() > 0 {
			t.Errorf("%s: told %s, logged %s", name, w.Body, logs.String())
		}
	}
}

func TestAMiddlewareThatNobodyGetsThroughIsRefused(t *testing.T) {
	for field, config := range map[string]auth.MiddlewareConfig{
		"Authenticators:":    {},
		"Authenticators[0]:": {Authenticators: []auth.Authenticator{nil}},
		"Realm:":             {Authenticators: []auth.Authenticator{judge{}}, Realm: `a"b`},
	} {
		if _, err := auth.NewMiddleware(config); err == nil || !strings.Contains(err.Error(), "MiddlewareConfig."+field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

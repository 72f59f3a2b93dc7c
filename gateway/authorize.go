package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// authenticate finds out who calls. Credentials that do not hold are refused
// for a public method, too: who sent them is not who they think they are.
func (x *exchange) authenticate() *problem.Problem {
	var err error
	x.principal, err = auth.Authenticate(x.request.Context(), x.request, x.gateway.config.Authenticators)
	if err == nil {
		return nil
	}
	var known *auth.Error
	if !errors.As(err, &known) {
		x.gateway.config.Logger.LogAttrs(context.Background(), slog.LevelError, "gateway: an authenticator failed",
			slog.String("request_id", x.id), slog.String("error", shorten(err.Error())))
		return problem.New(http.StatusServiceUnavailable, codes.Unavailable, "credentials cannot be judged at the moment")
	}
	x.reason = known.Error()
	switch known.Code {
	case auth.CodeInvalidRequest:
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, known.Description)
	case auth.CodeUnavailable:
		return problem.New(http.StatusServiceUnavailable, codes.Unavailable, known.Description)
	default:
		x.challenge(fmt.Sprintf(`, error="invalid_token", error_description="%s"`, quotable(known.Description)))
		return problem.New(http.StatusUnauthorized, codes.Unauthenticated, known.Description)
	}
}

// authorize lets the caller through or not, by the method that was resolved.
func (x *exchange) authorize() *problem.Problem {
	switch x.binding.rule.Decide(x.principal) {
	case access.Allowed:
		return nil
	case access.Unauthenticated:
		x.challenge("")
		return problem.New(http.StatusUnauthorized, codes.Unauthenticated, "the method needs credentials")
	default:
		scopes := strings.Join(x.binding.rule.Scopes(), " ")
		if x.principal.Method == auth.MethodJWT {
			x.challenge(fmt.Sprintf(`, error="insufficient_scope", scope="%s"`, scopes))
		}
		return problem.New(http.StatusForbidden, codes.PermissionDenied, "the method needs the scopes: "+scopes)
	}
}

// challenge says which credentials are taken (RFC 9110, section 11.6.1). The
// error is one of bearer tokens (RFC 6750, section 3) and said of those only.
func (x *exchange) challenge(bearerError string) {
	h := x.writer.Header()
	for _, a := range x.gateway.config.Authenticators {
		scheme, params, _ := strings.Cut(a.Challenge(), " ")
		value := fmt.Sprintf(`%s realm="%s"`, scheme, x.gateway.config.Realm)
		if params != "" {
			value += ", " + params
		}
		if scheme == "Bearer" && len(x.request.Header["Authorization"]) > 0 {
			value += bearerError
		}
		h.Add("WWW-Authenticate", value)
	}
}

// quotable leaves out what would end a quoted string.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

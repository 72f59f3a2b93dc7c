package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/internal/challenge"
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
	if known := new(auth.Error); errors.As(err, &known) {
		x.reason = known.Error()
	} else {
		x.gateway.config.Logger.LogAttrs(context.Background(), slog.LevelError, "gateway: an authenticator failed",
			slog.String("request_id", x.id), slog.String("error", shorten(err.Error())))
	}
	p := auth.Problem(err)
	if p.Status == http.StatusUnauthorized {
		x.challenge(challenge.InvalidToken(p.Detail))
	}
	return p
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
			x.challenge(challenge.InsufficientScope(scopes))
		}
		return problem.New(http.StatusForbidden, codes.PermissionDenied, "the method needs the scopes: "+scopes)
	}
}

// challenge says which credentials are taken. The error is one of bearer tokens.
func (x *exchange) challenge(bearerError string) {
	c := &x.gateway.config
	challenge.Set(x.writer.Header(), x.request, c.Authenticators, c.Realm, bearerError)
}

package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/internal/challenge"
	"github.com/evenkeel/evenkeel/gateway/internal/setting"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// MiddlewareConfig says whom [NewMiddleware] lets in.
type MiddlewareConfig struct {
	// Authenticators judge a request's credentials, in this order, until one
	// finds credentials of its kind. At least one.
	Authenticators []Authenticator

	// Realm names what the credentials are for, in WWW-Authenticate. Printable
	// ASCII without quotes and backslashes; default "evenkeel".
	Realm string

	// Optional lets in who brings no credentials. Those that do not hold are
	// refused all the same. Default false.
	Optional bool

	// Logger is told why credentials do not hold, at Info, and what keeps them
	// from being judged, at Error. Default [slog.Default].
	Logger *slog.Logger
}

// NewMiddleware returns what lets in callers who show who they are, for any
// [http.Handler]. The handler finds them by [FromContext]; others are answered
// with a problem and, where it is 401, with the credentials that are taken. An
// error names the field of config that is wrong.
func NewMiddleware(config MiddlewareConfig) (func(http.Handler) http.Handler, error) {
	setting.Default(&config.Realm, "evenkeel")
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if len(config.Authenticators) == 0 {
		return nil, errors.New("auth: MiddlewareConfig.Authenticators: is empty: nobody could be known")
	}
	for i, a := range config.Authenticators {
		if a == nil {
			return nil, fmt.Errorf("auth: MiddlewareConfig.Authenticators[%d]: is nil", i)
		}
	}
	if err := challenge.CheckRealm(config.Realm); err != nil {
		return nil, fmt.Errorf("auth: MiddlewareConfig.Realm: %q: %w", config.Realm, err)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := Authenticate(r.Context(), r, config.Authenticators)
			switch {
			case err != nil:
				config.refuse(w, r, err)
			case p != nil:
				next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), p)))
			case config.Optional:
				next.ServeHTTP(w, r)
			default:
				challenge.Set(w.Header(), r, config.Authenticators, config.Realm, "")
				problem.New(http.StatusUnauthorized, codes.Unauthenticated, "credentials are needed").Write(w)
			}
		})
	}, nil
}

func (c *MiddlewareConfig) refuse(w http.ResponseWriter, r *http.Request, err error) {
	level := slog.LevelInfo
	if known := new(Error); !errors.As(err, &known) {
		level = slog.LevelError
	}
	c.Logger.LogAttrs(context.WithoutCancel(r.Context()), level, "auth: a request was refused", slog.Any("error", err))
	p := Problem(err)
	if p.Status == http.StatusUnauthorized {
		challenge.Set(w.Header(), r, c.Authenticators, c.Realm, challenge.InvalidToken(p.Detail))
	}
	p.Write(w)
}

// Problem returns the answer to a request for which [Authenticate] returned an
// error. What is no [*Error] is told to nobody. A 401 must say which credentials
// are taken, in WWW-Authenticate.
func Problem(err error) *problem.Problem {
	var known *Error
	if !errors.As(err, &known) {
		return problem.New(http.StatusServiceUnavailable, codes.Unavailable, "credentials cannot be judged at the moment")
	}
	switch known.Code {
	case CodeInvalidRequest:
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, known.Description)
	case CodeUnavailable:
		return problem.New(http.StatusServiceUnavailable, codes.Unavailable, known.Description)
	default:
		return problem.New(http.StatusUnauthorized, codes.Unauthenticated, known.Description)
	}
}

package auth

import (
	"context"
	"net/http"
)

// Authenticate asks authenticators in turn. It returns nil and no error if none
// of them finds credentials of its kind. A request that carries more than one
// credential in its headers is refused, whichever of them would hold.
func Authenticate(ctx context.Context, r *http.Request, authenticators []Authenticator) (*Principal, error) {
	if len(r.Header["Authorization"])+len(r.Header[APIKeyHeader]) > 1 {
		return nil, ErrAmbiguous
	}
	var passed error
	for _, a := range authenticators {
		p, err := a.Authenticate(ctx, r)
		if known, ok := err.(*Error); ok && known.Pass {
			if passed == nil {
				passed = err
			}
			continue
		}
		if p != nil || err != nil {
			return p, err
		}
	}
	return nil, passed
}

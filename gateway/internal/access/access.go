// Package access reads what a method's option evenkeel.gateway.v1.access says
// about who may call it. The gateway and the services share it, so that both
// decide alike.
package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/auth"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A Rule says who may call a method. The zero value lets nobody in.
type Rule struct {
	public        bool
	authenticated bool
	scopes        []string
}

// Public reports whether anybody may call, with no credentials at all.
func (r Rule) Public() bool { return r.public }

// Scopes returns the scopes that a caller must hold.
func (r Rule) Scopes() []string { return r.scopes }

// A Decision is what a rule says of a caller.
type Decision int

// The decisions.
const (
	// Unauthenticated refuses a caller that is not known.
	Unauthenticated Decision = iota
	// Denied refuses a caller that is known.
	Denied
	// Allowed lets the caller in.
	Allowed
)

// Decide judges a caller; nil stands for one that is not known.
func (r Rule) Decide(p *auth.Principal) Decision {
	switch {
	case r.public:
		return Allowed
	case p == nil:
		return Unauthenticated
	case r.authenticated:
		return Allowed
	case len(r.scopes) > 0 && p.HasScopes(r.scopes):
		return Allowed
	default:
		return Denied
	}
}

// Of returns the rule that a method declares, or an error that says what is
// missing or wrong.
func Of(method protoreflect.MethodDescriptor) (Rule, error) {
	options := method.Options()
	if !Declares(method) {
		return Rule{}, errors.New(
			"it has no option (evenkeel.gateway.v1.access); say who may call it, for example" +
				` option (evenkeel.gateway.v1.access) = {scopes: {all_of: ["…"]}}`)
	}
	declared, _ := proto.GetExtension(options, gatewayv1.E_Access).(*gatewayv1.Access)
	return Read(declared)
}

// Declares reports whether a method has the option.
func Declares(method protoreflect.MethodDescriptor) bool {
	return method.Options() != nil && proto.HasExtension(method.Options(), gatewayv1.E_Access)
}

// Read returns the rule that an option states, or an error that says what is
// wrong with it.
func Read(declared *gatewayv1.Access) (Rule, error) {
	switch rule := declared.GetRule().(type) {
	case *gatewayv1.Access_Public:
		if !rule.Public {
			return Rule{}, errors.New("option (evenkeel.gateway.v1.access): public: must be true; name scopes to close the method")
		}
		return Rule{public: true}, nil
	case *gatewayv1.Access_Authenticated:
		if !rule.Authenticated {
			return Rule{}, errors.New("option (evenkeel.gateway.v1.access): authenticated: must be true; name scopes to close the method")
		}
		return Rule{authenticated: true}, nil
	case *gatewayv1.Access_Scopes:
		scopes := rule.Scopes.GetAllOf()
		if len(scopes) == 0 {
			return Rule{}, errors.New("option (evenkeel.gateway.v1.access): scopes.all_of: must name a scope; say authenticated: true if none is needed")
		}
		for i, scope := range scopes {
			if !validScope(scope) {
				return Rule{}, fmt.Errorf("option (evenkeel.gateway.v1.access): scopes.all_of[%d]: %q is not a scope: printable ASCII without spaces, quotes and backslashes", i, scope)
			}
		}
		return Rule{scopes: slices.Clone(scopes)}, nil
	default:
		return Rule{}, errors.New("option (evenkeel.gateway.v1.access): one of public, authenticated and scopes must be set")
	}
}

// validScope is scope-token of RFC 6749, section 3.3.
func validScope(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	}) < 0
}

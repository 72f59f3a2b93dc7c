package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/problem"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// Rules are the policy of one method. Their methods may be called concurrently,
// and on nil, which allows.
type Rules struct {
	engine     *Engine
	anyRole    []string
	conditions []*condition
}

// condition is one that was compiled.
type condition struct {
	id, message string
	program     cel.Program
	// onRequest says that it looks at the request.
	onRequest bool
}

// A Caller is what is known of who calls.
type Caller struct {
	// Principal is nil if nobody is known.
	Principal *auth.Principal
	// Address is where the call comes from; the zero Addr if that is not known.
	Address netip.Addr
}

// A Decision is what came out, with the reason.
type Decision struct {
	allowed bool
	rule    string
	reason  string
	message string
}

var allowed = Decision{allowed: true, reason: "all that the method demands is met"}

// Allowed reports whether the call may go on.
func (d Decision) Allowed() bool { return d.allowed }

// Rule names what refused: the id of a condition, or `any_role`.
func (d Decision) Rule() string { return d.rule }

// Reason is for the log: it may tell more than the caller is to know.
func (d Decision) Reason() string { return d.reason }

// LogAttrs are for the log.
func (d Decision) LogAttrs() []slog.Attr {
	attrs := []slog.Attr{slog.Bool("allowed", d.allowed), slog.String("reason", d.reason)}
	if d.rule != "" {
		attrs = append(attrs, slog.String("rule", d.rule))
	}
	return attrs
}

// Problem returns the answer to a call that was refused, nil if it was not.
func (d Decision) Problem() *problem.Problem {
	if d.allowed {
		return nil
	}
	return problem.New(http.StatusForbidden, codes.PermissionDenied, d.message)
}

// OnRequest reports whether a condition looks at the request, so that Check has
// something to do.
func (r *Rules) OnRequest() bool {
	return r != nil && slices.ContainsFunc(r.conditions, func(c *condition) bool { return c.onRequest })
}

// Admit decides what can be before the request is read: by roles, and by the
// conditions that do not look at it.
func (r *Rules) Admit(ctx context.Context, caller Caller) Decision {
	if r == nil {
		return allowed
	}
	roles := r.engine.RolesOf(caller.Principal)
	if len(r.anyRole) > 0 && !slices.ContainsFunc(r.anyRole, func(role string) bool { return slices.Contains(roles, role) }) {
		return Decision{
			rule: "any_role", message: "the method needs one of the roles: " + strings.Join(r.anyRole, ", "),
			reason: fmt.Sprintf("the caller has the roles %v, and the method needs one of %v", roles, r.anyRole),
		}
	}
	return r.decide(ctx, caller, roles, nil)
}

// Check decides by the conditions that look at the request, which must be a
// message of the method's input type.
func (r *Rules) Check(ctx context.Context, caller Caller, request proto.Message) Decision {
	if !r.OnRequest() {
		return allowed
	}
	return r.decide(ctx, caller, r.engine.RolesOf(caller.Principal), request)
}

// decide tries conditions: with a request those that look at it, without one
// the others.
func (r *Rules) decide(ctx context.Context, caller Caller, roles []string, request proto.Message) Decision {
	var variables map[string]any
	for _, c := range r.conditions {
		if c.onRequest != (request != nil) {
			continue
		}
		if variables == nil {
			variables = r.variables(caller, roles, request)
		}
		holds, err := c.holds(ctx, variables)
		if err != nil {
			return Decision{rule: c.id, message: c.message, reason: "the condition could not be evaluated: " + c.explain(ctx, err)}
		}
		if !holds {
			return Decision{rule: c.id, message: c.message, reason: "the condition is false"}
		}
	}
	return allowed
}

func (r *Rules) variables(caller Caller, roles []string, request proto.Message) map[string]any {
	principal := &gatewayv1.Principal{}
	if p := caller.Principal; p != nil {
		principal.Subject, principal.Issuer, principal.Scopes, principal.Method = p.Subject, p.Issuer, p.Scopes, string(p.Method)
	}
	address := ""
	if caller.Address.IsValid() {
		// The functions for addresses take neither a zone nor IPv4 within IPv6.
		address = caller.Address.Unmap().WithZone("").String()
	}
	v := map[string]any{"principal": principal, "roles": roles, "address": address, "now": r.engine.config.Now()}
	if request != nil {
		v["request"] = request
	}
	return v
}

func (c *condition) holds(ctx context.Context, variables map[string]any) (bool, error) {
	value, _, err := c.program.ContextEval(ctx, variables)
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, errors.New("it is neither true nor false")
	}
	return holds, nil
}

// explain tells the log what went wrong, without what may quote the request.
func (c *condition) explain(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil:
		return "the call ended before"
	case strings.Contains(err.Error(), "cost limit exceeded"):
		return "it costs more than the limit"
	case c.onRequest:
		return "it failed on this request; guard fields and keys that may be missing by has() and in"
	default:
		return err.Error()
	}
}

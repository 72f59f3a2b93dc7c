package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/problem"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/retry"
)

// protect reads the policy and the limits that a method declares.
func (m *mounting) protect(b *binding) error {
	var err error
	if b.policy, err = m.gateway.policies.Compile(b.method); err != nil {
		return err
	}
	policies, err := ratelimit.Declared(b.method)
	if err != nil {
		return err
	}
	if b.rates, err = m.gateway.rates.With(policies...); err != nil {
		return err
	}
	b.limited = len(b.rates.Policies()) > 0
	b.byAddress = slices.ContainsFunc(b.rates.Policies(), func(p ratelimit.Policy) bool { return p.KeyName() != "caller" })
	if b.priority, err = overload.Declared(b.method); err != nil {
		return err
	}
	b.logTo(m.gateway.config.Logger.Handler())
	b.overload, b.retry = m.overload, m.retry
	// Interceptors of the connection may ask for it, as with the generated handlers.
	b.told = runtime.WithHTTPPathPattern(b.template)(context.Background())
	b.conn, b.callOptions = m.protected, b.withReplies(m.decodeReplies, []grpc.CallOption{grpc.StaticMethod()})
	b.observed = m.gateway.config.Telemetry.NewRoute(b.verb, b.template, b.rpc)
	return nil
}

// protected returns the connection that a service's calls take: within the
// limit of what its backends can do, and made again where that does no harm. A
// call that is made again is one call to the limit. What makes them again is nil
// if nothing does.
func protected(conn grpc.ClientConnInterface, again *retry.Config, limit *overload.Limiter) (grpc.ClientConnInterface, *retry.Conn, error) {
	var retrying *retry.Conn
	if again != nil {
		var err error
		if retrying, err = retry.Wrap(conn, *again); err != nil {
			return nil, nil, fmt.Errorf("Retry: %w", err)
		}
		conn = retrying
	}
	if limit != nil {
		conn = limit.Wrap(letThrough{conn}, overload.ConnConfig{})
	}
	return conn, retrying, nil
}

// letIn finds out who calls and counts the call, also one whose credentials do
// not hold: who guesses is counted by the address.
func (x *exchange) letIn() *problem.Problem {
	p := x.authenticate()
	if refused := x.count(); refused != nil {
		return refused
	}
	return p
}

// count counts the call against its rates.
func (x *exchange) count() *problem.Problem {
	if !x.binding.limited {
		return nil
	}
	of := ratelimit.Request{Method: x.binding.rpc, Principal: x.principal, HTTP: x.request}
	if x.principal == nil || x.binding.byAddress {
		of.Address = x.address()
	}
	d := x.binding.rates.Allow(x.request.Context(), of)
	d.SetHeaders(x.writer.Header())
	if d.Allowed() {
		return nil
	}
	x.reason = "the store of rates failed"
	if policy, _ := d.Refused(); policy != "" {
		x.reason = "over the rate " + policy
	}
	return d.Problem()
}

// admit judges the caller by the method's policy, as far as that does not look
// at the request.
func (x *exchange) admit() *problem.Problem {
	if x.binding.policy == nil {
		return nil
	}
	return x.judged(x.binding.policy.Admit(x.request.Context(), x.caller()))
}

// check judges a message by the rest of the policy.
func (x *exchange) check(m any) error {
	if !x.binding.policy.OnRequest() {
		return nil
	}
	msg, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "a request of type %T", m)
	}
	if p := x.judged(x.binding.policy.Check(x.request.Context(), x.caller(), msg)); p != nil {
		x.refused.Store(p)
	}
	return x.refusal()
}

func (x *exchange) caller() policy.Caller {
	return policy.Caller{Principal: x.principal, Address: x.address()}
}

// judged keeps a refusal for the log.
func (x *exchange) judged(d policy.Decision) *problem.Problem {
	if d.Allowed() {
		return nil
	}
	x.denied.Store(&d)
	return d.Problem()
}

// shed refuses a call that would be refused anyway, before anything of it is
// read.
func (x *exchange) shed() *problem.Problem {
	b := x.binding
	if b.overload == nil || x.request.Method == http.MethodHead && b.serverStream() || !x.refusedBy(b.overload) {
		return nil
	}
	x.reason = overloadReason
	return b.overload.Problem()
}

// refusedBy asks a limiter, which counts what it refuses: not what is only to be
// explained.
func (x *exchange) refusedBy(limiter *overload.Limiter) bool {
	if x.dry != nil {
		return limiter.Full(x.binding.priority)
	}
	return limiter.Refuse(x.binding.priority)
}

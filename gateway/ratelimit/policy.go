package ratelimit

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A Policy is a rate and who is counted together.
type Policy struct {
	// Name names the policy in headers and refusals: 1 to 64 lower-case
	// letters, digits, `-`, `_`. Unique in a limiter.
	Name string
	// Rate is how many calls may be made.
	Rate Rate
	// Key says who is counted together. Default [Caller].
	Key Key
	// PerMethod counts each method by itself. Default false.
	PerMethod bool
}

// KeyName tells who is counted together: "caller", "address" or "everybody" for
// the keys of this package, "custom" for others.
func (p Policy) KeyName() string {
	if p.Key == nil {
		return "caller"
	}
	for _, k := range []struct {
		name string
		key  Key
	}{{"caller", Caller}, {"address", Address}, {"everybody", Everybody}} {
		if reflect.ValueOf(p.Key).Pointer() == reflect.ValueOf(k.key).Pointer() {
			return k.name
		}
	}
	return "custom"
}

// complete checks a policy and sets its defaults. An error starts with the
// field.
func (p *Policy) complete() error {
	if !validName(p.Name) {
		return fmt.Errorf("Name: %q: must be 1 to 64 lower-case letters, digits, `-`, `_`", p.Name)
	}
	if p.Key == nil {
		p.Key = Caller
	}
	if err := p.Rate.complete(); err != nil {
		return fmt.Errorf("Rate.%w", err)
	}
	return nil
}

func validName(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

// takeFor returns what a request asks of a policy, if that applies to it.
func (p *Policy) takeFor(r Request) (Take, bool) {
	key, applies := p.Key(r)
	if !applies {
		return Take{}, false
	}
	method := ""
	if p.PerMethod {
		method = r.Method
	}
	// A name holds no colon, and the length ends the method, so that no two keys
	// come out alike.
	return Take{Key: p.Name + ":" + strconv.Itoa(len(method)) + ":" + method + key, Rate: p.Rate}, true
}

// Declared returns the policies that a method declares in its option
// evenkeel.gateway.v1.limits, none if it has no such option.
func Declared(method protoreflect.MethodDescriptor) ([]Policy, error) {
	options := method.Options()
	if options == nil || !proto.HasExtension(options, gatewayv1.E_Limits) {
		return nil, nil
	}
	limits, _ := proto.GetExtension(options, gatewayv1.E_Limits).(*gatewayv1.Limits)
	policies := make([]Policy, 0, len(limits.GetRates()))
	names := map[string]bool{}
	for i, rate := range limits.GetRates() {
		p, err := declared(rate)
		if err == nil && names[p.Name] {
			err = fmt.Errorf("name: %q is there twice", p.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("option (evenkeel.gateway.v1.limits): rates[%d]: %w", i, err)
		}
		names[p.Name] = true
		policies = append(policies, p)
	}
	return policies, nil
}

func declared(rate *gatewayv1.RateLimit) (Policy, error) {
	if rate.GetPeriod().CheckValid() != nil {
		return Policy{}, errors.New("period: must be set to a duration")
	}
	p := Policy{
		Name: rate.GetName(), PerMethod: true,
		Rate: Rate{Requests: rate.GetRequests(), Period: rate.GetPeriod().AsDuration(), Burst: rate.GetBurst()},
	}
	switch rate.GetKey() {
	case gatewayv1.RateLimitKey_RATE_LIMIT_KEY_UNSPECIFIED, gatewayv1.RateLimitKey_RATE_LIMIT_KEY_CALLER:
		p.Key = Caller
	case gatewayv1.RateLimitKey_RATE_LIMIT_KEY_ADDRESS:
		p.Key = Address
	case gatewayv1.RateLimitKey_RATE_LIMIT_KEY_EVERYBODY:
		p.Key = Everybody
	default:
		return Policy{}, fmt.Errorf("key: %v is not known here", rate.GetKey())
	}
	if err := p.complete(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

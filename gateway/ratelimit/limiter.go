package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
)

// Config says how a [Limiter] limits.
type Config struct {
	// Policies hold for every request. At most [MaxPolicies], together with
	// those that [Limiter.With] adds.
	Policies []Policy

	// Store keeps the counts. Default: [NewLocal] with its defaults.
	Store Store

	// FailOpen lets calls pass while the store fails. Default false: they are
	// answered 503.
	FailOpen bool

	// OmitHeaders leaves RateLimit and RateLimit-Policy out of answers; a
	// refusal still tells Retry-After. Default false.
	OmitHeaders bool

	// Method tells methods apart, for [Limiter.Middleware]. Default: the
	// pattern that [http.ServeMux] matched, or else HTTP method and path.
	Method func(*http.Request) string

	// Address tells where a request comes from, for [Limiter.Middleware].
	// Default [RemoteAddress]; behind proxies see [ForwardedFor].
	Address func(*http.Request) netip.Addr

	// Logger is told when the store fails and when it is well again. Default
	// [slog.Default].
	Logger *slog.Logger
}

// A Limiter decides which calls are within their rates. Its methods may be
// called concurrently.
type Limiter struct {
	config   Config
	policies []Policy
	// told is the header RateLimit-Policy of a call that all policies apply to.
	told []string
	// failing is shared with the limiters that With makes, as the store is.
	failing *atomic.Bool
}

// New returns a limiter. An error names the field of config that is wrong.
func New(config Config) (*Limiter, error) {
	if config.Store == nil {
		store, err := NewLocal(LocalConfig{})
		if err != nil {
			return nil, err
		}
		config.Store = store
	}
	if config.Method == nil {
		config.Method = methodOf
	}
	if config.Address == nil {
		config.Address = RemoteAddress
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	policies, err := join(nil, config.Policies)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: Config.%w", err)
	}
	config.Policies = policies
	return &Limiter{config: config, policies: policies, told: tellAll(policies), failing: new(atomic.Bool)}, nil
}

// Config returns how l limits, with the defaults set, and without the policies
// that With added.
func (l *Limiter) Config() Config { return l.config }

// With returns a limiter with more policies than l, such as those that a method
// declares. Both count together by the policies that both have.
func (l *Limiter) With(policies ...Policy) (*Limiter, error) {
	all, err := join(l.policies, policies)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	}
	return &Limiter{config: l.config, policies: all, told: tellAll(all), failing: l.failing}, nil
}

// Policies returns l's policies, with their defaults set.
func (l *Limiter) Policies() []Policy { return append([]Policy(nil), l.policies...) }

// join returns a new slice with more policies, checked and completed.
func join(policies, more []Policy) ([]Policy, error) {
	all := append(make([]Policy, 0, len(policies)+len(more)), policies...)
	for i, p := range more {
		if err := p.complete(); err != nil {
			return nil, fmt.Errorf("Policies[%d].%w", i, err)
		}
		for _, other := range all {
			if other.Name == p.Name {
				return nil, fmt.Errorf("Policies[%d].Name: %q is there twice", i, p.Name)
			}
		}
		all = append(all, p)
	}
	if len(all) > MaxPolicies {
		return nil, fmt.Errorf("Policies: %d apply to one call; at most %d", len(all), MaxPolicies)
	}
	return all, nil
}

// Allow counts a call, if all policies that apply to it have room.
func (l *Limiter) Allow(ctx context.Context, r Request) Decision {
	var room [MaxPolicies]Take
	takes := room[:0]
	d := Decision{allowed: true, quiet: l.config.OmitHeaders, applied: make([]applied, 0, len(l.policies))}
	for i := range l.policies {
		p := &l.policies[i]
		if take, ok := p.takeFor(r); ok {
			takes = append(takes, take)
			d.applied = append(d.applied, applied{name: p.Name, rate: p.Rate})
		}
	}
	if len(takes) == 0 {
		return d
	}
	err := l.take(ctx, takes, d.applied)
	if len(takes) == len(l.policies) {
		d.told = l.told
	}
	l.watch(ctx, err)
	if err != nil {
		return Decision{allowed: l.config.FailOpen, err: err}
	}
	for i := range d.applied {
		d.allowed = d.allowed && d.applied[i].result.Allowed
	}
	return d
}

// take asks the store. One in this process is asked without making memory that
// is to be collected.
func (l *Limiter) take(ctx context.Context, takes []Take, to []applied) error {
	var room [MaxPolicies]Result
	results := room[:len(takes)]
	if local, ok := l.config.Store.(*Local); ok {
		local.takeInto(results, takes)
	} else {
		given, err := l.config.Store.Take(ctx, slices.Clone(takes))
		if err != nil {
			return err
		}
		if len(given) != len(takes) {
			return fmt.Errorf("the store gave %d results for %d policies", len(given), len(takes))
		}
		results = given
	}
	for i := range to {
		to[i].result = results[i]
	}
	return nil
}

// watch logs when the store begins to fail and when it stops: not once for
// each call, of which there may be many.
func (l *Limiter) watch(ctx context.Context, err error) {
	// A caller that went away says nothing about the store.
	if ctx.Err() != nil || l.failing.Load() == (err != nil) {
		return
	}
	if !l.failing.CompareAndSwap(err == nil, err != nil) {
		return
	}
	if err != nil {
		l.config.Logger.LogAttrs(ctx, slog.LevelError, "ratelimit: the store fails",
			slog.Any("error", err), slog.Bool("calls_pass", l.config.FailOpen))
		return
	}
	l.config.Logger.LogAttrs(ctx, slog.LevelInfo, "ratelimit: the store is well again")
}

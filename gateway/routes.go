package gateway

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/problem"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/retry"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A Route is one way to call a method by HTTP, and what holds for it.
type Route struct {
	// Method is the HTTP method, Template the path template, RPC what is called:
	// `/package.Service/Method`.
	Method   string `json:"method"`
	Template string `json:"template"`
	RPC      string `json:"rpc"`
	// Stream is "client", "server" or "bidirectional", "" for a unary call.
	Stream string `json:"stream,omitempty"`
	// Request and Response are the full names of the messages.
	Request  string `json:"request"`
	Response string `json:"response"`
	// Body is what the body sets: "" for none, "*" or a field.
	Body string `json:"body,omitempty"`
	// Access says who may call.
	Access RouteAccess `json:"access"`
	// Policy says what must hold besides; nil for nothing.
	Policy *RoutePolicy `json:"policy,omitempty"`
	// Rates bound how often it may be called.
	Rates []RouteRate `json:"rates,omitempty"`
	// Timeout is how long a call may take.
	Timeout RouteTimeout `json:"timeout"`
	// Overload says what becomes of it in overload; nil if nothing does.
	Overload *RouteOverload `json:"overload,omitempty"`
	// Retry says how it is made again; nil if the service is not mounted with
	// retries.
	Retry *RouteRetry `json:"retry,omitempty"`
}

// RouteAccess says who may call.
type RouteAccess struct {
	// Public is set if anybody may.
	Public bool `json:"public"`
	// Scopes must all be held. None, where it is not public: everybody who is
	// known may call.
	Scopes []string `json:"scopes,omitempty"`
}

// RoutePolicy is what the option evenkeel.gateway.v1.policy of a method says.
type RoutePolicy struct {
	// AnyRole names the roles of which one is needed; none for no such demand.
	AnyRole []string `json:"any_role,omitempty"`
	// Conditions must all hold.
	Conditions []RouteCondition `json:"conditions,omitempty"`
	// OnRequest says whether one of them looks at the request.
	OnRequest bool `json:"on_request"`
}

// RouteCondition is an expression in CEL.
type RouteCondition struct {
	ID         string `json:"id"`
	Expression string `json:"expression"`
}

// RouteRate is how often a route may be called.
type RouteRate struct {
	// Name names the policy.
	Name string
	// Requests may be made in a Period, and Burst at once.
	Requests, Burst int64
	Period          time.Duration
	// Key tells who is counted together, see [ratelimit.Policy.KeyName].
	Key string
	// PerMethod says that the method is counted by itself.
	PerMethod bool
}

// MarshalJSON writes the period as in Go: "1m0s".
func (r RouteRate) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name      string `json:"name"`
		Requests  int64  `json:"requests"`
		Period    string `json:"period"`
		Burst     int64  `json:"burst"`
		Key       string `json:"key"`
		PerMethod bool   `json:"per_method"`
	}{r.Name, r.Requests, r.Period.String(), r.Burst, r.Key, r.PerMethod})
}

// RouteTimeout is how long a call may take: Default if its caller does not say,
// Max at most.
type RouteTimeout struct{ Default, Max time.Duration }

// MarshalJSON writes both as in Go: "15s".
func (t RouteTimeout) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"default": t.Default.String(), "max": t.Max.String()})
}

// RouteOverload says what becomes of a route in overload.
type RouteOverload struct {
	// Priority is "critical", "default" or "sheddable".
	Priority string `json:"priority"`
	// Limit is how many calls of all classes may be in flight at the moment,
	// InFlight how many are.
	Limit    int `json:"limit"`
	InFlight int `json:"in_flight"`
	// Full says whether a call would be refused at the moment.
	Full bool `json:"full"`
}

// RouteRetry says how a route is called again.
type RouteRetry struct {
	// Idempotent says whether it may be. If not, it is called once.
	Idempotent bool `json:"idempotent"`
	// MaxAttempts is how often it is called at most, and Codes are those after
	// which it is called again.
	MaxAttempts int      `json:"max_attempts"`
	Codes       []string `json:"codes"`
}

// Routes returns what is mounted, sorted by template, then by HTTP method.
func (g *Gateway) Routes() []Route {
	g.mu.Lock()
	bindings := g.bindings // never changed, only replaced
	g.mu.Unlock()
	routes := make([]Route, 0, len(bindings))
	for _, b := range bindings {
		routes = append(routes, g.routeOf(b))
	}
	slices.SortFunc(routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Template, b.Template), cmp.Compare(a.Method, b.Method))
	})
	return routes
}

func (g *Gateway) routeOf(b *binding) Route {
	return Route{
		Method: b.verb, Template: b.template, RPC: b.rpc, Stream: b.streamKind(), Body: b.bodyRule,
		Request: string(b.method.Input().FullName()), Response: string(b.method.Output().FullName()),
		Access:   RouteAccess{Public: b.rule.Public(), Scopes: slices.Clone(b.rule.Scopes())},
		Policy:   b.policyTold(),
		Rates:    ratesTold(b.rates.Policies()),
		Timeout:  g.config.Timeouts.told(b.stream()),
		Overload: b.overloadTold(),
		Retry:    b.retryTold(),
	}
}

func (b *binding) streamKind() string {
	switch {
	case b.clientStream() && b.serverStream():
		return "bidirectional"
	case b.clientStream():
		return "client"
	case b.serverStream():
		return "server"
	default:
		return ""
	}
}

func (b *binding) policyTold() *RoutePolicy {
	if b.policy == nil {
		return nil
	}
	declared, _ := proto.GetExtension(b.method.Options(), gatewayv1.E_Policy).(*gatewayv1.Policy)
	told := &RoutePolicy{AnyRole: slices.Clone(declared.GetAnyRole()), OnRequest: b.policy.OnRequest()}
	for _, c := range declared.GetConditions() {
		told.Conditions = append(told.Conditions, RouteCondition{c.GetId(), c.GetExpression()})
	}
	return told
}

func ratesTold(policies []ratelimit.Policy) []RouteRate {
	var told []RouteRate
	for _, p := range policies {
		told = append(told, RouteRate{
			Name: p.Name, Requests: p.Rate.Requests, Period: p.Rate.Period, Burst: p.Rate.Burst,
			Key: p.KeyName(), PerMethod: p.PerMethod,
		})
	}
	return told
}

func (t *Timeouts) told(stream bool) RouteTimeout {
	if stream {
		return RouteTimeout{t.Stream, t.Stream}
	}
	return RouteTimeout{t.Call, t.CallMax}
}

func (b *binding) overloadTold() *RouteOverload {
	if b.overload == nil {
		return nil
	}
	stats := b.overload.Stats()
	return &RouteOverload{
		Priority: b.priority.String(), Limit: stats.Limit, InFlight: stats.InFlight, Full: b.overload.Full(b.priority),
	}
}

func (b *binding) retryTold() *RouteRetry {
	if b.retry == nil {
		return nil
	}
	config := b.retry.Config()
	told := &RouteRetry{Idempotent: b.retry.Idempotent(b.rpc) && !b.stream(), MaxAttempts: config.MaxAttempts}
	for _, c := range config.Codes {
		told.Codes = append(told.Codes, problem.CodeName(c))
	}
	return told
}

// Mounted is a service as it is mounted.
type Mounted struct {
	// Name is the service's full name.
	Name string
	// Target is where its calls go, and State that of the connection, as far as
	// Service.Conn tells: a *grpc.ClientConn does.
	Target, State string
	// Retry is how calls are made again, with the defaults set; nil for not.
	Retry *retry.Config
	// Overload is how calls in flight are bounded, with the defaults set; nil
	// for not.
	Overload *overload.Config
	// DecodeReplies is that of the Service.
	DecodeReplies bool
}

// Services returns what is mounted, in the order in which it was.
func (g *Gateway) Services() []Mounted {
	g.mu.Lock()
	defer g.mu.Unlock()
	services := make([]Mounted, 0, len(g.services))
	for _, m := range g.services {
		s := Mounted{Name: m.name, DecodeReplies: m.decodeReplies}
		if c, ok := m.conn.(interface{ Target() string }); ok {
			s.Target = c.Target()
		}
		if c, ok := m.conn.(stateful); ok {
			s.State = c.GetState().String()
		}
		if m.retry != nil {
			config := m.retry.Config()
			s.Retry = &config
		}
		if m.overload != nil {
			config := m.overload.Config()
			s.Overload = &config
		}
		services = append(services, s)
	}
	return services
}

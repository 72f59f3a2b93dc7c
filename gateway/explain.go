package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// A Question describes a request that is to be explained.
type Question struct {
	// Method is the HTTP method; default GET.
	Method string
	// Target is the path and the query, as in a request's first line:
	// "/v1/movies/1?view=VIEW_FULL".
	Target string
	// Header are the request's headers. Credentials in it are not judged.
	Header http.Header
	// Body is the request's body; JSON unless a header says something else.
	Body []byte
	// Principal is the caller to assume; nil for one that is not known.
	Principal *auth.Principal
	// Address is where the request is assumed to come from. Default 127.0.0.1.
	Address netip.Addr
}

// An Explanation tells what the gateway would do with a request.
type Explanation struct {
	// Method and Target are those of the question.
	Method string `json:"method"`
	Target string `json:"target"`
	// Route is the one that the request takes; nil if there is none.
	Route *Route `json:"route,omitempty"`
	// Variables are what the path sets, by field.
	Variables map[string]string `json:"variables,omitempty"`
	// Rules are the protovalidate rules of the route's request message, of each
	// message where it takes a stream. Messages are gone into eight deep.
	Rules []RouteRule `json:"rules,omitempty"`
	// Steps are what is done with it, in order, up to the one that ends it.
	Steps []ExplainedStep `json:"steps"`
	// Called says whether the RPC would be called. What it answers is not known.
	Called bool `json:"called"`
	// Status is what the request would be answered without a call; 0 if it would
	// be called.
	Status int `json:"status,omitempty"`
	// Problem is the body of that answer, if it is an error.
	Problem *problem.Problem `json:"problem,omitempty"`
}

// An ExplainedStep is one thing that is done with a request.
type ExplainedStep struct {
	// Name names it.
	Name string `json:"name"`
	// Passed says whether the request goes on behind it.
	Passed bool `json:"passed"`
	// Rule is what applies.
	Rule string `json:"rule"`
}

// Explain tells what the gateway would do with a request, by doing it, but for
// three things: credentials are not judged, Principal stands for what they would
// prove; nothing is counted against a rate; and the RPC is not called. The
// messages of a client stream are not looked at. It fails if the question is no
// request at all.
func (g *Gateway) Explain(ctx context.Context, q Question) (*Explanation, error) {
	r, err := q.request(ctx)
	if err != nil {
		return nil, fmt.Errorf("gateway: Explain: %w", err)
	}
	x := &exchange{
		gateway: g, request: r, start: time.Now(), id: "explained", dry: &dryRun{}, principal: q.Principal,
		response: newResponseWriter(nowhere{http.Header{}}, g.config.Timeouts.Write),
	}
	x.writer = &x.response
	defer x.forgetBody()
	e := &explainer{x: x, told: &Explanation{Method: r.Method, Target: q.Target}}
	e.explain()
	return e.told, nil
}

// request makes the request that a question describes.
func (q Question) request(ctx context.Context) (*http.Request, error) {
	target, err := url.ParseRequestURI(q.Target)
	if err != nil || !strings.HasPrefix(q.Target, "/") && q.Target != "*" {
		return nil, fmt.Errorf("Target: %q is not a path with a query, such as /v1/movies?page_size=1", q.Target)
	}
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, "/", bytes.NewReader(q.Body))
	if err != nil {
		return nil, errors.New("Method: is not an HTTP method")
	}
	r.URL, r.RequestURI, r.Host = target, q.Target, "explained"
	if q.Header != nil {
		r.Header = q.Header.Clone()
	}
	if len(q.Body) == 0 {
		r.Body = http.NoBody
	} else if r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", typeJSON)
	}
	address := q.Address
	if !address.IsValid() {
		address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	r.RemoteAddr = netip.AddrPortFrom(address, 1).String()
	return r, nil
}

// explainer goes the way of exchange.prepare, and tells of each step.
type explainer struct {
	x    *exchange
	told *Explanation
}

// step tells of a step and reports whether the request goes on.
func (e *explainer) step(name, rule string, p *problem.Problem) bool {
	e.told.Steps = append(e.told.Steps, ExplainedStep{Name: name, Passed: p == nil, Rule: rule})
	if p != nil {
		e.x.sign(p)
		e.told.Status, e.told.Problem = p.Status, p
	}
	return p == nil
}

func (e *explainer) explain() {
	x := e.x
	if e.own() {
		return
	}
	limits := &x.gateway.config.Limits
	if !e.step("url", fmt.Sprintf("at most %d bytes", limits.URLBytes), x.checkURL()) || !e.route() {
		return
	}
	b := x.binding
	steps := []struct {
		name, rule string
		run        func() *problem.Problem
	}{
		{"authentication", e.authentication(), nil},
		{"rate limits", e.rates(), nil},
		{"origin", "what a form of another site can send is refused, unless CORS lets its origin in", x.refuseForms},
		{"access", accessTold(b), x.authorize},
		{"policy", policyRule(b), x.admit},
		{"overload", overloadRule(b), x.shed},
		{"query", fmt.Sprintf("at most %d parameters", limits.QueryParameters), x.parseQuery},
		{"accept", "the answer must have a form that the caller takes", x.negotiate},
		{"path", "values must be UTF-8", x.checkPath},
		{"parameters", e.parameters(), x.checkQuery},
		{"conditions", "If-Match and Last-Event-ID must be well-formed, If-None-Match on GET only, Content-Range not there", e.conditions},
		{"timeout", timeoutRule(e.told.Route.Timeout), x.readTimeout},
		{"body", e.body(), x.readBody},
	}
	for _, s := range steps {
		var p *problem.Problem
		if s.run != nil {
			p = s.run()
		}
		if !e.step(s.name, s.rule, p) {
			return
		}
	}
	e.message()
}

// own tells of what the gateway answers itself.
func (e *explainer) own() bool {
	c := &e.x.gateway.config
	switch e.x.request.URL.Path {
	case c.Health.LivePath, c.Health.ReadyPath:
		e.step("health", "the gateway answers it itself, to anybody", nil)
		e.told.Status = http.StatusOK
		return true
	}
	if e.x.gateway.describes(e.x.request.URL.Path) {
		e.step("description", "the gateway answers it itself, to anybody, within the rates for all methods", nil)
		e.told.Status = http.StatusOK
		return true
	}
	return false
}

func (e *explainer) route() bool {
	x := e.x
	p := x.findRoute()
	switch {
	case x.binding != nil:
		route := x.gateway.routeOf(x.binding)
		e.told.Route, e.told.Variables = &route, x.match.Params()
		e.told.Rules = rulesTold(x.binding.method.Input())
		return e.step("route", x.binding.verb+" "+x.binding.template+" calls "+x.binding.rpc, nil)
	case p == nil: // OPTIONS
		e.step("route", "OPTIONS is answered with what the path has: "+x.writer.Header().Get("Allow"), nil)
		e.told.Status = http.StatusNoContent
		return false
	case p.Status == http.StatusMethodNotAllowed:
		return e.step("route", "the path has "+x.writer.Header().Get("Allow"), p)
	default:
		return e.step("route", "no template matches the path", p)
	}
}

func (e *explainer) authentication() string {
	var schemes []string
	for _, a := range e.x.gateway.config.Authenticators {
		scheme, _, _ := strings.Cut(a.Challenge(), " ")
		schemes = append(schemes, scheme)
	}
	taken := "nobody can be known: there is no authenticator"
	if len(schemes) > 0 {
		taken = "credentials are taken as " + strings.Join(schemes, ", ")
	}
	if p := e.x.principal; p != nil {
		return fmt.Sprintf("%s; the caller is assumed to be %q with the scopes %q", taken, p.Subject, p.Scopes)
	}
	return taken + "; the caller is assumed to have none"
}

func (e *explainer) rates() string {
	var told []string
	for _, r := range e.told.Route.Rates {
		told = append(told, fmt.Sprintf("%s: %d in %v, %d at once, by %s", r.Name, r.Requests, r.Period, r.Burst, r.Key))
	}
	if told == nil {
		return "none"
	}
	return strings.Join(told, "; ") + " (not counted here)"
}

func accessTold(b *binding) string {
	switch scopes := b.rule.Scopes(); {
	case b.rule.Public():
		return "public: everybody"
	case len(scopes) > 0:
		return "the scopes " + strings.Join(scopes, ", ")
	default:
		return "everybody who is known"
	}
}

func policyRule(b *binding) string {
	told := b.policyTold()
	if told == nil {
		return "none"
	}
	var parts []string
	if len(told.AnyRole) > 0 {
		parts = append(parts, "one of the roles "+strings.Join(told.AnyRole, ", "))
	}
	for _, c := range told.Conditions {
		parts = append(parts, c.ID+": "+c.Expression)
	}
	return strings.Join(parts, "; ")
}

func overloadRule(b *binding) string {
	told := b.overloadTold()
	if told == nil {
		return "no limiter"
	}
	return fmt.Sprintf("%s; %d of %d calls are in flight", told.Priority, told.InFlight, told.Limit)
}

func (e *explainer) parameters() string {
	if e.x.gateway.config.Lenient.QueryParameters {
		return "those that the method has must fit; others are ignored"
	}
	return "each must be one that the method has, and fit"
}

func (e *explainer) conditions() *problem.Problem {
	if p := e.x.readConditions(); p != nil {
		return p
	}
	return e.x.readLastEventID()
}

func timeoutRule(t RouteTimeout) string {
	return fmt.Sprintf("%v, or what Grpc-Timeout says up to %v", t.Default, t.Max)
}

func (e *explainer) body() string {
	b, c := e.x.binding, &e.x.gateway.config
	if !b.hasBody() {
		return "the method takes none"
	}
	types := strings.Join(b.bodyTypes(), " or ")
	if b.bodyIsMedia {
		types = "any media type"
	}
	each := ""
	if b.clientStream() {
		each = " each message"
	}
	return fmt.Sprintf("%s, at most %d bytes%s, within %v, %d levels deep", types, c.Limits.BodyBytes, each, c.Timeouts.ReadBody, c.Limits.JSONDepth)
}

// message has the generated handler make the request message, up to where it
// would be sent.
func (e *explainer) message() {
	x := e.x
	rule := fmt.Sprintf("policy and %d protovalidate rules of %s", len(e.told.Rules), x.binding.method.Input().FullName())
	switch {
	case x.binding.clientStream():
		e.step("message", rule+", for each message of the stream (not looked at here)", nil)
		e.told.Called = true
		return
	case x.request.Method == http.MethodHead && x.binding.serverStream():
		e.step("message", "HEAD of a stream opens none", nil)
		e.told.Status = http.StatusOK
		return
	}
	e.step("message", rule, x.dryCall())
	e.told.Called = e.told.Problem == nil
}

// dryRun is what an exchange is told that is only to be explained.
type dryRun struct {
	// reached is set once the call would have been made.
	reached bool
	// problem is what it was refused with instead.
	problem *problem.Problem
}

// errDry ends a call that is not to be made.
var errDry = status.Error(codes.Aborted, "only explained")

// dryCall makes a call up to where it would reach the upstream, and returns what
// is wrong with it.
func (x *exchange) dryCall() (p *problem.Problem) {
	defer func() {
		if recover() != nil {
			p = problem.FromStatus(status.New(codes.Internal, ""))
		}
	}()
	x.call()
	if x.dry.problem == nil && !x.dry.reached {
		return problem.FromStatus(status.New(codes.Internal, ""))
	}
	return x.dry.problem
}

// stop ends a call where it would be made.
func (d *dryRun) stop() error {
	d.reached = true
	return errDry
}

// nowhere is an http.ResponseWriter that keeps headers only.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

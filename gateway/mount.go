package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/retry"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A Service is a gRPC service with its generated handlers. C is the generated
// client, such as MovieServiceClient.
type Service[C any] struct {
	// Desc is the generated description, such as MovieService_ServiceDesc.
	Desc *grpc.ServiceDesc
	// Conn is where the calls go: a *grpc.ClientConn or anything like it. The
	// gateway does not close it.
	Conn grpc.ClientConnInterface
	// NewClient is the generated constructor, such as NewMovieServiceClient. The
	// client makes the streams; unary calls are made on Conn without it. What is
	// to see all calls is an interceptor of Conn, or around it.
	NewClient func(grpc.ClientConnInterface) C
	// Register is the generated registration, such as
	// RegisterMovieServiceHandlerClient.
	Register func(context.Context, *runtime.ServeMux, C) error

	// Access says who may call methods whose proto does not say so, by the
	// method's name: for protos that are not one's own. A method that has the
	// option itself cannot be named. Default none.
	Access map[string]*gatewayv1.Access

	// Retry makes calls again where that does no harm, and gives each less time
	// than its caller has, see package retry. Default nil: calls are made once.
	Retry *retry.Config

	// Overload bounds how many calls are in flight to Conn, by how long they
	// take, and refuses first what matters least, see package overload. Use one
	// limiter for all services behind the same backends. Default nil: no bound.
	Overload *overload.Limiter

	// DecodeReplies builds each reply before it is written as JSON. Default
	// false: a reply that nothing has to look into is written from its bytes,
	// and interceptors of Conn see it as a message that holds nothing but
	// unknown fields. Set it if they read replies.
	DecodeReplies bool
}

// Mount adds a service to g: one route for each binding in its google.api.http
// options. It may be called while g serves, and changes nothing if it fails.
// It fails, by name, if
//   - a method does not say who may call it by the option
//     evenkeel.gateway.v1.access, whether it has a route or not, nor does
//     Service.Access,
//   - a method is not public and g has no authenticator,
//   - a protovalidate rule of a request, or a condition of a policy, does not
//     compile,
//   - a route would match the same requests as one that is there, or
//   - the generated handlers are not of the descriptor that is linked in.
func Mount[C any](g *Gateway, service Service[C]) error {
	if service.Desc == nil || service.Conn == nil || service.NewClient == nil || service.Register == nil {
		return errors.New("gateway: Mount: Desc, Conn, NewClient and Register must all be set")
	}
	m := &mounting{gateway: g, name: service.Desc.ServiceName, conn: service.Conn, access: service.Access, overload: service.Overload, decodeReplies: service.DecodeReplies}
	conn, retrying, err := protected(service.Conn, service.Retry, service.Overload)
	if err != nil {
		return fmt.Errorf("gateway: Mount %s: %w", m.name, err)
	}
	m.retry = retrying
	m.protected = conn
	mux := m.newMux()
	client := service.NewClient(&upstream{conn: conn, decodeReplies: service.DecodeReplies})
	if err := service.Register(context.Background(), mux, client); err != nil {
		return fmt.Errorf("gateway: Mount %s: %w", m.name, err)
	}
	if err := m.finish(); err != nil {
		return fmt.Errorf("gateway: Mount %s: %w", m.name, err)
	}
	return nil
}

// mounting is one service on its way in.
type mounting struct {
	gateway       *Gateway
	name          string
	conn          grpc.ClientConnInterface
	protected     grpc.ClientConnInterface // conn with what stands before it
	access        map[string]*gatewayv1.Access
	overload      *overload.Limiter
	retry         *retry.Conn // nil for none
	decodeReplies bool
	handlers      []runtime.HandlerFunc // in the order of their registration
	bindings      []*binding
}

// newMux returns a mux that only collects the handlers that are registered on
// it, and is what those handlers ask how to read and write.
func (m *mounting) newMux() *runtime.ServeMux {
	none := func(string) (string, bool) { return "", false }
	return runtime.NewServeMux(
		runtime.WithMiddlewares(func(h runtime.HandlerFunc) runtime.HandlerFunc {
			m.handlers = append(m.handlers, h)
			return h
		}),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, m.gateway.marshaler),
		runtime.WithMarshalerOption(enumNumbers, m.gateway.withEnumNumbers),
		runtime.WithForwardResponseRewriter(rewrite),
		runtime.WithErrorHandler(handleError),
		runtime.WithStreamErrorHandler(handleStreamError),
		runtime.WithIncomingHeaderMatcher(m.gateway.forwardHeader),
		runtime.WithMetadata(annotate),
		runtime.WithOutgoingHeaderMatcher(none), // see returnHeaders
		runtime.WithOutgoingTrailerMatcher(none),
		runtime.WithDisableChunkedEncoding(), // net/http knows when to chunk
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithWriteContentLength(),
	)
}

func (m *mounting) finish() error {
	service, err := serviceOf(m.name)
	if err != nil {
		return err
	}
	if err := m.readMethods(service); err != nil {
		return err
	}
	if err := m.assignHandlers(); err != nil {
		return err
	}
	if err := m.gateway.validator.prepare(service); err != nil {
		return err
	}
	for _, b := range m.bindings {
		b.hasRules = hasRules(b.method.Input())
	}
	return m.gateway.add(m)
}

// readMethods reads who may call each method, and its bindings. It names every
// method that is wrong, not just the first.
func (m *mounting) readMethods(service protoreflect.ServiceDescriptor) error {
	var errs []error
	methods := service.Methods()
	for name := range m.access {
		switch method := methods.ByName(protoreflect.Name(name)); {
		case method == nil:
			errs = append(errs, fmt.Errorf("Access[%q]: the service has no such method", name))
		case access.Declares(method):
			errs = append(errs, fmt.Errorf("Access[%q]: the method has the option (evenkeel.gateway.v1.access); change it there", name))
		}
	}
	for i := range methods.Len() {
		method := methods.Get(i)
		rule, err := m.ruleOf(method)
		if err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", method.Name(), err))
			continue
		}
		if !rule.Public() && len(m.gateway.config.Authenticators) == 0 {
			errs = append(errs, fmt.Errorf("method %s: is not public, and Config.Authenticators is empty: nobody could call it", method.Name()))
			continue
		}
		bindings, err := bindingsOf(method, rule)
		if err != nil {
			errs = append(errs, fmt.Errorf("method %s: %w", method.Name(), err))
			continue
		}
		for _, b := range bindings {
			if err := m.protect(b); err != nil {
				errs = append(errs, fmt.Errorf("method %s: %w", method.Name(), err))
				break
			}
		}
		m.bindings = append(m.bindings, bindings...)
	}
	return errors.Join(errs...)
}

// ruleOf returns who may call a method.
func (m *mounting) ruleOf(method protoreflect.MethodDescriptor) (access.Rule, error) {
	if declared, ok := m.access[string(method.Name())]; ok {
		return access.Read(declared)
	}
	return access.Of(method)
}

// assignHandlers gives each binding its handler, and makes sure of it: which
// method a request is authorized for must be the one that it then calls.
func (m *mounting) assignHandlers() error {
	if len(m.handlers) != len(m.bindings) {
		return fmt.Errorf("its descriptor has %d HTTP bindings, but %d handlers were registered: generate both from the same protos, without external rules and without generate_unbound_methods", len(m.bindings), len(m.handlers))
	}
	for i, b := range m.bindings {
		seen := probe(m.handlers[i])
		if !sameMethod(seen.rpc, b.rpc) || seen.template != b.template {
			return fmt.Errorf("handler %d is for %s %q, not for %s %q as its descriptor has it: generate both from the same protos, with request_context=true", i, seen.rpc, seen.template, b.rpc, b.template)
		}
		b.handler = m.handlers[i]
	}
	return nil
}

// sameMethod compares without case and underscores: the generator writes a
// method `get_it` as `GetIt` into what it tells.
func sameMethod(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", ""), strings.ReplaceAll(b, "_", ""))
}

// probed is what a handler says of itself.
type probed struct{ rpc, template string }

// probe runs a generated handler just so far that it says which method it is
// for. Nothing is called: upstream refuses an exchange that is a probe.
func probe(h runtime.HandlerFunc) probed {
	x := &exchange{probe: &probed{}}
	ctx := context.WithValue(context.Background(), exchangeKey{}, x)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	if err != nil {
		return probed{}
	}
	h(discard{}, r, nil)
	return *x.probe
}

// discard is an http.ResponseWriter to nowhere.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// annotate is called by each generated handler before anything else. It adds
// the request's id to what goes upstream.
func annotate(ctx context.Context, _ *http.Request) metadata.MD {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil
	}
	if x.probe != nil {
		x.probe.rpc, _ = runtime.RPCMethod(ctx)
		x.probe.template, _ = runtime.HTTPPathPattern(ctx)
		return nil
	}
	md := metadata.MD{requestIDMetadata: {x.id}}
	if x.lastEventID != "" {
		md[lastEventIDMetadata] = []string{x.lastEventID}
	}
	return md
}

// add makes the routes of a service known, all or none.
func (g *Gateway) add(m *mounting) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := append(append([]*binding{}, g.bindings...), m.bindings...)
	tree := &route.Tree[*binding]{}
	for _, b := range all {
		if err := tree.Insert(b.verb, b.template, b); err != nil {
			return fmt.Errorf("%s: %w", b.rpc, err)
		}
	}
	if err := g.config.hidesRoute(tree); err != nil {
		return err
	}
	services := append(slices.Clone(g.services), m)
	described, err := g.describe(services)
	if err != nil {
		return err
	}
	g.bindings, g.services = all, services
	g.description.Store(described)
	g.tree.Store(tree)
	g.watch(m.conn)
	g.config.Telemetry.Watch(telemetry.Upstream{Service: m.name, Retries: m.retry, Limiter: m.overload})
	return nil
}

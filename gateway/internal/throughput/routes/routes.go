// Package routes adds to a door what it must tell from the routes that are
// called: services with ten routes each, registered as generated code does it.
package routes

import (
	"context"
	"fmt"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	plainv1 "github.com/evenkeel/evenkeel/gateway/internal/throughput/proto/plain/movie/v1"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// PerService is how many routes each service has, this package's and the
// movie service.
const PerService = 10

// A Service has [PerService] routes.
type Service struct {
	// Name is its full name.
	Name   string
	routes []route
}

type route struct{ rpc, verb, template string }

// Declare makes services, so many that a door with these and the movie service
// has as many routes as it is to have. It may be called once.
func Declare(total int) ([]Service, error) {
	if total < PerService || total%PerService != 0 {
		return nil, fmt.Errorf("%d routes: must be a multiple of %d", total, PerService)
	}
	services := make([]Service, total/PerService-1)
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("throughput/routes.proto"), Package: proto.String("routes.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{plainv1.File_plain_movie_v1_movie_proto.Path()},
	}
	for i := range services {
		file.Service = append(file.Service, services[i].declare(i))
	}
	descriptor, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	return services, protoregistry.GlobalFiles.RegisterFile(descriptor)
}

// declare chooses the routes: every other one gets, the rest post, and all have
// a variable.
func (s *Service) declare(number int) *descriptorpb.ServiceDescriptorProto {
	name := fmt.Sprintf("Service%d", number)
	s.Name = "routes.v1." + name
	d := &descriptorpb.ServiceDescriptorProto{Name: &name}
	for i := range PerService {
		method := fmt.Sprintf("Method%d", i)
		r := route{rpc: "/" + s.Name + "/" + method, verb: http.MethodGet, template: fmt.Sprintf("/v1/{name=kind%dof%d/*}", i, number)}
		rule := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: r.template}}
		if i%2 == 1 {
			r.verb = http.MethodPost
			rule = &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: r.template}, Body: "*"}
		}
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, annotations.E_Http, rule)
		proto.SetExtension(options, gatewayv1.E_Access, &gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}})
		d.Method = append(d.Method, &descriptorpb.MethodDescriptorProto{
			Name: &method, Options: options,
			InputType:  proto.String(".plain.movie.v1.GetMovieRequest"),
			OutputType: proto.String(".plain.movie.v1.Movie"),
		})
		s.routes = append(s.routes, r)
	}
	return d
}

// Register registers a handler for each route, as the generated handlers do.
func (s *Service) Register(_ context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
	for _, r := range s.routes {
		if err := mux.HandlePath(r.verb, r.template, handler(mux, conn, r)); err != nil {
			return err
		}
	}
	return nil
}

func handler(mux *runtime.ServeMux, conn grpc.ClientConnInterface, r route) runtime.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request, params map[string]string) {
		_, outbound := runtime.MarshalerForRequest(mux, req)
		ctx, err := runtime.AnnotateContext(req.Context(), mux, req, r.rpc, runtime.WithHTTPPathPattern(r.template))
		if err != nil {
			runtime.HTTPError(ctx, mux, outbound, w, req, err)
			return
		}
		reply := &plainv1.Movie{}
		if err := conn.Invoke(ctx, r.rpc, &plainv1.GetMovieRequest{Name: params["name"]}, reply); err != nil {
			runtime.HTTPError(ctx, mux, outbound, w, req, err)
			return
		}
		runtime.ForwardResponseMessage(ctx, mux, outbound, w, req, reply)
	}
}

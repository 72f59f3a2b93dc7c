// Package openapi describes the REST face of gRPC services as an OpenAPI 3.1
// document, made from their descriptors, and serves it with a page to read it
// and to try calls:
//
//	doc, err := openapi.New(openapi.Config{
//		Title: "Movies", Version: "1.4.0",
//		Security: openapi.Security{Bearer: true},
//	}, moviev1.File_movie_v1_movie_proto.Services().ByName("MovieService"))
//	…
//	mux.Handle("/openapi.json", doc.Handler())
//	mux.Handle("/openapi/", doc.Handler())
//
// What it says is what the gateway does with the same descriptors: it reads the
// options google.api.http, evenkeel.gateway.v1.access, answer, limits and
// policy, and the protovalidate rules.
//
// # Paths
//
// A wildcard of a path template is one parameter: `/v1/{name=shelves/*/books/*}`
// becomes `/v1/shelves/{shelves}/books/{books}`. One parameter for all of name
// would make the paths of different resources the same one, and would have
// clients escape its slashes, which then separate nothing. `**` is one parameter,
// marked x-multi-segment: its slashes are sent as they are. The template itself
// is in x-path-template. Methods that OpenAPI 3.1 has no place for, such as LOCK,
// are in x-additionalOperations, as OpenAPI 3.2 has them in
// additionalOperations; `*` there stands for any other method.
//
// # Schemas
//
// Each message and enum is a schema under its full name, in the JSON form of
// proto3, with JSON names, or in another form that [Config.JSON] says. Rules of protovalidate that JSON Schema can state are
// in it: bounds of numbers that JSON writes as numbers, lengths, patterns,
// formats, counts, sets of values, required fields and oneofs. Rules in CEL, and
// those for 64-bit integers that are strings, bytes, durations and timestamps, are not. Where a
// field switches off the rules of its message, that is another schema, whose
// name ends in `.Unchecked`; and one that ends in `.Part` is what a PATCH changes
// of a message, of which nothing need be there. The rules are those of requests; responses, which
// nothing checks, share the schemas.
//
// Descriptions are the comments of the protos. Generated Go code holds none;
// descriptors from buf or protoc --include_source_info do.
//
// # Sources
//
// OpenAPI Specification 3.1.1; JSON Schema 2020-12; google/api/http.proto; the
// ProtoJSON format; buf/validate/validate.proto; RFC 9457.
package openapi

package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// A Document is an OpenAPI 3.1 document. It does not change and is safe for
// concurrent use.
type Document struct {
	json       []byte
	problems   []byte // a page
	problemsAt string // where it is
	root       *root
}

// New makes the document of services, of all their methods that have a
// google.api.http option. It fails, by name, if
//   - config is not complete,
//   - a method does not say who may call it, or needs credentials where
//     Config.Security has none,
//   - an option cannot be read or names what is not there, or
//   - two bindings are one operation to OpenAPI.
func New(config Config, services ...protoreflect.ServiceDescriptor) (*Document, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("openapi: Config.%w", err)
	}
	b := newBuilder(config)
	for _, service := range services {
		if service == nil {
			return nil, fmt.Errorf("openapi: a service is nil")
		}
		if err := b.addService(service); err != nil {
			return nil, fmt.Errorf("openapi: %s: %w", service.FullName(), err)
		}
	}
	doc := b.finish()
	encoded, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	explained, err := problems(config.Title, config.problemsAt())
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return &Document{json: encoded, problems: explained, problemsAt: config.problemsAt(), root: doc}, nil
}

// JSON returns the document in JSON. The same config and descriptors make the
// same bytes.
func (d *Document) JSON() []byte { return slices.Clone(d.json) }

func encode(doc *root) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// builder makes one document.
type builder struct {
	config  Config
	doc     *root
	schemas *schemas
	shapes  map[string]shape // by the shape of the path
	owners  map[string]string
	ids     map[string]bool
	used    map[string]bool // components/responses that are referred to
}

// shape is how the parameters of paths of one shape are called, by the first.
type shape struct {
	path  string
	names []string
}

func newBuilder(config Config) *builder {
	doc := &root{
		OpenAPI: "3.1.1",
		Info:    info{Title: config.Title, Description: config.Description, Version: config.Version},
		Paths:   map[string]*pathItem{},
		Rates:   ratesOf(config.Rates),
		Limits:  limitsOf(config.Limits),
	}
	for _, s := range config.Servers {
		doc.Servers = append(doc.Servers, server{URL: s})
	}
	return &builder{
		config: config, doc: doc, schemas: newSchemas(config.JSON), shapes: map[string]shape{},
		owners: map[string]string{}, ids: map[string]bool{}, used: map[string]bool{},
	}
}

func (b *builder) addService(service protoreflect.ServiceDescriptor) error {
	b.doc.Tags = append(b.doc.Tags, tag{Name: string(service.FullName()), Description: comment(service)})
	methods := service.Methods()
	for i := range methods.Len() {
		if err := b.addMethod(methods.Get(i)); err != nil {
			return fmt.Errorf("method %s: %w", methods.Get(i).Name(), err)
		}
	}
	return nil
}

func (b *builder) finish() *root {
	b.schemas.made["Problem"] = problemSchema()
	b.doc.Components = components{
		Schemas: b.schemas.made, Responses: map[string]*response{}, Parameters: sharedParameters(b.config.Limits),
		SecuritySchemes: b.config.Security.schemes(),
	}
	// No operation answers 405: it is what a path answers to a method that it
	// does not have.
	b.used["405"] = true
	for name := range b.used {
		b.doc.Components.Responses[responseName(name)] = problemResponse(name)
	}
	return b.doc
}

// place finds the path item of a template, and the names of its parameters
// there.
func (b *builder) place(t *template) (*pathItem, shape) {
	key := t.shape()
	s, ok := b.shapes[key]
	if !ok {
		names := t.names()
		s = shape{path: t.path(names), names: names}
		for b.doc.Paths[s.path] != nil { // `*` and `**` at one place
			names[len(names)-1] += "_rest"
			s.path = t.path(names)
		}
		b.shapes[key] = s
		b.doc.Paths[s.path] = &pathItem{}
	}
	return b.doc.Paths[s.path], s
}

// id returns a name for an operation that no other has.
func (b *builder) id(method protoreflect.MethodDescriptor, nth int) string {
	suffix := ""
	if nth > 0 {
		suffix = fmt.Sprintf("_%d", nth+1)
	}
	id := string(method.Parent().Name()) + "_" + string(method.Name()) + suffix
	if b.ids[id] { // services of one name in two packages
		id = strings.ReplaceAll(string(method.FullName()), ".", "_") + suffix
	}
	for b.ids[id] {
		id += "_"
	}
	b.ids[id] = true
	return id
}

func ratesOf(policies []ratelimit.Policy) []rate {
	var rates []rate
	for _, p := range policies {
		burst := p.Rate.Burst
		if burst == 0 {
			burst = p.Rate.Requests
		}
		rates = append(rates, rate{
			Name: p.Name, Requests: p.Rate.Requests, Period: p.Rate.Period.String(), Burst: burst,
			Key: p.KeyName(), PerMethod: p.PerMethod,
		})
	}
	return rates
}

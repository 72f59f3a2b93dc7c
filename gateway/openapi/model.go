package openapi

// The parts of OpenAPI 3.1 that are used. Maps are written with sorted keys, so
// that the same descriptors make the same bytes.

type root struct {
	OpenAPI    string               `json:"openapi"`
	Info       info                 `json:"info"`
	Servers    []server             `json:"servers,omitempty"`
	Tags       []tag                `json:"tags,omitempty"`
	Paths      map[string]*pathItem `json:"paths"`
	Components components           `json:"components"`
	Rates      []rate               `json:"x-ratelimit,omitempty"`
	Limits     *limits              `json:"x-limits,omitempty"`
}

type info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

type server struct {
	URL string `json:"url"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type pathItem struct {
	Get        *operation            `json:"get,omitempty"`
	Put        *operation            `json:"put,omitempty"`
	Post       *operation            `json:"post,omitempty"`
	Delete     *operation            `json:"delete,omitempty"`
	Options    *operation            `json:"options,omitempty"`
	Head       *operation            `json:"head,omitempty"`
	Patch      *operation            `json:"patch,omitempty"`
	Trace      *operation            `json:"trace,omitempty"`
	Additional map[string]*operation `json:"x-additionalOperations,omitempty"`
}

// place returns where the operation of a method belongs, nil for one that
// OpenAPI 3.1 has no place for.
func (p *pathItem) place(method string) **operation {
	switch method {
	case "GET":
		return &p.Get
	case "PUT":
		return &p.Put
	case "POST":
		return &p.Post
	case "DELETE":
		return &p.Delete
	case "OPTIONS":
		return &p.Options
	case "HEAD":
		return &p.Head
	case "PATCH":
		return &p.Patch
	case "TRACE":
		return &p.Trace
	default:
		return nil
	}
}

// operations returns all operations by method.
func (p *pathItem) operations() map[string]*operation {
	all := map[string]*operation{}
	for _, method := range []string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"} {
		if op := *p.place(method); op != nil {
			all[method] = op
		}
	}
	for method, op := range p.Additional {
		all[method] = op
	}
	return all
}

// add adds an operation, unless one is there.
func (p *pathItem) add(method string, op *operation) bool {
	if at := p.place(method); at != nil {
		if *at != nil {
			return false
		}
		*at = op
		return true
	}
	if p.Additional == nil {
		p.Additional = map[string]*operation{}
	}
	if p.Additional[method] != nil {
		return false
	}
	p.Additional[method] = op
	return true
}

type operation struct {
	OperationID string               `json:"operationId"`
	Tags        []string             `json:"tags,omitempty"`
	Description string               `json:"description,omitempty"`
	Deprecated  bool                 `json:"deprecated,omitempty"`
	Parameters  []*parameter         `json:"parameters,omitempty"`
	RequestBody *requestBody         `json:"requestBody,omitempty"`
	Responses   map[string]*response `json:"responses"`
	// Security is never left out: [] says that no credentials are needed.
	Security []map[string][]string `json:"security"`

	RPC      string       `json:"x-grpc-method"`
	Template string       `json:"x-path-template"`
	Rates    []rate       `json:"x-ratelimit,omitempty"`
	Priority string       `json:"x-priority,omitempty"`
	Policy   *accessRules `json:"x-policy,omitempty"`
}

type parameter struct {
	Ref          string               `json:"$ref,omitempty"`
	Name         string               `json:"name,omitempty"`
	In           string               `json:"in,omitempty"`
	Description  string               `json:"description,omitempty"`
	Required     bool                 `json:"required,omitempty"`
	Deprecated   bool                 `json:"deprecated,omitempty"`
	Style        string               `json:"style,omitempty"`
	Explode      bool                 `json:"explode,omitempty"`
	Schema       *schema              `json:"schema,omitempty"`
	Content      map[string]mediaType `json:"content,omitempty"`
	MultiSegment bool                 `json:"x-multi-segment,omitempty"`
	Field        string               `json:"x-field,omitempty"`
	Oneof        string               `json:"x-oneof,omitempty"`
}

type requestBody struct {
	Description string               `json:"description,omitempty"`
	Content     map[string]mediaType `json:"content"`
	Required    bool                 `json:"required,omitempty"`
}

type response struct {
	Ref         string               `json:"$ref,omitempty"`
	Description string               `json:"description,omitempty"`
	Headers     map[string]header    `json:"headers,omitempty"`
	Content     map[string]mediaType `json:"content,omitempty"`
}

type header struct {
	Description string  `json:"description,omitempty"`
	Schema      *schema `json:"schema"`
}

type mediaType struct {
	Schema *schema `json:"schema,omitempty"`
}

type components struct {
	Schemas         map[string]*schema        `json:"schemas"`
	Responses       map[string]*response      `json:"responses,omitempty"`
	Parameters      map[string]*parameter     `json:"parameters,omitempty"`
	SecuritySchemes map[string]securityScheme `json:"securitySchemes,omitempty"`
}

type securityScheme struct {
	Type         string `json:"type"`
	Description  string `json:"description,omitempty"`
	Name         string `json:"name,omitempty"`
	In           string `json:"in,omitempty"`
	Scheme       string `json:"scheme,omitempty"`
	BearerFormat string `json:"bearerFormat,omitempty"`
}

type rate struct {
	Name     string `json:"name"`
	Requests int64  `json:"requests"`
	Period   string `json:"period"`
	Burst    int64  `json:"burst"`
	Key      string `json:"key"`
	// PerMethod says that each method is counted by itself.
	PerMethod bool `json:"perMethod,omitempty"`
}

// limits are those of every request; what is not limited is left out.
type limits struct {
	HeaderBytes     int    `json:"headerBytes,omitempty"`
	URLBytes        int    `json:"urlBytes,omitempty"`
	QueryParameters int    `json:"queryParameters,omitempty"`
	BodyBytes       int64  `json:"bodyBytes,omitempty"`
	JSONDepth       int    `json:"jsonDepth,omitempty"`
	ReadBody        string `json:"readBody,omitempty"`
	Call            string `json:"call,omitempty"`
	CallMax         string `json:"callMax,omitempty"`
	Stream          string `json:"stream,omitempty"`
}

type accessRules struct {
	AnyRole    []string    `json:"anyRole,omitempty"`
	Conditions []condition `json:"conditions,omitempty"`
}

type condition struct {
	ID      string `json:"id"`
	Message string `json:"message,omitempty"`
}

// schema is a JSON Schema of the dialect of OpenAPI 3.1, which is 2020-12.
type schema struct {
	Ref                  string             `json:"$ref,omitempty"`
	Type                 any                `json:"type,omitempty"` // a string, or several
	Format               string             `json:"format,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Deprecated           bool               `json:"deprecated,omitempty"`
	ContentEncoding      string             `json:"contentEncoding,omitempty"`
	Const                any                `json:"const,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Minimum              any                `json:"minimum,omitempty"`
	Maximum              any                `json:"maximum,omitempty"`
	ExclusiveMinimum     any                `json:"exclusiveMinimum,omitempty"`
	ExclusiveMaximum     any                `json:"exclusiveMaximum,omitempty"`
	MinLength            *uint64            `json:"minLength,omitempty"`
	MaxLength            *uint64            `json:"maxLength,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinItems             *uint64            `json:"minItems,omitempty"`
	MaxItems             *uint64            `json:"maxItems,omitempty"`
	UniqueItems          bool               `json:"uniqueItems,omitempty"`
	MinProperties        *uint64            `json:"minProperties,omitempty"`
	MaxProperties        *uint64            `json:"maxProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties *schema            `json:"additionalProperties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AllOf                []*schema          `json:"allOf,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	OneOf                []*schema          `json:"oneOf,omitempty"`
	Not                  *schema            `json:"not,omitempty"`
}

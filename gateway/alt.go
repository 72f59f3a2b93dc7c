package gateway

import (
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
	"github.com/evenkeel/evenkeel/gateway/internal/query"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// alternative is what the query parameter alt or $alt asks for, as in Google's
// APIs: `json`, `ndjson`, `sse` or `media`, and behind a semicolon
// `enum-encoding=int`. It goes before Accept, for those who cannot set that.
type alternative struct {
	name, format string // name is that of the parameter
	enumNumbers  bool
}

// formats are the media types that alt names.
var formats = map[string]string{"json": typeJSON, "ndjson": typeNDJSON, "sse": typeSSE}

// parseQuery reads the query.
func (x *exchange) parseQuery() *problem.Problem {
	raw := x.request.URL.RawQuery
	if raw == "" {
		return nil
	}
	if n := strings.Count(raw, "&") + 1; n > x.gateway.config.Limits.QueryParameters {
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the query has too many parameters")
	}
	values, ok := query.Parse(withEscapedAlt(raw))
	if !ok {
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the query is malformed; parameters are separated by & and escaped with %")
	}
	x.query = values
	return nil
}

// withEscapedAlt escapes semicolons in the parameters alt and $alt, which hold one
// as people write them. net/url refuses it in a query: it was a separator once,
// and to some proxies still is.
func withEscapedAlt(raw string) string {
	if !strings.Contains(raw, ";") {
		return raw
	}
	parameters := strings.Split(raw, "&")
	for i, parameter := range parameters {
		name, value, _ := strings.Cut(parameter, "=")
		if name == "alt" || name == "$alt" || name == "%24alt" {
			parameters[i] = name + "=" + strings.ReplaceAll(value, ";", "%3B")
		}
	}
	return strings.Join(parameters, "&")
}

// alternative takes alt and $alt out of the query. A method whose request has a
// field of that name keeps `alt` for that.
func (x *exchange) alternative() (alternative, *problem.Problem) {
	var alt alternative
	for _, name := range []string{"alt", "$alt"} {
		values, there := x.query[name]
		if !there || name == "alt" && fieldpath.Field(x.binding.message.Descriptor(), name) != nil {
			continue
		}
		delete(x.query, name)
		if alt.name != "" || len(values) > 1 {
			return alt, badAlt(name, "it is set more than once")
		}
		alt.name = name
		var params string
		alt.format, params, _ = strings.Cut(values[0], ";")
		switch params {
		case "":
		case "enum-encoding=int":
			alt.enumNumbers = true
		default:
			return alt, badAlt(name, "behind the semicolon, only enum-encoding=int is known")
		}
		if formats[alt.format] == "" && alt.format != "media" {
			return alt, badAlt(name, "it must be json, ndjson, sse or media")
		}
	}
	return alt, nil
}

func badAlt(name, detail string) *problem.Problem {
	return badRequest("the query does not fit the method", []problem.FieldError{{Field: name, Detail: detail}})
}

// negotiate chooses the answer's media type.
func (x *exchange) negotiate() *problem.Problem {
	alt, p := x.alternative()
	if p != nil {
		return p
	}
	x.enumNumbers = alt.enumNumbers
	offers := []string{typeJSON}
	switch {
	case x.binding.answersMedia:
		if alt.name != "" && alt.format != "media" {
			return badAlt(alt.name, "the method chooses its media type itself; it can only be media")
		}
		x.writer.raw = true
		return nil
	case x.binding.serverStream():
		offers = []string{typeNDJSON, typeSSE, typeJSON}
	}
	if alt.name != "" {
		x.contentType = formats[alt.format]
		for _, offer := range offers {
			if offer == x.contentType {
				return nil
			}
		}
		return badAlt(alt.name, "the answer can only be "+strings.Join(offers, " or "))
	}
	if x.contentType = negotiate(x.request.Header["Accept"], offers...); x.contentType == "" {
		return problem.New(http.StatusNotAcceptable, codes.InvalidArgument, "the answer can only be "+strings.Join(offers, " or "))
	}
	return nil
}

package openapi

import (
	"net/http"
	"strconv"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// failures says when the door, or the service behind it, answers with a status.
// 404 and 405 for paths and methods that are no operation are in here, too: an
// operation of its own they do not have.
var failures = map[string]string{
	"400":     "The request is not valid; `errors` tells the fields.",
	"401":     "There are no credentials that hold.",
	"403":     "The caller is known, but not let in; or a page of another site sent it.",
	"404":     "What the path names is not there.",
	"405":     "The path does not have this method; the header Allow names those that it has.",
	"406":     "The answer has no form that Accept takes.",
	"408":     "The body did not arrive in time.",
	"412":     "The state is not the one that If-Match names.",
	"413":     "The body is too large.",
	"414":     "The URL is too long.",
	"415":     "The body has a media type or an encoding that is not taken.",
	"429":     "Too many calls; Retry-After tells when to try again.",
	"503":     "It cannot be served at the moment; Retry-After, if it is there, tells when to try again.",
	"504":     "The answer did not come within the deadline.",
	"default": "Any other error.",
}

// responses returns what a method answers: what the door gives for it, and as
// default what only the service behind it can.
func (b *builder) responses(x *binding, op *operation) (map[string]*response, error) {
	status, answer, err := b.success(x)
	if err != nil {
		return nil, err
	}
	all := map[string]*response{status: answer}
	if x.givesETag() && x.verb == "GET" {
		all["304"] = &response{Description: "It is the state that If-None-Match names."}
	}
	for _, status := range b.statuses(x, op) {
		b.used[status] = true
		all[status] = &response{Ref: "#/components/responses/" + responseName(status)}
	}
	return all, nil
}

func (b *builder) statuses(x *binding, op *operation) []string {
	hasBody := x.body != ""
	wildcards := len(x.template.wildcards()) > 0
	var found []string
	for _, s := range []struct {
		status  string
		applies bool
	}{
		{"400", true},
		// Credentials that do not hold are refused where none are needed, too.
		{"401", !b.config.Security.none()},
		{"403", len(x.rule.Scopes()) > 0 || op.Policy != nil || x.verb == "POST" || x.verb == "*"},
		{"404", wildcards},
		{"406", !x.answersMedia()},
		{"408", hasBody},
		{"412", x.takesETag()},
		{"413", true}, // of a body, also one that the method does not take
		{"414", true},
		{"415", hasBody && !x.bodyIsMedia()},
		{"429", len(op.Rates) > 0 || len(b.config.Rates) > 0},
		{"503", true},
		{"504", true},
		{"default", true},
	} {
		if s.applies {
			found = append(found, s.status)
		}
	}
	return found
}

// responseName is what an error is called in the components.
func responseName(status string) string {
	if status == "default" {
		return "Error"
	}
	return "Error" + status
}

func problemResponse(status string) *response {
	r := &response{
		Description: failures[status],
		Content:     map[string]mediaType{problem.ContentType: {Schema: reference("Problem")}},
	}
	if code, err := strconv.Atoi(status); err == nil {
		r.Description = http.StatusText(code) + ". " + r.Description
	}
	text := func(description string) header {
		return header{Description: description, Schema: &schema{Type: "string"}}
	}
	switch status {
	case "401":
		r.Headers = map[string]header{"WWW-Authenticate": text("Which credentials are taken.")}
	case "405":
		r.Headers = map[string]header{"Allow": text("The methods of the path.")}
	case "429":
		r.Headers = map[string]header{
			"Retry-After":      text("Seconds until it is worth trying again."),
			"RateLimit":        text("Where the caller stands with each rate."),
			"RateLimit-Policy": text("The rates."),
		}
	case "503":
		r.Headers = map[string]header{"Retry-After": text("Seconds until it is worth trying again.")}
	}
	return r
}

// problemSchema is the JSON form of a problem.Problem.
func problemSchema() *schema {
	text := func(description string) *schema { return &schema{Type: "string", Description: description} }
	return &schema{
		Type: "object", Description: "An error, as problem details (RFC 9457).",
		Required: []string{"type", "title", "status", "code"},
		Properties: map[string]*schema{
			"type":     {Type: "string", Format: "uri-reference", Description: "Names the kind of problem, by where it is explained; about:blank says that status and code are all there is to it."},
			"title":    text("The HTTP status in words."),
			"status":   {Type: "integer", Minimum: 400, Maximum: 599, Description: "The HTTP status."},
			"detail":   text("What went wrong this time."),
			"instance": text("The request's id."),
			"code":     text("The name of the gRPC code, such as NOT_FOUND."),
			"errors": {
				Type: "array", Description: "The fields that are wrong.",
				Items: &schema{
					Type: "object", Required: []string{"field", "detail"},
					Properties: map[string]*schema{
						"field":  text("The field's path in the request message."),
						"detail": text("What is wrong with it."),
						"reason": text("The rule that it breaks, such as string.min_len."),
					},
				},
			},
			"violated-policies": {
				Type: "array", Description: "The rates that the call was over, by name.", Items: &schema{Type: "string"},
			},
			"details": {
				Type: "array", Description: "The details of the google.rpc.Status.",
				Items: &schema{Type: "object", Properties: map[string]*schema{"@type": {Type: "string"}}, Required: []string{"@type"}},
			},
		},
	}
}

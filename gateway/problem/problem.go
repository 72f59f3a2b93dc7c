// Package problem writes errors as problem details (RFC 9457) that carry what a
// google.rpc.Status carries, and nothing that is not meant for the caller.
//
//	problem.FromStatus(status.Convert(err)).Write(w)
//
// answers
//
//	HTTP/1.1 404 Not Found
//	Content-Type: application/problem+json
//
//	{"type":"about:blank","title":"Not Found","status":404,
//	 "detail":"there is no movie movies/7","code":"NOT_FOUND"}
//
// Sources: RFC 9457; google/rpc/status.proto, code.proto and
// error_details.proto; AIP-193.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// A Problem is an error as it is told to a caller. Its JSON form is the body of
// the answer.
type Problem struct {
	// Type is a URI reference that names the kind of problem. "about:blank",
	// the default, says that Status and Code are all there is to it; see
	// ExplainAt.
	Type string `json:"type"`
	// Title is the HTTP status in words.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail is what went wrong this time, in a sentence.
	Detail string `json:"detail,omitempty"`
	// Instance is the request's id, under which the log holds more.
	Instance string `json:"instance,omitempty"`
	// Code is the name of the gRPC code, such as NOT_FOUND.
	Code string `json:"code"`
	// Errors are the fields that are wrong, from a BadRequest among the details.
	Errors []FieldError `json:"errors,omitempty"`
	// Details are the details of the google.rpc.Status, each with its @type.
	Details []json.RawMessage `json:"details,omitempty"`

	// ViolatedPolicies are the rates that a call was over, by name. They belong to
	// [TypeQuotaExceeded], which defines them.
	ViolatedPolicies []string `json:"violated-policies,omitempty"`

	// RetryAfter is when the caller may try again, from a RetryInfo among the
	// details. It is told in the header Retry-After.
	RetryAfter time.Duration `json:"-"`
}

// A FieldError says what is wrong with one field of a request.
type FieldError struct {
	// Field is its path from the request message, in JSON names:
	// `movie.releaseYear`, `tags[2]`, `labels["a"]`.
	Field string `json:"field"`
	// Detail is what is wrong with it.
	Detail string `json:"detail"`
	// Reason names the rule that it breaks, such as `string.min_len`, if there
	// is a name.
	Reason string `json:"reason,omitempty"`
}

// New returns a problem with an HTTP status, which may be more precise than the
// gRPC code.
func New(httpStatus int, c codes.Code, detail string, errors ...FieldError) *Problem {
	return &Problem{
		Type: TypeBlank, Title: title(httpStatus), Status: httpStatus,
		Detail: detail, Code: CodeName(c), Errors: errors,
	}
}

// Write answers with p. It sets no header but those that belong to the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // not possible with what FromStatus and New make
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"INTERNAL"}`)
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if p.RetryAfter > 0 {
		// Whole seconds, rounded up: earlier would be too early.
		h.Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller may be gone
}

// GRPCCode returns the code that Code names.
func (p *Problem) GRPCCode() codes.Code {
	if c, ok := code.Code_value[p.Code]; ok {
		return codes.Code(c)
	}
	return codes.Unknown
}

// CodeName returns the name of a gRPC code as google/rpc/code.proto spells it.
func CodeName(c codes.Code) string {
	if name, ok := code.Code_name[int32(c)]; ok {
		return name
	}
	return "UNKNOWN"
}

// StatusClientClosedRequest is answered to a caller that is gone. It has no
// standard number; nginx's is in wide use, and google/rpc/code.proto names it.
const StatusClientClosedRequest = 499

// HTTPStatus returns the HTTP status that google/rpc/code.proto gives a code.
func HTTPStatus(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.Canceled:
		return StatusClientClosedRequest
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	default: // Unknown, Internal, DataLoss and what is yet to come
		return http.StatusInternalServerError
	}
}

func title(httpStatus int) string {
	if httpStatus == StatusClientClosedRequest {
		return "Client Closed Request"
	}
	return http.StatusText(httpStatus)
}

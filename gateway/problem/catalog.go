package problem

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// A Kind is a kind of problem that callers may meet. The gateway tells no other.
type Kind struct {
	// Status and Code are those of the problem.
	Status int
	Code   codes.Code
	// Type is where the problem is defined, or "about:blank" for one whose type
	// is the page that explains it, if one is served, see [Problem.ExplainAt].
	Type string
	// Means says what has happened, and Remedy what its caller can do.
	Means, Remedy string
}

// Anchor names the kind within a page: "412-aborted", "429-quota-exceeded". No
// other kind has the same.
func (k Kind) Anchor() string {
	name := strings.ToLower(strings.ReplaceAll(CodeName(k.Code), "_", "-"))
	if _, fragment, defined := strings.Cut(k.Type, "#"); defined {
		name = fragment
	}
	return strconv.Itoa(k.Status) + "-" + name
}

// Title is the HTTP status in words.
func (k Kind) Title() string { return title(k.Status) }

// CodeName is the name of Code as problems have it.
func (k Kind) CodeName() string { return CodeName(k.Code) }

// TypeBlank is the type of a problem that Status and Code say all of (RFC 9457,
// section 4.2.1).
const TypeBlank = "about:blank"

// TypeQuotaExceeded is the type of the problem that answers a call over its rate
// (IETF draft ratelimit-headers, in IANA's registry of problem types).
const TypeQuotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"

// Kinds returns every kind of problem that a gateway answers, by status.
func Kinds() []Kind { return slices.Clone(kinds) }

// ExplainAt names as p's type the section of a page that explains each of
// [Kinds] under its Anchor. A type of p's own stays, and so does that of a
// problem that is none of them.
func (p *Problem) ExplainAt(page string) {
	if p.Type != TypeBlank {
		return
	}
	for _, k := range kinds {
		if k.Status == p.Status && k.CodeName() == p.Code && k.Type == TypeBlank {
			p.Type = page + "#" + k.Anchor()
			return
		}
	}
}

const (
	again  = "Try again, after Retry-After where it is told, more slowly each time. Do so only with requests that may be made twice."
	report = "Report it with the problem's `instance`, under which the log holds more."
)

var kinds = []Kind{
	{http.StatusBadRequest, codes.InvalidArgument, TypeBlank,
		"The request is not valid: its path, query, headers or body do not fit the method, or break the rules of a field. `errors` tells the fields, each with its path in the request message, and the rule that it breaks.",
		"Change the request."},
	{http.StatusBadRequest, codes.FailedPrecondition, TypeBlank,
		"The service is not in a state in which it does that, such as a folder that is to be deleted and is not empty.",
		"Change the state first; trying again does not help."},
	{http.StatusBadRequest, codes.OutOfRange, TypeBlank,
		"The request reaches beyond what there is, such as the end of a file.",
		"Stay within the range."},
	{http.StatusUnauthorized, codes.Unauthenticated, TypeBlank,
		"There are no credentials, or some that do not hold. WWW-Authenticate tells which are taken.",
		"Send credentials that hold; get a new token if the old one expired."},
	{http.StatusForbidden, codes.PermissionDenied, TypeBlank,
		"The caller is known, but lacks a scope or a role, or a condition of the method's policy is not met; or a page of another site made a browser send it. `detail` tells which.",
		"Ask for what is lacking; trying again does not help."},
	{http.StatusNotFound, codes.NotFound, TypeBlank,
		"There is nothing at the path, or no such resource.",
		"Correct the path."},
	{http.StatusMethodNotAllowed, codes.Unimplemented, TypeBlank,
		"The path does not have this HTTP method. Allow names those that it has.",
		"Use one of them."},
	{http.StatusNotAcceptable, codes.InvalidArgument, TypeBlank,
		"The answer has no form that Accept takes. `detail` names those that it has.",
		"Ask for one of them."},
	{http.StatusRequestTimeout, codes.DeadlineExceeded, TypeBlank,
		"The body did not arrive in time. The connection is closed.",
		"Send it faster, or in parts."},
	{http.StatusConflict, codes.AlreadyExists, TypeBlank,
		"What is to be made is there already.",
		"Choose another name, or update what is there."},
	{http.StatusConflict, codes.Aborted, TypeBlank,
		"Somebody else changed it at the same time.",
		"Read it again, and then change it."},
	{http.StatusPreconditionFailed, codes.Aborted, TypeBlank,
		"The resource is not in the state that If-Match names.",
		"Read it again, and change it with the tag that it has now."},
	{http.StatusRequestEntityTooLarge, codes.InvalidArgument, TypeBlank,
		"The body is too large, before or after it was inflated. `detail` tells the limit.",
		"Send less."},
	{http.StatusRequestURITooLong, codes.InvalidArgument, TypeBlank,
		"The URL is too long.",
		"Shorten it; long lists belong into a body."},
	{http.StatusUnsupportedMediaType, codes.InvalidArgument, TypeBlank,
		"The body has a media type or an encoding that is not taken. Accept or Accept-Encoding tell which are.",
		"Send JSON, plain or in gzip."},
	{http.StatusTooManyRequests, codes.ResourceExhausted, TypeQuotaExceeded,
		"More calls were made than a rate has room for. `violated-policies` names the rates that the call was over, and `detail` the one that takes longest; RateLimit and RateLimit-Policy tell all that apply.",
		"Wait for as long as Retry-After says."},
	{http.StatusTooManyRequests, codes.ResourceExhausted, TypeBlank,
		"The service has run out of something, such as the caller's quota, or a message of a stream was larger than it takes.",
		again},
	{StatusClientClosedRequest, codes.Canceled, TypeBlank,
		"The call was cancelled. Whoever gave up waiting does not see this; the log does.",
		"None is needed."},
	{http.StatusInternalServerError, codes.Unknown, TypeBlank,
		"Something went wrong inside. What, is not told.",
		report},
	{http.StatusInternalServerError, codes.Internal, TypeBlank,
		"Something went wrong inside. What, is not told.",
		report},
	{http.StatusInternalServerError, codes.DataLoss, TypeBlank,
		"Data are lost or damaged. Which, is not told.",
		report},
	{http.StatusNotImplemented, codes.Unimplemented, TypeBlank,
		"The service does not implement the method, or not yet.",
		"Use another method, or wait for the service to be updated."},
	{http.StatusServiceUnavailable, codes.Unavailable, TypeBlank,
		"It cannot be served at the moment: the service cannot be reached, has too much to do, or the gateway is about to end. A stream tells so as its last message.",
		again},
	{http.StatusGatewayTimeout, codes.DeadlineExceeded, TypeBlank,
		"The answer did not come within the deadline, which may be the caller's own (Grpc-Timeout). The service may have done what it was asked to.",
		again},
}

package auth

// An Error says why credentials do not hold, in words that the caller may
// read: it must hold nothing secret.
type Error struct {
	// Code is one of the codes below.
	Code string
	// Description is one short sentence without quotes and backslashes.
	Description string
	// Cause is what was found, for the log. It must hold no secret either.
	Cause error
	// Pass lets the authenticators behind judge the credentials too, as those
	// of another issuer; if none knows them, the error stands.
	Pass bool
}

// Codes as in RFC 6750, section 3.1.
const (
	// CodeInvalidCredentials is answered 401.
	CodeInvalidCredentials = "invalid_token"
	// CodeInvalidRequest is answered 400.
	CodeInvalidRequest = "invalid_request"
	// CodeUnavailable is answered 503: the credentials could not be judged.
	CodeUnavailable = "temporarily_unavailable"
)

// ErrAmbiguous refuses a request that carries more than one credential, since
// who it comes from would depend on which one is looked at.
var ErrAmbiguous = &Error{Code: CodeInvalidRequest, Description: "the request carries more than one credential; send exactly one"}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Description + ": " + e.Cause.Error()
	}
	return e.Description
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

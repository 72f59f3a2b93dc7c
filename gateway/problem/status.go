package problem

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// neutral is what is said instead of the message of a status with such a code.
// Those messages are made by transports, libraries and bugs, not for callers:
// they hold addresses, file names, queries.
var neutral = map[codes.Code]string{
	codes.Unknown:          "something went wrong inside; the log holds more under this instance",
	codes.Internal:         "something went wrong inside; the log holds more under this instance",
	codes.DataLoss:         "something went wrong inside; the log holds more under this instance",
	codes.Unavailable:      "the service cannot be reached at the moment; try again later",
	codes.DeadlineExceeded: "the answer did not come within the deadline",
	codes.Canceled:         "the call was cancelled",
	codes.Unimplemented:    "the service does not implement this method",
}

// Withheld reports whether FromStatus leaves st's message out, so that it
// should be logged.
func Withheld(st *status.Status) bool {
	return neutralText(st) != "" && st.Message() != ""
}

func neutralText(st *status.Status) string {
	if text, ok := neutral[st.Code()]; ok {
		return text
	}
	if st.Code() > codes.Unauthenticated { // no code that gRPC has
		return neutral[codes.Unknown]
	}
	// gRPC's own, about message sizes and the like.
	if strings.HasPrefix(st.Message(), "grpc: ") || strings.HasPrefix(st.Message(), "trying to send message larger") {
		return "a message was larger than the service takes or gives"
	}
	return ""
}

// FromStatus tells what st says, without what is not for callers. Messages of
// UNKNOWN, INTERNAL, DATA_LOSS, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED and
// UNIMPLEMENTED are replaced by neutral ones, and of their details only
// RetryInfo, LocalizedMessage and Help are kept. Of other statuses, the details
// that are kept are those of AIP-193: BadRequest, ErrorInfo, RetryInfo,
// QuotaFailure, PreconditionFailure, ResourceInfo, Help and LocalizedMessage;
// never DebugInfo, RequestInfo or types of one's own. st must not be OK.
func FromStatus(st *status.Status) *Problem {
	p := New(HTTPStatus(st.Code()), st.Code(), st.Message())
	text := neutralText(st)
	if text != "" {
		p.Detail = text
	}
	for _, packed := range st.Proto().GetDetails() {
		detail := unpack(packed)
		if detail == nil || text != "" && !harmless(detail) {
			continue
		}
		p.add(packed, detail)
	}
	return p
}

// unpack returns a detail of a type that may be told, or nil.
func unpack(packed *anypb.Any) proto.Message {
	var detail proto.Message
	switch string(packed.MessageName()) {
	case "google.rpc.BadRequest":
		detail = new(errdetails.BadRequest)
	case "google.rpc.ErrorInfo":
		detail = new(errdetails.ErrorInfo)
	case "google.rpc.RetryInfo":
		detail = new(errdetails.RetryInfo)
	case "google.rpc.QuotaFailure":
		detail = new(errdetails.QuotaFailure)
	case "google.rpc.PreconditionFailure":
		detail = new(errdetails.PreconditionFailure)
	case "google.rpc.ResourceInfo":
		detail = new(errdetails.ResourceInfo)
	case "google.rpc.Help":
		detail = new(errdetails.Help)
	case "google.rpc.LocalizedMessage":
		detail = new(errdetails.LocalizedMessage)
	default:
		return nil
	}
	if err := packed.UnmarshalTo(detail); err != nil {
		return nil
	}
	return detail
}

// harmless reports whether a detail is for the caller even where the message
// is not.
func harmless(detail proto.Message) bool {
	switch detail.(type) {
	case *errdetails.RetryInfo, *errdetails.LocalizedMessage, *errdetails.Help:
		return true
	default:
		return false
	}
}

func (p *Problem) add(packed *anypb.Any, detail proto.Message) {
	encoded, err := protojson.Marshal(packed)
	if err != nil {
		return
	}
	// protojson spaces its output at random.
	var compact bytes.Buffer
	if err := json.Compact(&compact, encoded); err != nil {
		return
	}
	p.Details = append(p.Details, compact.Bytes())
	switch d := detail.(type) {
	case *errdetails.BadRequest:
		for _, v := range d.GetFieldViolations() {
			p.Errors = append(p.Errors, FieldError{Field: v.GetField(), Detail: v.GetDescription(), Reason: v.GetReason()})
		}
	case *errdetails.RetryInfo:
		p.RetryAfter = d.GetRetryDelay().AsDuration()
	}
}

// ToStatus returns a status of code c that carries errors as a BadRequest, the
// inverse of what FromStatus does with it.
func ToStatus(c codes.Code, message string, errors ...FieldError) *status.Status {
	st := status.New(c, message)
	if len(errors) == 0 {
		return st
	}
	bad := &errdetails.BadRequest{}
	for _, e := range errors {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: e.Field, Description: e.Detail, Reason: e.Reason,
		})
	}
	with, err := st.WithDetails(bad)
	if err != nil { // c is OK
		return st
	}
	return with
}

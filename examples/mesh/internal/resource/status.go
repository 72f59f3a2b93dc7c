package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
)

// Validate checks a request against its rules in the protos. The front door has done
// so before; a service asks again since not everybody comes through the door.
func Validate(request proto.Message) error {
	err := protovalidate.Validate(request)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return StatusOf(err)
	}
	detail := &errdetails.BadRequest{}
	for _, v := range invalid.Violations {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
			Reason:      v.Proto.GetRuleId(),
		})
	}
	first := detail.FieldViolations[0]
	return withDetail(codes.InvalidArgument, first.Field+": "+first.Description, detail)
}

// InvalidArgument says what is wrong with one field of a request.
func InvalidArgument(field, description string) error {
	return withDetail(codes.InvalidArgument, field+": "+description, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: description}},
	})
}

// NotFound says which resource is not there.
func NotFound(kind, name string) error {
	return withDetail(codes.NotFound, name+" does not exist", &errdetails.ResourceInfo{ResourceType: kind, ResourceName: name})
}

// FailedPrecondition says what has to be done first about the resource.
func FailedPrecondition(reason, name, description string) error {
	return withDetail(codes.FailedPrecondition, description, &errdetails.PreconditionFailure{
		Violations: []*errdetails.PreconditionFailure_Violation{{Type: reason, Subject: name, Description: description}},
	})
}

// checkEtag refuses a write with an etag of another state.
func checkEtag(m Message, etag string) error {
	if etag == "" || etag == m.GetEtag() {
		return nil
	}
	return withDetail(codes.Aborted, fmt.Sprintf("%s has changed since etag %q: read it again", m.GetName(), etag), &errdetails.ErrorInfo{
		Reason: "ETAG_MISMATCH", Domain: "mesh", Metadata: map[string]string{"name": m.GetName()},
	})
}

// Upstream is the error of a call to another service that was needed for an answer.
// That the service does not answer is Unavailable; the time being up or the caller
// having left is passed on. Whatever else it is, it is no fault of this caller's, who
// is not told of it.
func Upstream(service string, err error) error {
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.DeadlineExceeded, codes.Canceled:
		return status.Error(status.Code(err), "while waiting for the "+service+" service")
	case codes.Unavailable, codes.ResourceExhausted:
	default:
		slog.Error("a call to another service failed", "service", service, "error", err)
	}
	return status.Errorf(codes.Unavailable, "the %s service, which is needed for the answer, does not give one", service)
}

// StatusOf makes a status of what a store or a check returned. What has no status is
// logged and not shown.
func StatusOf(err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case errors.Is(err, store.ErrBusy):
		return status.Error(codes.Unavailable, "another process holds the store: nothing was read or written, try again")
	case errors.Is(err, store.ErrClosed):
		return status.Error(codes.Unavailable, "this replica is going away: try another, or resume the stream there")
	case errors.Is(err, store.ErrTooOld):
		return status.Error(codes.OutOfRange, "the changes behind resume_token are no longer kept: list again and watch from now on")
	}
	slog.Error("a request failed", "error", err)
	return status.Error(codes.Internal, "internal error")
}

func withDetail(code codes.Code, message string, detail protoadapt.MessageV1) error {
	s := status.New(code, message)
	if detailed, err := s.WithDetails(detail); err == nil {
		s = detailed
	}
	return s.Err()
}

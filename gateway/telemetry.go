package gateway

import (
	"context"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/problem"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// overloadReason is what the log says of calls that were shed.
const overloadReason = "overload"

// observe begins the request's span, and its load report if there is one.
func (x *exchange) observe() {
	c := &x.gateway.config
	x.writer.load, x.writer.request = c.LoadReport, x.request
	x.request, x.observed = c.Telemetry.Start(x.request)
}

// tell ends the request's span and counts it.
func (x *exchange) tell() {
	x.gateway.config.LoadReport.Count(x.panicked || x.writer.status == 0 ||
		x.writer.status >= http.StatusInternalServerError || x.failedInBand())
	if x.observed == nil {
		return
	}
	o := telemetry.Outcome{
		Status: x.writer.status, RequestBytes: x.bytesIn.Load(), ResponseBytes: x.bytesOut(),
		Rejected: x.rejected(), Panicked: x.panicked, RequestID: x.id,
		ClientAddress: x.behind(),
	}
	if x.binding != nil {
		o.Route, o.Code = x.binding.observed, problem.CodeName(x.code)
		o.FailedInBand = x.failedInBand()
	}
	x.observed.End(o)
}

// failedInBand reports whether the server failed after its status was sent.
func (x *exchange) failedInBand() bool {
	return x.writer.status < http.StatusBadRequest && problem.HTTPStatus(x.code) >= http.StatusInternalServerError
}

// rejected returns why the door itself refused the request, if it did. What was
// answered tells it, unless it came from the backend.
func (x *exchange) rejected() telemetry.Reason {
	status := x.writer.status
	refused := x.refused.Load()
	switch {
	case refused != nil:
		status = refused.Status // what was sent before may say that all is well
	case x.panicked, x.request.Context().Err() != nil:
		return "" // a caller who went away was not refused
	case x.shedByLimit():
		return telemetry.Overloaded
	case x.called.Load():
		return ""
	}
	switch {
	case status < http.StatusBadRequest:
		return ""
	case status == http.StatusUnauthorized:
		return telemetry.Unauthenticated
	case status == http.StatusForbidden:
		return telemetry.Denied
	case status == http.StatusNotFound:
		return telemetry.NotFound
	case status == http.StatusMethodNotAllowed:
		return telemetry.MethodNotAllowed
	case status == http.StatusTooManyRequests:
		return telemetry.RateLimited
	case status == http.StatusServiceUnavailable && (x.reason == overloadReason || x.reason == letGoReason):
		return telemetry.Overloaded
	case status >= http.StatusInternalServerError:
		return telemetry.Unavailable
	default:
		return telemetry.Invalid
	}
}

// shedByLimit reports whether the limit on calls in flight refused the call when
// it was about to be made.
func (x *exchange) shedByLimit() bool {
	return x.binding != nil && x.binding.overload != nil && x.called.Load() && !x.sent.Load() && x.code == codes.Unavailable
}

// letThrough marks the calls that the limit let through.
type letThrough struct{ grpc.ClientConnInterface }

func markSent(ctx context.Context) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.sent.Store(true)
	}
}

func (c letThrough) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	markSent(ctx)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func (c letThrough) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	markSent(ctx)
	return c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
}

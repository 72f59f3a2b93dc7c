package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// fail answers with a problem.
func (x *exchange) fail(p *problem.Problem) {
	if x.dry != nil {
		x.dry.problem = p
		return
	}
	x.note(p)
	x.sign(p)
	// What a generated handler set before it failed.
	h := x.writer.Header()
	h.Del("Trailer")
	h.Del("Transfer-Encoding")
	if x.inbox != nil && !x.inbox.ended {
		x.leaveBody()
	}
	p.Write(x.writer)
}

// sign says whose problem it is, and where it is explained if anywhere.
func (x *exchange) sign(p *problem.Problem) {
	p.Instance = x.id
	if d := x.gateway.description.Load(); d != nil {
		p.ExplainAt(d.document.Problems())
	}
}

func (x *exchange) note(p *problem.Problem) {
	x.code = p.GRPCCode()
	switch {
	case x.reason != "" || x.called.Load():
		// What a backend says may quote the request.
	case len(p.Errors) > 0:
		x.reason = "the request does not fit the method" // field names are the caller's
	default:
		x.reason = p.Detail
	}
}

// handleError answers for a generated handler.
func handleError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && x.probe == nil && (x.dry == nil || !x.dry.reached) {
		x.fail(x.problemFor(err))
	}
}

// handleStreamError is asked for what goes wrong between the backend and the
// caller in a stream, such as a message that cannot be written as JSON. It tells
// so itself: the marshaler refuses the form in which the generated handlers
// would. The backend's errors do not come here, see lazyStream.
func handleStreamError(ctx context.Context, err error) *status.Status {
	st := status.New(codes.Internal, "a message of the stream could not be written")
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.gateway.config.Logger.LogAttrs(ctx, slog.LevelError, "gateway: "+st.Message(),
			slog.String("request_id", x.id), slog.String("rpc", x.binding.rpc))
		x.reason = st.Message()
		x.tellInBand(problem.FromStatus(st))
	}
	return st
}

// failStream tells an error in band, as the end of a stream whose status was
// sent long ago.
func (x *exchange) failStream(err error) {
	p := x.problemFor(err)
	if x.writer.status == 0 {
		x.fail(p)
		return
	}
	x.tellInBand(p)
}

// tellInBand ends a stream with a problem. A stream of a media type of its own
// has no place for it; it is cut, so that it does not look whole.
func (x *exchange) tellInBand(p *problem.Problem) {
	x.note(p)
	if x.writer.frames == nil {
		panic(http.ErrAbortHandler)
	}
	x.sign(p)
	x.writer.frames.fail(p)
}

// problemFor says what an error of a generated handler is to the caller.
func (x *exchange) problemFor(err error) *problem.Problem {
	switch {
	case x.refused.Load() != nil:
		return x.refused.Load()
	case !x.called.Load():
		return x.diagnose(err)
	}
	st := status.Convert(err)
	if st.Code() == codes.Canceled && x.request.Context().Err() == nil && x.gateway.streams.Err() != nil {
		return drained()
	}
	if problem.Withheld(st) {
		x.gateway.config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "gateway: the upstream failed",
			slog.String("request_id", x.id), slog.String("rpc", x.binding.rpc),
			slog.String("code", problem.CodeName(st.Code())), slog.String("error", shorten(st.Message())))
	}
	p := problem.FromStatus(st)
	if st.Code() == codes.Aborted && x.ifMatch != "" {
		// AIP-154: the resource has another etag.
		failed := preconditionFailed()
		p.Status, p.Title = failed.Status, failed.Title
	}
	return p
}

// drained ends a stream because the gateway does.
func drained() *problem.Problem {
	st := status.New(codes.Unavailable, "")
	if with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}); err == nil {
		st = with
	}
	p := problem.FromStatus(st)
	p.Detail = "the gateway is going away; open the stream again"
	return p
}

// diagnose finds out why a generated handler refused a request. Its own words
// are those of its parsers, so they are not used.
func (x *exchange) diagnose(err error) *problem.Problem {
	if status.Code(err) != codes.InvalidArgument {
		x.gateway.config.Logger.LogAttrs(context.Background(), slog.LevelError, "gateway: a call was not made",
			slog.String("request_id", x.id), slog.String("rpc", x.binding.rpc), slog.String("error", shorten(err.Error())))
		return problem.FromStatus(status.New(codes.Internal, ""))
	}
	if errs := x.binding.query.DiagnosePath(x.match.Params()); len(errs) > 0 {
		return badPath(errs)
	}
	if p := x.diagnoseBody(); p != nil {
		return p
	}
	return badRequest("the request does not fit the method", nil)
}

func badPath(errs []problem.FieldError) *problem.Problem {
	return badRequest("the path does not fit the method", errs)
}

// badRequest returns a problem that says the first error in words, too.
func badRequest(detail string, errs []problem.FieldError) *problem.Problem {
	if len(errs) > 0 {
		detail += ": " + errs[0].Field + ": " + errs[0].Detail
	}
	return problem.FromStatus(problem.ToStatus(codes.InvalidArgument, detail, errs...))
}

// diagnoseBody finds what is wrong with the body, if anything is.
func (x *exchange) diagnoseBody() *problem.Problem {
	b := x.binding
	if len(x.body) == 0 || b.clientStream() || b.bodyIsMedia {
		return nil
	}
	if b.bodyType != nil && x.gateway.marshaler.Unmarshal(x.body, b.bodyType.New().Interface()) == nil {
		return nil
	}
	found := b.diagnoseBody(x.gateway.marshaler.decode, x.body)
	return badRequest(found.Detail, found.Errors)
}

func (b *binding) diagnoseBody(as protojson.UnmarshalOptions, data []byte) jsonbody.Finding {
	field := ""
	if b.bodyField != nil {
		field = b.bodyField.JSONName()
	}
	if b.bodyType == nil {
		return jsonbody.DiagnoseField(as, data, b.message, field)
	}
	return jsonbody.Diagnose(as, data, b.bodyType, field)
}

// shorten keeps a foreign text in the log within bounds.
func shorten(s string) string {
	const most = 1024
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

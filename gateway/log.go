package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// finish ends an exchange: it catches a panic, and writes the record. It is
// deferred.
func (x *exchange) finish() {
	cut := false
	if thrown := recover(); thrown != nil {
		cut = x.failed(thrown)
	}
	x.writer.end()
	if x.inbox != nil {
		x.inbox.close()
	}
	if x.forgetBody() || x.writer.letGo {
		x.reason = letGoReason
	}
	x.log()
	x.tell()
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// failed answers for a panic. It reports whether the connection must be cut
// instead, because what was sent of an answer must not look whole.
func (x *exchange) failed(thrown any) (cut bool) {
	if thrown == http.ErrAbortHandler {
		return true
	}
	x.code, x.reason, x.panicked = codes.Internal, "panic", true
	x.gateway.config.Logger.LogAttrs(context.Background(), slog.LevelError, "gateway: a handler panicked",
		slog.String("request_id", x.id), slog.String("panic", describePanic(thrown)), slog.String("stack", string(debug.Stack())))
	if x.writer.status != 0 {
		return true
	}
	x.fail(problem.FromStatus(status.New(codes.Internal, "")))
	return false
}

// describePanic tells the text of the runtime's own errors, and of others the
// type only: they may hold anything.
func describePanic(thrown any) string {
	if err, ok := thrown.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", thrown)
}

// log writes the record of a request, if it is to leave one, see AccessLog. Of
// the URL it tells the route only: a path or a query may hold anything.
func (x *exchange) log() {
	handler := x.gateway.config.Logger.Handler()
	usual := x.usual()
	switch {
	case usual:
		handler = x.binding.logUsual
	case x.binding != nil:
		handler = x.binding.log
	}
	ctx := x.request.Context()
	if !handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	now := time.Now()
	took := now.Sub(x.start)
	rule := &x.gateway.config.AccessLog
	drawn := rule.Sample < 1 && !x.remarkable(took)
	if drawn && !rule.draw() {
		return
	}
	if x.shedByLimit() {
		x.reason = overloadReason
	}
	attrs := make([]slog.Attr, 0, 18)
	attrs = append(attrs, slog.String("request_id", x.id))
	if !usual {
		attrs = append(attrs, slog.String("method", x.knownMethod()), slog.Int("status", x.writer.status))
	}
	attrs = append(attrs,
		slog.Duration("duration", took),
		slog.Int64("bytes_in", x.bytesIn.Load()),
		slog.Int64("bytes_out", x.bytesOut()),
		slog.String("remote", x.request.RemoteAddr),
	)
	if from := x.behind(); from != "" {
		attrs = append(attrs, slog.String("client", from))
	}
	if x.binding != nil && !usual {
		attrs = append(attrs, slog.String("code", problem.CodeName(x.code)))
	}
	if x.principal != nil {
		attrs = append(attrs,
			slog.String("subject", x.principal.Subject),
			slog.String("auth", string(x.principal.Method)),
		)
	}
	if span := x.observed.SpanContext(); span.IsValid() {
		attrs = append(attrs, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	if drawn {
		attrs = append(attrs, slog.Float64("sampled", rule.Sample))
	}
	switch denied := x.denied.Load(); {
	case denied != nil:
		attrs = append(attrs, slog.GroupAttrs("policy", denied.LogAttrs()...))
	case x.binding != nil && x.binding.policy != nil && x.called.Load():
		attrs = append(attrs, metPolicy)
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", shorten(x.reason)))
	}
	// Without a source: a Logger would go through the stack each time, to find
	// this function.
	record := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	record.AddAttrs(attrs...)
	_ = handler.Handle(ctx, record) // as a Logger does
}

// metPolicy is told of a call that a policy let in: all of it was asked before the
// backend was.
var metPolicy = slog.GroupAttrs("policy", (*policy.Rules)(nil).Admit(context.Background(), policy.Caller{}).LogAttrs()...)

// logTo sets what takes the records of a binding's requests: what all have in
// common, and what those have that ended as they should, is written once.
func (b *binding) logTo(h slog.Handler) {
	b.log = h.WithAttrs([]slog.Attr{slog.String("route", b.template), slog.String("rpc", b.rpc), slog.String("access", accessTold(b))})
	b.logUsual = b.log.WithAttrs([]slog.Attr{
		slog.String("method", b.verb), slog.Int("status", b.usualStatus()), slog.String("code", problem.CodeName(codes.OK)),
	})
}

// usual reports whether a request ended as its binding has it.
func (x *exchange) usual() bool {
	b := x.binding
	return b != nil && x.code == codes.OK && x.writer.status == b.usualStatus() && x.request.Method == b.verb
}

func (b *binding) usualStatus() int { return cmp.Or(b.success, http.StatusOK) }

// bytesOut is how long the answer's body was.
func (x *exchange) bytesOut() int64 {
	if x.request.Method == http.MethodHead {
		return 0 // whatever was written
	}
	return x.writer.bytes
}

// remarkable reports whether a request is recorded whatever is drawn.
func (x *exchange) remarkable(took time.Duration) bool {
	slow := took >= x.gateway.config.AccessLog.Slow && (x.binding == nil || !x.binding.stream())
	return slow || x.writer.status == 0 || x.writer.status >= http.StatusBadRequest || x.code != codes.OK || x.panicked || x.writer.letGo
}

func (a *AccessLog) draw() bool { return a.Sample > 0 && a.Random() < a.Sample }

// knownMethod keeps what is logged to what HTTP and the route know.
func (x *exchange) knownMethod() string {
	method := x.request.Method
	if x.binding != nil && method == x.binding.verb {
		return method
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "_OTHER" // as in telemetry
	}
}

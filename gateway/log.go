package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
	x.log()
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
	x.code, x.reason = codes.Internal, "panic"
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

// log writes the record of a request. Of the URL it tells the route only: a
// path or a query may hold anything.
func (x *exchange) log() {
	logger := x.gateway.config.Logger
	ctx := x.request.Context()
	if !logger.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request_id", x.id),
		slog.String("method", knownMethod(x.request.Method)),
		slog.Int("status", x.writer.status),
		slog.Duration("duration", time.Since(x.start)),
		slog.Int64("bytes_in", x.bytesIn.Load()),
		slog.Int64("bytes_out", x.writer.bytes),
		slog.String("remote", x.request.RemoteAddr),
	)
	if x.binding != nil {
		attrs = append(attrs,
			slog.String("route", x.binding.template),
			slog.String("rpc", x.binding.rpc),
			slog.String("code", problem.CodeName(x.code)),
		)
	}
	if x.principal != nil {
		attrs = append(attrs,
			slog.String("subject", x.principal.Subject),
			slog.String("auth", string(x.principal.Method)),
		)
	}
	if denied := x.denied.Load(); denied != nil {
		attrs = append(attrs, slog.GroupAttrs("policy", denied.LogAttrs()...))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", shorten(x.reason)))
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// knownMethod keeps what is logged to what HTTP knows.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "other"
	}
}

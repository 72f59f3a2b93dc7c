package retry

import (
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// pushback is what a server says about the next try.
type pushback struct {
	set   bool
	never bool
	wait  time.Duration
}

const pushbackKey = "grpc-retry-pushback-ms"

// pushbackOf reads the trailer as gRFC A6 has it: what is no number, and what is
// there twice, means not to come back, as a negative number does. A RetryInfo that
// asks for more than most is for the caller: it is told at once rather than kept
// waiting.
func pushbackOf(trailer metadata.MD, st *status.Status, most time.Duration) pushback {
	if values := trailer[pushbackKey]; len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 32)
		if err != nil || ms < 0 || len(values) > 1 {
			return pushback{never: true}
		}
		return pushback{set: true, wait: time.Duration(ms) * time.Millisecond}
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().CheckValid() == nil {
			wait := max(info.GetRetryDelay().AsDuration(), 0)
			return pushback{set: true, wait: wait, never: wait > most}
		}
	}
	return pushback{}
}

package orca

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// codeSet has a bit for each status code.
type codeSet uint32

// defaultFaults are the codes that tell of what the server or its
// dependencies did. The others tell of what the caller asked for, or that it
// no longer wants it. The balancer counts the same ones by default.
var defaultFaults = codeSet(1<<codes.Unknown | 1<<codes.DeadlineExceeded | 1<<codes.ResourceExhausted |
	1<<codes.Internal | 1<<codes.Unavailable | 1<<codes.DataLoss)

func newCodeSet(members []codes.Code) (codeSet, error) {
	var set codeSet
	for _, code := range members {
		if code == codes.OK || code > codes.Unauthenticated {
			return 0, fmt.Errorf("orca: WithErrorCodes: %d (%v) is no code of an error: give %d to %d",
				code, code, codes.Canceled, codes.Unauthenticated)
		}
		set |= 1 << code
	}
	return set, nil
}

// has tells whether the answer that grpc makes of err carries a code of the set.
func (s codeSet) has(err error) bool {
	if err == nil {
		return false
	}
	st, ok := status.FromError(err)
	if !ok {
		// As grpc's server does: a bare context error keeps its meaning, and any
		// other error is UNKNOWN.
		st = status.FromContextError(err)
	}
	code := st.Code()
	if code > codes.Unauthenticated {
		code = codes.Unknown
	}
	return s&(1<<code) != 0
}

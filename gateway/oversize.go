package gateway

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// sized tells a call that failed since a message was too large from one that was
// over a quota, for which gRPC has the same code: to try again later, as 429 says,
// does not help. A request that is larger than the service takes is the caller's
// fault, and a reply that is larger than the gateway takes is not.
func (x *exchange) sized(err error, request proto.Message) error {
	st := status.Convert(err)
	size, most, ok := oversize(st)
	switch {
	case !ok:
		return err
	case size == proto.Size(request):
		x.reason = "the request is larger than the service takes"
		x.refused.Store(problem.New(http.StatusRequestEntityTooLarge, codes.InvalidArgument, fmt.Sprintf("%s, %d bytes", x.reason, most)))
		return x.refusal()
	default:
		return status.Error(codes.Internal, st.Message())
	}
}

// oversize returns how large the message was that gRPC refused, and how large it
// might be, by what it says: "grpc: received message larger than max (5 vs. 4)".
func oversize(st *status.Status) (size, most int, ok bool) {
	text := st.Message()
	if st.Code() != codes.ResourceExhausted || !strings.HasPrefix(text, "grpc: received message") && !strings.HasPrefix(text, "trying to send message larger") {
		return 0, 0, false
	}
	_, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d vs. %d)", &size, &most)
	return size, most, err == nil
}

package retry_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/retry"
)

// flaky is a connection whose first call fails.
type flaky struct {
	grpc.ClientConnInterface
	calls int
}

func (f *flaky) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	if f.calls++; f.calls == 1 {
		return status.Error(codes.Unavailable, "not yet")
	}
	return nil
}

func Example() {
	upstream := &flaky{}
	conn, err := retry.Wrap(upstream, retry.Config{
		Idempotent: []string{"/shop.v1.Shop/SetAddress"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = conn.Invoke(context.Background(), "/shop.v1.Shop/SetAddress", nil, nil)
	fmt.Println(err, upstream.calls)
	// Output: <nil> 2
}

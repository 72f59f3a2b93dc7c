package overload_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/overload"
)

// library has eight workers, each of which takes 20 ms for a call: 400 calls a
// second. It works on calls whose callers have given up, too, as servers do that
// do not look.
type library struct {
	testv1.UnimplementedLibraryServiceServer
	workers chan struct{}
}

func (l *library) GetBook(context.Context, *testv1.GetBookRequest) (*testv1.Book, error) {
	l.workers <- struct{}{}
	defer func() { <-l.workers }()
	time.Sleep(20 * time.Millisecond)
	return &testv1.Book{}, nil
}

// The real gRPC calls, in fake time: three times what the service can do is
// asked of it, with and without the limiter.
func TestTheLimiterHoldsOverRealCalls(t *testing.T) {
	run := func(limited bool) (good, important, served int) {
		synctest.Test(t, func(t *testing.T) {
			server, err := inprocess.New(inprocess.Config{})
			if err != nil {
				t.Fatal(err)
			}
			testv1.RegisterLibraryServiceServer(server, &library{workers: make(chan struct{}, 8)})
			limiter, err := overload.New(overload.Config{})
			if err != nil {
				t.Fatal(err)
			}
			conn := grpc.ClientConnInterface(server)
			if limited {
				conn = limiter.Wrap(conn, overload.ConnConfig{Priority: func(ctx context.Context, _ string) overload.Priority {
					p, _ := ctx.Value(priorityKey{}).(overload.Priority)
					return p
				}})
			}
			good, important, served = offer(testv1.NewLibraryServiceClient(conn))
			_ = server.Close()
		})
		return good, important, served
	}
	good, important, served := run(true)
	collapsed, _, _ := run(false)
	t.Logf("%d of 600 possible answers, %d without the limiter; %d of %d important calls", good, collapsed, served, important)
	// A probe falls into so short a time: it is nine tenths over a longer one.
	if good < 510 || collapsed > 120 || served < important*95/100 {
		t.Error("it does not hold")
	}
}

type priorityKey struct{}

// offer makes 1200 calls a second for three seconds, every tenth of them
// important, and counts those of the second half.
func offer(client testv1.LibraryServiceClient) (good, important, served int) {
	var answered, servedOnes atomic.Int64
	var wg sync.WaitGroup
	for i := range 3600 {
		class := overload.Default
		if i%10 == 0 {
			class = overload.Critical
		}
		counts := i >= 1800
		if counts && class == overload.Critical {
			important++
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), priorityKey{}, class), time.Second)
			defer cancel()
			if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); err == nil && counts {
				answered.Add(1)
				if class == overload.Critical {
					servedOnes.Add(1)
				}
			}
		})
		time.Sleep(time.Second / 1200)
	}
	wg.Wait()
	return int(answered.Load()), important, int(servedOnes.Load())
}

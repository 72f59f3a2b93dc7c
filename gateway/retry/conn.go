package retry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A Conn is a connection whose calls may be made again. Its methods may be
// called concurrently.
type Conn struct {
	conn    grpc.ClientConnInterface
	config  Config
	methods *methods
	epoch   time.Time

	retries, overBudget atomic.Uint64

	mu     sync.Mutex // guards budget
	budget budget
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Wrap returns a connection whose calls are made again as config says. Use one
// for each upstream: the budget is counted for each. An error names the field of
// config that is wrong.
func Wrap(conn grpc.ClientConnInterface, config Config) (*Conn, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("retry: Config.%w", err)
	}
	return &Conn{
		conn: conn, config: config, methods: newMethods(config.Idempotent),
		epoch: config.Now(), budget: budget{Budget: config.Budget},
	}, nil
}

// Config returns how calls are made again, with the defaults set.
func (c *Conn) Config() Config { return c.config }

// Idempotent reports whether a method, `/package.Service/Method`, may be made
// again: by its proto or by Config.Idempotent.
func (c *Conn) Idempotent(method string) bool { return c.methods.idempotent(method) }

// Stats count since the start.
type Stats struct {
	// Retries were made; OverBudget were not, for there was no room.
	Retries, OverBudget uint64
}

// Stats returns the counts.
func (c *Conn) Stats() Stats {
	return Stats{Retries: c.retries.Load(), OverBudget: c.overBudget.Load()}
}

// Invoke implements [grpc.ClientConnInterface]. With more than one attempt,
// callbacks of [grpc.OnFinish] run for each of them.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, cancel := c.withDeadline(ctx, c.config.Timeout)
	defer cancel()
	c.mu.Lock()
	c.budget.call(c.now())
	c.mu.Unlock()
	if c.config.MaxAttempts == 1 || !c.methods.idempotent(method) {
		return c.conn.Invoke(ctx, method, args, reply, opts...)
	}
	for n := 1; ; n++ {
		a := c.attempt(ctx, method, args, reply, opts)
		if a.err == nil || n == c.config.MaxAttempts {
			return a.err
		}
		wait, again := c.again(ctx, a, n)
		if !again || c.config.Sleep(ctx, wait) != nil {
			return a.err
		}
		c.retries.Add(1)
	}
}

// NewStream implements [grpc.ClientConnInterface].
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	// It is released when the stream ends, as gRPC wants it of its users: by
	// then ctx is done or its deadline passes.
	ctx, cancel := c.withDeadline(ctx, 0)
	stream, err := c.conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(stream.Context(), cancel)
	return stream, nil
}

// withDeadline returns a context that ends some time before ctx does. Without a
// deadline it ends after otherwise, if that is not zero.
func (c *Conn) withDeadline(ctx context.Context, otherwise time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		if otherwise == 0 {
			return context.WithCancel(ctx)
		}
		return context.WithTimeout(ctx, otherwise)
	}
	left := deadline.Sub(c.config.Now())
	return context.WithDeadline(ctx, deadline.Add(-min(c.config.Reserve, max(left, 0)/10)))
}

// attempt is one try.
type attempt struct {
	err error
	// answered says that headers of a response came.
	answered bool
	trailer  metadata.MD
}

func (c *Conn) attempt(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) (a attempt) {
	if c.config.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.AttemptTimeout)
		defer cancel()
	}
	var header metadata.MD
	opts = append(slices.Clip(opts), grpc.Header(&header), grpc.Trailer(&a.trailer))
	a.err = c.conn.Invoke(ctx, method, args, reply, opts...)
	// A response of trailers only, as a server gives that refuses a call, has no
	// headers.
	a.answered = len(header) > 0
	return a
}

// again says whether to try once more after n attempts, and how long to wait
// before.
func (c *Conn) again(ctx context.Context, a attempt, n int) (time.Duration, bool) {
	if ctx.Err() != nil || a.answered || !c.curable(a.err) {
		return 0, false
	}
	push := pushbackOf(a.trailer, status.Convert(a.err), c.config.MaxBackoff)
	if push.never {
		return 0, false
	}
	wait := c.backoff(n)
	if push.set {
		wait = push.wait
	}
	if deadline, ok := ctx.Deadline(); ok && wait >= deadline.Sub(c.config.Now()) {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budget.retry(c.now()) {
		c.overBudget.Add(1)
		return 0, false
	}
	return wait, true
}

// curable says whether another try may succeed. A deadline that passed was that
// of the attempt, or there would be no time left.
func (c *Conn) curable(err error) bool {
	code := status.Code(err)
	return slices.Contains(c.config.Codes, code) || code == codes.DeadlineExceeded && c.config.AttemptTimeout > 0
}

// backoff is the wait before the next attempt, with full jitter.
func (c *Conn) backoff(n int) time.Duration {
	most := min(c.config.InitialBackoff<<(n-1), c.config.MaxBackoff)
	return time.Duration(c.config.Random() * float64(most))
}

func (c *Conn) now() time.Duration { return c.config.Now().Sub(c.epoch) }

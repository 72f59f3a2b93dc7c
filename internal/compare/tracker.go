package compare

import (
	"context"
	"sync"

	"google.golang.org/grpc/stats"
)

// tracker knows to which replica each call was sent, and how many are in flight
// there, from each client. gRPC tells it, as a stats.Handler, when it has sent a
// call's headers.
type tracker struct {
	mu       sync.Mutex
	replica  map[string]int // by address
	inFlight [replicas][clients]int
	down     [replicas]bool
	downs    [replicas]int // how often it went down
	events   events
}

// events counts what has to do with replicas that were frozen or killed.
type events struct {
	// inFlight counts the calls that were in flight at a replica when it went down.
	inFlight int
	// probes counts the calls sent to a replica while it was down, by clients that
	// had none in flight there: they could not know, or tried again. piled counts
	// the others, by clients that waited there already.
	probes, piled int
}

// sent is where a call was sent. The tracker's mutex guards it while the call is
// in flight.
type sent struct {
	client  int
	replica int // -1: nowhere yet
	downs   int // how often the replica had been down then
	down    bool
}

type sentKey struct{}

func newTracker() *tracker { return &tracker{replica: map[string]int{}} }

// follow returns a context for a call, and where the call was sent.
func (t *tracker) follow(ctx context.Context, client int) (context.Context, *sent) {
	s := &sent{client: client, replica: -1}
	return context.WithValue(ctx, sentKey{}, s), s
}

// done says that a call has ended. It tells to which replica the call was sent,
// -1 for none, and whether that was down at any time meanwhile.
func (t *tracker) done(s *sent) (replica int, hit bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.replica < 0 {
		return -1, false
	}
	t.inFlight[s.replica][s.client]--
	return s.replica, s.down || t.downs[s.replica] > s.downs
}

func (t *tracker) sentTo(s *sent, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.replica[address]
	if !ok {
		return // none of ours
	}
	if s.replica >= 0 { // gRPC tries it elsewhere
		t.inFlight[s.replica][s.client]--
	}
	if t.down[r] {
		if t.inFlight[r][s.client] > 0 {
			t.events.piled++
		} else {
			t.events.probes++
		}
	}
	s.replica, s.down, s.downs = r, t.down[r], t.downs[r]
	t.inFlight[r][s.client]++
}

// at says where a replica answers.
func (t *tracker) at(replica int, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replica[address] = replica
}

// takeDown freezes or kills a replica by f. No call is sent anywhere meanwhile, so
// that what is in flight there is known exactly.
func (t *tracker) takeDown(replica int, f func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down[replica] = true
	t.downs[replica]++
	for _, n := range t.inFlight[replica] {
		t.events.inFlight += n
	}
	return f()
}

// isBack says that a replica answers again.
func (t *tracker) isBack(replica int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down[replica] = false
}

func (t *tracker) counted() events {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events
}

// TagRPC implements stats.Handler.
func (t *tracker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (t *tracker) HandleRPC(ctx context.Context, s stats.RPCStats) {
	header, ok := s.(*stats.OutHeader)
	if !ok || header.RemoteAddr == nil {
		return
	}
	if call, ok := ctx.Value(sentKey{}).(*sent); ok { // not an out-of-band report's stream
		t.sentTo(call, header.RemoteAddr.String())
	}
}

// TagConn implements stats.Handler.
func (t *tracker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (t *tracker) HandleConn(context.Context, stats.ConnStats) {}

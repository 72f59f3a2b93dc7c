package choiceoftwo

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// picker picks among the endpoints that were ready when it was made. It does
// not change; what is known of its endpoints does.
type picker struct {
	policy  *policy
	ready   []*readyPicker
	fleet   *choice.Fleet
	probing bool
}

func (b *policy) newPicker(ready []*readyPicker) *picker {
	cores := make([]*choice.Endpoint, len(ready))
	for i, p := range ready {
		cores[i] = p.endpoint.core
	}
	return &picker{policy: b, ready: ready, fleet: b.group.NewFleet(cores), probing: b.settings.Load().probing}
}

// Pick implements balancer.Picker.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	now := p.policy.now()
	var choice choice.Choice
	if p.policy.explainer.samples() {
		choice = p.explainedPick(now, info.FullMethodName)
	} else {
		choice = p.fleet.Choose(now, source{})
	}
	chosen := p.ready[choice.Index]
	result, err := chosen.Picker.Pick(info)
	if err != nil {
		return result, err
	}
	c := newCall()
	c.policy, c.endpoint, c.inner = p.policy, chosen.endpoint.core, result.Done
	c.core = p.fleet.Begin(now, choice, p.policy.methods.stream(info.FullMethodName))
	result.Done = c.done
	if p.probing {
		p.probe(now, choice.Index)
	}
	return result, nil
}

// source draws from the generator that Go keeps for each thread: it is shared
// with nobody and takes no lock.
type source struct{}

func (source) Uint64() uint64 { return rand.Uint64() }

// call is a call in flight. Calls are pooled together with the bound method
// that ends them, so that a pick allocates nothing.
type call struct {
	policy   *policy
	endpoint *choice.Endpoint
	core     choice.Call
	inner    func(balancer.DoneInfo) // of the endpoint's own picker; usually nil
	done     func(balancer.DoneInfo) // end, bound
}

var calls sync.Pool

func newCall() *call {
	if c, ok := calls.Get().(*call); ok {
		return c
	}
	c := new(call)
	c.done = c.end
	return c
}

// end is called once when the call has ended. A second time, which gRPC
// excludes, it does nothing unless the record is in use again.
func (c *call) end(info balancer.DoneInfo) {
	policy, endpoint, core, inner := c.policy, c.endpoint, c.core, c.inner
	if policy == nil {
		return
	}
	c.policy, c.endpoint, c.inner = nil, nil, nil
	calls.Put(c)

	var outcome choice.Outcome
	judge(&outcome, &info, policy.settings.Load())
	endpoint.End(policy.now(), core, &outcome)
	if inner != nil {
		inner(info)
	}
}

// judge says how a call ended.
func judge(o *choice.Outcome, info *balancer.DoneInfo, s *settings) {
	o.Heard = info.BytesReceived
	if !info.BytesSent {
		// It never left, which says nothing. This is also how gRPC ends a pick
		// whose connection was lost in between: with everything unset.
		return
	}
	if info.Err == nil {
		o.Kind, o.OK = choice.Answered, true
	} else {
		code := status.Code(info.Err)
		switch {
		case code == codes.Canceled:
			return
		case s.errorCodes&(1<<min(code, 31)) != 0:
			o.Kind = choice.Failed
		case info.BytesReceived:
			o.Kind = choice.Answered
		}
		o.Pushback = pushback(info.Trailer)
	}
	// A typed nil stands for "no report".
	if r, ok := info.ServerLoad.(*v3orcapb.OrcaLoadReport); ok && r != nil {
		o.HasReport = true
		translate(r, s.metrics, &o.Report)
	}
}

// pushback is for how long the server asked not to be tried again. It may say
// so in milliseconds, or by a negative number: not at all.
func pushback(trailer metadata.MD) time.Duration {
	values := trailer["grpc-retry-pushback-ms"]
	if len(values) != 1 {
		return 0
	}
	ms, err := strconv.ParseInt(values[0], 10, 32)
	if err != nil || ms < 0 {
		return time.Hour // the core bounds it
	}
	return time.Duration(ms) * time.Millisecond
}

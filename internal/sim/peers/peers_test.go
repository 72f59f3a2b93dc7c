package peers

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	kerrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/registry"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/p2c"
	"github.com/zeromicro/go-zero/core/logx"
	_ "github.com/zeromicro/go-zero/zrpc" // registers p2c_ewma

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/drive"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// go-zero writes what each of its pickers did to the standard output.
func init() { logx.Disable() }

var scenarios = []string{"homogeneous", "two-speed"}

func shorter(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := *s
	changed.Events = slices.Clone(s.Events)
	if name == "rolling-restart" {
		changed.Duration = 24 * time.Second
		for i := range changed.Events { // cold ones are a matter of luck
			changed.Events[i].Speed, changed.Events[i].ColdFor = 0, 0
		}
		return &changed
	}
	changed.Duration = 6 * time.Second
	// What happens in it happens in the time that is left.
	for i := range changed.Events {
		changed.Events[i].At, changed.Events[i].For = 11*time.Second, 3*time.Second
	}
	return &changed
}

func simulate(t *testing.T, s *scenario.Scenario, p sim.Policy, clock func(int64)) *sim.Result {
	t.Helper()
	r, err := sim.Run(context.Background(), s, p, sim.Options{Seed: 1, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func model(t *testing.T, name string) sim.Policy {
	t.Helper()
	p, err := policy.Select(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p[0].Policy
}

func agree(t *testing.T, model, real *sim.Result) {
	t.Helper()
	if model.Requests != real.Requests {
		t.Fatalf("%d and %d calls: not the same", model.Requests, real.Requests)
	}
	for _, q := range []struct{ quantile, within float64 }{{0.5, 0.06}, {0.9, 0.1}, {0.99, 0.15}} {
		a, b := model.Answers.Quantile(q.quantile), real.Answers.Quantile(q.quantile)
		t.Logf("p%v: the model's %.2f, the real one's %.2f mean service times", 100*q.quantile, a/float64(model.Unit), b/float64(real.Unit))
		if math.Abs(a/b-1) > q.within {
			t.Errorf("p%v differs by more than %v %%", 100*q.quantile, 100*q.within)
		}
	}
	if a, b := model.ErrorPercent(), real.ErrorPercent(); math.Abs(a-b) > 0.1+0.15*max(a, b) {
		t.Errorf("errors: the model's %.3f %%, the real one's %.3f %%", a, b)
	}
}

func TestGoZerosPickerAgreesWithItsModel(t *testing.T) {
	for _, name := range append(scenarios, "fail-fast", "rolling-restart") {
		t.Run(name, func(t *testing.T) {
			s := shorter(t, name)
			modelled := simulate(t, s, model(t, "go_zero_p2c"), nil)
			var really *sim.Result
			synctest.Test(t, func(t *testing.T) {
				// Its clock counts from when the process began, which in fake time
				// is in the future: go beyond it.
				time.Sleep(60 * 365 * 24 * time.Hour)
				p := drive.New("p2c_ewma", "{}", t.Fatalf)
				defer p.Close()
				really = simulate(t, s, p, p.Clock)
			})
			agree(t, modelled, really)
		})
	}
}

func TestKratosPickerAgreesWithItsModel(t *testing.T) {
	for _, name := range append(scenarios, "fail-fast", "rolling-restart") {
		t.Run(name, func(t *testing.T) {
			s := shorter(t, name)
			modelled := simulate(t, s, model(t, "kratos_p2c"), nil)
			var really *sim.Result
			synctest.Test(t, func(t *testing.T) {
				p := &kratos{t: t, start: time.Now()}
				really = simulate(t, s, p, p.clock)
			})
			agree(t, modelled, really)
		})
	}
}

// kratos drives the real selector.
type kratos struct {
	t     *testing.T
	start time.Time
}

func (k *kratos) clock(now int64) {
	if d := time.Until(k.start.Add(time.Duration(now))); d > 0 {
		time.Sleep(d)
	}
}

func (k *kratos) New(sim.Env) sim.Balancer {
	time.Sleep(time.Microsecond) // it seeds its generator with the time
	return &client{t: k.t, selector: p2c.NewBuilder().Build()}
}

type client struct {
	t        *testing.T
	selector selector.Selector
	calls    sim.Slab[selector.DoneFunc]
}

// Update implements sim.Balancer.
func (c *client) Update(_ int64, _, ready []int32) {
	var nodes []selector.Node
	for _, s := range ready {
		nodes = append(nodes, selector.NewNode("grpc", fmt.Sprint(s), &registry.ServiceInstance{ID: fmt.Sprint(s)}))
	}
	c.selector.Apply(nodes)
}

// Pick implements sim.Balancer.
func (c *client) Pick(int64) (int32, int32) {
	node, done, err := c.selector.Select(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	var server int32
	if _, err := fmt.Sscan(node.Address(), &server); err != nil {
		c.t.Fatal(err)
	}
	return server, c.calls.Put(done)
}

// Done implements sim.Balancer.
func (c *client) Done(_ int64, call int32, o *sim.Outcome) {
	var info selector.DoneInfo
	switch o.Code {
	case sim.Unavailable:
		info.Err = kerrors.ServiceUnavailable("", "")
	case sim.DeadlineExceeded:
		info.Err = kerrors.GatewayTimeout("", "")
	case sim.ResourceExhausted:
		info.Err = kerrors.New(429, "", "")
	}
	c.calls.Take(call)(context.Background(), info)
}

// Reported implements sim.Balancer.
func (*client) Reported(int64, int32, *sim.Report) {}

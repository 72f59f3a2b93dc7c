package overloaded

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/policy"
)

var seeds = flag.Int("seeds", 0, "how many seeds each shape is run with, from 1 on; 0 for a quick look at the first")

func constant(*rand.Rand) float64      { return 1 }
func exponential(r *rand.Rand) float64 { return r.ExpFloat64() }

// logNormal has a mean of one and a heavy tail.
func logNormal(r *rand.Rand) float64 {
	const sigma = 0.8
	return math.Exp(sigma*r.NormFloat64() - sigma*sigma/2)
}

// shapes are the backends that are tried. All can do as many calls a second.
var shapes = []struct {
	name              string
	backends, workers int
	service           func(*rand.Rand) float64
}{
	{"4 backends of 8 workers, calls alike", 4, 8, constant},
	{"4 backends of 8 workers, calls differ", 4, 8, exponential},
	{"4 backends of 8 workers, some calls take long", 4, 8, logNormal},
	{"2 backends of 4 workers, calls differ", 2, 4, exponential},
	{"20 backends of 2 workers, calls alike", 20, 2, constant},
}

// usual is a world with 200 calls a second. It is looked at for 32 seconds, once
// the limiter has had the time of 50 calls to find its limit; for a quick look,
// for a quarter of that.
func usual(backends, workers int) world {
	w := world{backends: backends, workers: workers, load: 3, limited: true, rate: 200}
	w.mix = map[overload.Priority]float64{overload.Critical: 0.1, overload.Sheddable: 0.3}
	w.mean = time.Duration(backends*workers) * time.Second / time.Duration(w.rate)
	w.deadline = 40 * w.mean
	w.warmUp = 50 * w.mean
	w.length = w.warmUp + 32*time.Second
	if *seeds == 0 {
		w.length -= 24 * time.Second
	}
	return w
}

// TestADoorWithALimiterHoldsAtThreeTimesTheCapacity is the bar of the project:
// goodput above nine tenths of the peak, and the p99 of important calls that are
// let in below three times the unloaded one. Without the limiter it collapses.
func TestADoorWithALimiterHoldsAtThreeTimesTheCapacity(t *testing.T) {
	for i, shape := range shapes {
		if *seeds == 0 && i > 0 {
			continue
		}
		t.Run(shape.name, func(t *testing.T) {
			for seed := range max(*seeds, 1) {
				w := usual(shape.backends, shape.workers)
				w.service, w.seed = shape.service, uint64(seed+1)
				idle, unlimited := w, w
				idle.load, idle.mix, idle.length = 0.1, map[overload.Priority]float64{overload.Critical: 1}, 100*time.Second
				unlimited.limited = false
				unlimited.warmUp, unlimited.length = w.deadline+time.Second, w.deadline+6*time.Second
				unloaded, limited, collapsed := idle.run(t), w.run(t), unlimited.run(t)
				slower := float64(limited.p99[overload.Critical]) / float64(unloaded.p99[overload.Critical])
				t.Logf("seed %d: goodput %.3f, without the limiter %.3f; p99 of critical calls %v, %.2f times the unloaded %v; served: critical %.4f, default %.3f, sheddable %.3f; limit %d",
					w.seed, limited.goodput, collapsed.goodput, limited.p99[overload.Critical], slower, unloaded.p99[overload.Critical],
					limited.served[overload.Critical], limited.served[overload.Default], limited.served[overload.Sheddable], limited.stats.Limit)
				if unloaded.served[overload.Critical] < 1 {
					t.Errorf("seed %d: without load, calls are refused: %v", w.seed, unloaded.statuses)
				}
				if limited.goodput < 0.9 {
					t.Errorf("seed %d: goodput is below nine tenths of the peak: %v", w.seed, limited.statuses)
				}
				if slower >= 3 {
					t.Errorf("seed %d: critical calls take three times as long", w.seed)
				}
				if limited.served[overload.Critical] < 0.97 || limited.served[overload.Default] < 4*limited.served[overload.Sheddable] {
					t.Errorf("seed %d: what is important is not served first", w.seed)
				}
				if collapsed.goodput > 0.2 {
					t.Errorf("seed %d: it does not collapse without the limiter: the experiment shows nothing", w.seed)
				}
			}
		})
	}
}

// librarians are the roles that the library's protos name.
var librarians = policy.Config{Roles: []policy.Role{{Name: "librarian", Scopes: []string{"books.admin"}}}}

// nobody knows nobody: the methods of the experiment are public.
type nobody struct{}

func (n nobody) list() []auth.Authenticator { return []auth.Authenticator{n} }

func (nobody) Authenticate(context.Context, *http.Request) (*auth.Principal, error) { return nil, nil }
func (nobody) Challenge() string                                                    { return "Nobody" }

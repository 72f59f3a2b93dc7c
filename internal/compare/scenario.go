package compare

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	replicas = 10
	workers  = 4
	clients  = 8
	load     = 0.8
	deadline = 2 * time.Second
	// limit is how many calls a replica holds at most.
	limit = 400
)

// Scenario is what happens to the replicas.
type Scenario struct {
	Name, About string
	// NeedsFreeze says that the system must be able to stop a process.
	NeedsFreeze bool

	speeds  [replicas]float64
	joining int // of the replicas, how many are not there from the beginning: the last ones
	steps   func(random *rand.Rand, duration time.Duration) []Step
}

// Action is what a step does to a replica.
type Action string

// The actions.
const (
	SetSpeed Action = "speed"   // be this fast from now on
	Occupy   Action = "occupy"  // take this many workers away from the calls
	Freeze   Action = "freeze"  // SIGSTOP
	Thaw     Action = "thaw"    // SIGCONT
	Kill     Action = "kill"    // SIGKILL
	Start    Action = "start"   // where it was before
	Restart  Action = "restart" // drain, end and start again
	Join     Action = "join"    // start at the given speed and let clients know
)

// Step is something that happens to a replica, At after measuring began.
type Step struct {
	At      time.Duration
	Replica int
	Action  Action
	Value   float64
}

const (
	// A noisy neighbour comes for burst, to any replica, and again after a pause.
	// It leaves one worker of four.
	burst        = 1500 * time.Millisecond
	pause        = 500 * time.Millisecond
	burstWorkers = 3
	// coldSpeed is how fast a replica is that has just been started in cold-start.
	coldSpeed = 0.1
)

// Scenarios returns all there are.
func Scenarios() []Scenario {
	all := []Scenario{
		{Name: "two-speed", About: "half of the replicas run at 0.4 of the others' speed"},
		{Name: "noisy", About: "bursts occupy 3 of the 4 workers of one replica after the other, 1.5 s each", steps: noisySteps},
		{Name: "freeze", About: "one replica is stopped (SIGSTOP) for a quarter of the time, its connections open", NeedsFreeze: true, steps: freezeSteps},
		{Name: "crash", About: "one replica is killed (SIGKILL) and started again at the same address", steps: crashSteps},
		{Name: "rolling-restart", About: "each replica in turn drains, ends and starts again at the same address", steps: rollingSteps},
		{Name: "cold-start", About: "two replicas join eight at 0.1 of their speed and warm up", joining: 2, steps: coldSteps},
	}
	for i := range all {
		for r := range replicas {
			all[i].speeds[r] = 1
			if all[i].Name == "two-speed" && r%2 == 1 {
				all[i].speeds[r] = 0.4
			}
		}
	}
	return all
}

// SelectScenarios returns those that names, separated by commas, name; "all" is
// all.
func SelectScenarios(names string) ([]Scenario, error) {
	return choose("scenario", names, Scenarios(), func(s Scenario) string { return s.Name })
}

// choose returns those of all that names name, in the order of all.
func choose[T any](kind, names string, all []T, name func(T) string) ([]T, error) {
	wanted := map[string]bool{}
	known := make([]string, len(all))
	for i, x := range all {
		known[i] = name(x)
	}
	for n := range strings.SplitSeq(names, ",") {
		n = strings.TrimSpace(n)
		if n != "all" && !slices.Contains(known, n) {
			return nil, fmt.Errorf("%s %q is not known: must be all or of %s", kind, n, strings.Join(known, ", "))
		}
		wanted[n] = true
	}
	var chosen []T
	for i, x := range all {
		if wanted["all"] || wanted[known[i]] {
			chosen = append(chosen, x)
		}
	}
	return chosen, nil
}

// Steps returns what happens in a measurement of this duration, in order. The
// same seed gives the same steps.
func (s *Scenario) Steps(seed uint64, duration time.Duration) []Step {
	if s.steps == nil {
		return nil
	}
	steps := s.steps(rand.New(rand.NewPCG(seed, 1)), duration)
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return steps
}

// takesDown tells whether replicas are frozen or killed.
func (s *Scenario) takesDown() bool {
	return slices.ContainsFunc(s.Steps(0, time.Minute), func(step Step) bool {
		return step.Action == Freeze || step.Action == Kill
	})
}

// capacity is how many workers of speed 1 the replicas that are there from the
// beginning amount to, less what is taken away from them on average.
func (s *Scenario) capacity(steps []Step, duration time.Duration) float64 {
	sum := 0.0
	for _, speed := range s.speeds[:replicas-s.joining] {
		sum += speed * workers
	}
	taken := map[int]Step{}
	for _, step := range append(slices.Clone(steps), ends(duration)...) {
		if step.Action == Occupy {
			last := taken[step.Replica]
			sum -= last.Value * s.speeds[step.Replica] * float64(step.At-last.At) / float64(duration)
			taken[step.Replica] = step
		}
	}
	return sum
}

func ends(duration time.Duration) []Step {
	steps := make([]Step, replicas)
	for r := range steps {
		steps[r] = Step{At: duration, Replica: r, Action: Occupy}
	}
	return steps
}

func noisySteps(random *rand.Rand, duration time.Duration) (steps []Step) {
	replica := random.IntN(replicas)
	for at := time.Duration(0); at < duration; at += burst + pause {
		steps = append(steps,
			Step{At: at, Replica: replica, Action: Occupy, Value: burstWorkers},
			Step{At: min(at+burst, duration), Replica: replica, Action: Occupy})
		replica = (replica + 1 + random.IntN(replicas-1)) % replicas // another one
	}
	return steps
}

func freezeSteps(random *rand.Rand, duration time.Duration) []Step {
	r := random.IntN(replicas)
	return []Step{
		{At: duration / 4, Replica: r, Action: Freeze},
		{At: duration / 2, Replica: r, Action: Thaw},
	}
}

func crashSteps(random *rand.Rand, duration time.Duration) []Step {
	r := random.IntN(replicas)
	return []Step{
		{At: duration / 4, Replica: r, Action: Kill},
		{At: duration * 7 / 20, Replica: r, Action: Start},
	}
}

func rollingSteps(_ *rand.Rand, duration time.Duration) (steps []Step) {
	for r := range replicas {
		steps = append(steps, Step{At: duration * time.Duration(2*r+1) / (2 * replicas), Replica: r, Action: Restart})
	}
	return steps
}

func coldSteps(_ *rand.Rand, duration time.Duration) (steps []Step) {
	const stages = 20
	for r := replicas - 2; r < replicas; r++ {
		steps = append(steps, Step{At: duration / 4, Replica: r, Action: Join, Value: coldSpeed})
		for i := 1; i <= stages; i++ {
			part := float64(i) / stages
			steps = append(steps, Step{
				At:      duration/4 + duration/2*time.Duration(i)/stages,
				Replica: r, Action: SetSpeed, Value: coldSpeed + (1-coldSpeed)*part,
			})
		}
	}
	return steps
}

package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// Evidence is what a policy knows: each kind includes Calls.
type Evidence int

// The kinds of evidence.
const (
	Calls   Evidence = 1 << iota // its own calls
	Reports                      // load reports
	Probes                       // answers to probes
	Truth                        // everything, at once: the oracles
)

// Named is a policy by its name.
type Named struct {
	Name     string
	About    string
	Evidence Evidence
	Policy   sim.Policy
}

// Within tells whether a policy has no more evidence than another has.
func (n Named) Within(other Named) bool { return n.Evidence&^other.Evidence == 0 }

// Names of the module's own policy.
const (
	Ours        = "choice_of_two"
	OursProbing = "choice_of_two_probing" // with probing on
)

// IsOurs tells whether it is the module's own policy, with probing or without.
func (n Named) IsOurs() bool { return n.Name == Ours || n.Name == OursProbing }

// factory makes a policy's balancers.
type factory func(sim.Env) sim.Balancer

func (f factory) New(env sim.Env) sim.Balancer { return f(env) }

// All returns every policy, ours first and the oracles last. config is that of
// ours, as in a service config; empty for the defaults.
func All(config json.RawMessage) ([]Named, error) {
	ours, probing, err := newOurs(config)
	if err != nil {
		return nil, err
	}
	return []Named{
		ours,
		probing,
		{"netflix_2018", "choice of two by health, reported utilization and in-flight, with probation, warmup and decay", Calls | Reports, factory(newNetflix)},
		{"round_robin", "each server in turn", Calls, factory(newRoundRobin)},
		{"weighted_round_robin", "in turn, as often as reported rps over utilization says (gRFC A58)", Calls | Reports, factory(newWeighted)},
		{"least_request", "of two at random, the one with fewer calls of this client in flight (gRFC A48)", Calls, factory(newLeastRequest)},
		{"peak_ewma", "of two at random, the one with the lower peak-sensitive latency x in-flight (linkerd)", Calls, factory(newPeakEWMA)},
		{"go_zero_p2c", "go-zero's p2c_ewma: of two, the lower root of latency x in-flight", Calls, factory(newGoZero)},
		{"kratos_p2c", "kratos' p2c with its EWMA node", Calls, factory(newKratos)},
		{"prequal", "the best of a pool of probe answers, hot and cold by in-flight (NSDI 2024)", Calls | Probes, factory(newPrequal)},
		{"oracle_jsq", "sees every queue as it is now, and joins the shortest", Truth | Calls, factory(newJSQ)},
		{"oracle_lwl", "sees every queue and every speed as it is now", Truth | Calls, factory(newLWL)},
	}, nil
}

// Select returns the policies with these names, separated by commas, each once; "all"
// for every one.
func Select(names string, config json.RawMessage) ([]Named, error) {
	all, err := All(config)
	if err != nil {
		return nil, err
	}
	var selected []Named
	add := func(n Named) {
		if !slices.ContainsFunc(selected, func(other Named) bool { return other.Name == n.Name }) {
			selected = append(selected, n)
		}
	}
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if name == "all" {
			for _, n := range all {
				add(n)
			}
			continue
		}
		i := slices.IndexFunc(all, func(n Named) bool { return n.Name == name })
		if i < 0 {
			var known []string
			for _, n := range all {
				known = append(known, n.Name)
			}
			return nil, fmt.Errorf("policy %q is not known: must be all or of %s", name, strings.Join(known, ", "))
		}
		add(all[i])
	}
	return selected, nil
}

// ignoreReports is embedded by balancers to which reports mean nothing.
type ignoreReports struct{}

func (ignoreReports) Reported(int64, int32, *sim.Report) {}

// two draws two different numbers below n, of which there are at least 2.
func two(env *sim.Env, n int) (int, int) {
	a := int(env.Random.Uint64N(uint64(n)))
	b := int(env.Random.Uint64N(uint64(n - 1)))
	if b >= a {
		b++
	}
	return a, b
}

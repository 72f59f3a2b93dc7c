package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEachScenarioDoesWhatItSays(t *testing.T) {
	const d = 20 * time.Second
	for name, want := range map[string]string{
		"freeze":          "5s freeze, 10s thaw",
		"crash":           "5s kill, 7s start",
		"rolling-restart": "1s restart, 3s restart, 5s restart, 7s restart, 9s restart, 11s restart, 13s restart, 15s restart, 17s restart, 19s restart",
		"two-speed":       "",
	} {
		var got []string
		s := scenario(t, name)
		for _, step := range s.Steps(1, d) {
			got = append(got, fmt.Sprintf("%v %s", step.At, step.Action))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
	}
}

func TestStepsAreInOrderAndWithinTheMeasurement(t *testing.T) {
	for _, s := range Scenarios() {
		for seed := range uint64(20) {
			for _, d := range []time.Duration{time.Second, 7 * time.Second, time.Minute} {
				steps := s.Steps(seed, d)
				for i, step := range steps {
					if step.At < 0 || step.At > d || (i > 0 && step.At < steps[i-1].At) || step.Replica < 0 || step.Replica >= replicas {
						t.Fatalf("%s: step %d is %+v", s.Name, i, step)
					}
				}
			}
		}
	}
}

func TestOneReplicaAtATimeIsNoisy(t *testing.T) {
	s := scenario(t, "noisy")
	seen := map[int]bool{}
	taken := -1
	for _, step := range s.Steps(1, time.Minute) {
		switch {
		case step.Value == burstWorkers && taken == -1:
			taken = step.Replica
			seen[taken] = true
		case step.Value == 0 && taken == step.Replica:
			taken = -1
		default:
			t.Fatalf("%+v while %d is noisy", step, taken)
		}
	}
	if taken != -1 || len(seen) < 5 {
		t.Errorf("replica %d stays noisy, %d were", taken, len(seen))
	}
}

func TestReplicasThatJoinWarmUp(t *testing.T) {
	s := scenario(t, "cold-start")
	speeds := map[int]float64{}
	for _, step := range s.Steps(1, 20*time.Second) {
		if step.Action == SetSpeed && speeds[step.Replica] == 0 {
			t.Errorf("%+v before it joined", step)
		}
		if step.Value <= speeds[step.Replica] {
			t.Errorf("%+v after %v", step, speeds[step.Replica])
		}
		speeds[step.Replica] = step.Value
	}
	if len(speeds) != s.joining || speeds[8] != 1 || speeds[9] != 1 {
		t.Errorf("at last the speeds are %v", speeds)
	}
}

func TestCapacityIsWhatIsThere(t *testing.T) {
	for name, want := range map[string]float64{
		"two-speed": 5*4 + 5*4*0.4,
		// 10 bursts of 1.5 s, 3 workers each, in 20 s
		"noisy":      40 - 10*1.5*3/20,
		"freeze":     40,
		"cold-start": 32,
	} {
		s := scenario(t, name)
		if got := s.capacity(s.Steps(1, 20*time.Second), 20*time.Second); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v workers, want %v", name, got, want)
		}
	}
}

func TestNamesSelectInTheOrderOfTheList(t *testing.T) {
	names := func(s []Scenario) (n []string) {
		for _, x := range s {
			n = append(n, x.Name)
		}
		return n
	}
	got, err := SelectScenarios(" crash,two-speed, crash")
	if err != nil || !slices.Equal(names(got), []string{"two-speed", "crash"}) {
		t.Errorf("%v, %v", names(got), err)
	}
	if all, err := SelectScenarios("all"); err != nil || len(all) != len(Scenarios()) {
		t.Errorf("%v, %v", names(all), err)
	}
	for _, bad := range []string{"", "nosuch", "crash,", "crash;freeze"} {
		if _, err := SelectScenarios(bad); err == nil || !strings.Contains(err.Error(), "two-speed, noisy, freeze, crash, rolling-restart, cold-start") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := SelectPolicies("fastest", ""); err == nil || !strings.Contains(err.Error(), "choice_of_two, round_robin, weighted_round_robin") {
		t.Errorf("%v", err)
	}
	if _, err := SelectPolicies("all", `{"filterDraws":1}`); err == nil || !strings.Contains(err.Error(), "filterDraws is 1") {
		t.Errorf("%v", err)
	}
}

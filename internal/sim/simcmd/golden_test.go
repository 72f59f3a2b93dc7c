package simcmd

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/compare"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A change of the decision core, or of a model, moves these figures: review
// them, and write them anew with -update.
func TestResultsOfAFewSeedsAreThoseThatWereReviewed(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round otherwise")
	}
	var scenarios []*scenario.Scenario
	for _, name := range []string{"homogeneous", "two-speed", "half-silent", "freeze", "fail-fast", "one-client"} {
		s, err := scenario.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := *s
		changed.Warmup, changed.Duration = 2*time.Second, 2*time.Second
		changed.Events = slices.Clone(s.Events)
		for i := range changed.Events {
			changed.Events[i].At -= 17 * time.Second
		}
		scenarios = append(scenarios, &changed)
	}
	policies, err := policy.Select("choice_of_two,weighted_round_robin,peak_ewma,prequal,oracle_jsq,oracle_lwl", nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := compare.Run(context.Background(), scenarios, policies, compare.Options{Seeds: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := compare.WriteTable(&got, rows); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the results are\n%s\nwant\n%s\nIf the change is meant, run go test ./internal/sim/simcmd -update", got.Bytes(), want)
	}
}

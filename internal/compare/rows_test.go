package compare

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fake is an outcome of a hundred calls, evenly from most/100 to most.
func fake(most time.Duration) *outcome {
	o := &outcome{rate: 50, seconds: 2, imbalance: 0.2, busy: 0.3, late: time.Millisecond}
	for i := range 100 {
		o.latencies = append(o.latencies, most*time.Duration(i+1)/100)
	}
	return o
}

func twoPolicies(t *testing.T) []Policy {
	t.Helper()
	p, err := SelectPolicies("choice_of_two,round_robin", "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRatiosAreOfTheSameRoundAndTheirMedian(t *testing.T) {
	s := scenario(t, "two-speed")
	// All latencies differ by round: only within a round can they be compared.
	rounds := []round{
		{fake(100 * time.Millisecond), fake(200 * time.Millisecond)},
		{fake(500 * time.Millisecond), fake(1500 * time.Millisecond)},
		{fake(10 * time.Millisecond), fake(80 * time.Millisecond)},
	}
	rows := rowsOf(&s, twoPolicies(t), rounds, 4)
	ours, other := rows[0], rows[1]
	if *ours.P99Ratio != 1 || ours.P99RatioCI != nil {
		t.Errorf("ours over itself: %v %v", *ours.P99Ratio, ours.P99RatioCI)
	}
	if math.Abs(*other.P99Ratio-3) > 1e-9 || math.Abs(*other.P50Ratio-3) > 1e-9 {
		t.Errorf("ratios %v and %v, want the median 3", *other.P99Ratio, *other.P50Ratio)
	}
	// Of ln 2, ln 3 and ln 8 the mean is 1.2904 and the deviation 0.7127; Student's
	// t with two degrees of freedom is 9.925.
	half := 9.925 * 0.71271 / math.Sqrt(3)
	if math.Abs(math.Log(other.P99RatioCI[0])-(1.29040-half)) > 1e-3 || math.Abs(math.Log(other.P99RatioCI[1])-(1.29040+half)) > 1e-3 {
		t.Errorf("interval %v", *other.P99RatioCI)
	}
	if ours.RoundsUsed != 3 || ours.RoundsDiscarded != 4 || ours.Requests != 300 {
		t.Errorf("%+v", ours)
	}
}

func TestLatenciesAreOfAllRoundsTogether(t *testing.T) {
	s := scenario(t, "two-speed")
	rows := rowsOf(&s, twoPolicies(t)[:1], []round{{fake(100 * time.Millisecond)}, {fake(time.Second)}}, 0)
	if p := *rows[0].P99MS; p != 990 {
		t.Errorf("p99 %v, want 990", p)
	}
	if p := *rows[0].P50MS; p != 92 {
		t.Errorf("p50 %v, want 92", p)
	}
}

func TestCountsAreSumsAndRatesMeans(t *testing.T) {
	s := scenario(t, "freeze")
	a, b := fake(time.Second), fake(time.Second)
	a.errors, a.errorsHit, a.events = 3, 2, events{inFlight: 5, probes: 1, piled: 4}
	b.errors, b.busy = 1, 0.5
	r := rowsOf(&s, twoPolicies(t)[:1], []round{{a}, {b}}, 0)[0]
	if r.Errors != 4 || r.ErrorsAtEvent != 2 || r.InFlightAtEvent != 5 || r.ProbesAfterEvent != 1 || r.PiledOnAfterEvent != 4 {
		t.Errorf("%+v", r)
	}
	if *r.ErrorPct != 2 || *r.GoodputRPS != 49 || *r.MachineBusyPct != 40 || *r.SendLateP99MS != 1 {
		t.Errorf("errors %v, goodput %v, busy %v, late %v", *r.ErrorPct, *r.GoodputRPS, *r.MachineBusyPct, *r.SendLateP99MS)
	}
}

func TestWhatIsNotKnownIsNull(t *testing.T) {
	s := scenario(t, "two-speed")
	o := fake(time.Second)
	o.busy = math.NaN()
	var b bytes.Buffer
	if err := WriteJSON(&b, append(rowsOf(&s, twoPolicies(t), nil, 2), rowsOf(&s, twoPolicies(t)[1:], []round{{o}}, 0)...)); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(b.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"p50_ms", "p99_ms", "p999_ms", "error_pct", "goodput_rps", "p99_ratio", "p99_ratio_ci"} {
		if v, ok := rows[0][field]; !ok || v != nil {
			t.Errorf("%s is %v without a round", field, v)
		}
	}
	for _, field := range []string{"p99_ratio", "p99_ratio_ci", "machine_busy_pct"} {
		if v, ok := rows[2][field]; !ok || v != nil {
			t.Errorf("%s is %v", field, v)
		}
	}
	b.Reset()
	if err := WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("no rows are %q, %v", b.String(), err)
	}
}

func TestCSVHasTheNamesOfTheJSON(t *testing.T) {
	s := scenario(t, "two-speed")
	rows := rowsOf(&s, twoPolicies(t), []round{
		{fake(time.Second), fake(2 * time.Second)}, {fake(time.Second), fake(3 * time.Second)}, {fake(time.Second), fake(2500 * time.Millisecond)},
	}, 0)
	var b bytes.Buffer
	if err := WriteCSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(records) != 3 {
		t.Fatalf("%v, %v", records, err)
	}
	for name, want := range map[string]string{"scenario": "two-speed", "policy": "round_robin", "p99_ms": "2940", "p99_ratio": "2.5", "requests": "300", "machine_busy_pct": "30"} {
		i := slices.Index(records[0], name)
		if i < 0 || records[2][i] != want {
			t.Errorf("column %s: %v", name, records[2])
		}
	}
	low := slices.Index(records[0], "p99_ratio_ci_low")
	if low < 0 || records[0][low+1] != "p99_ratio_ci_high" || records[1][low] != "" || records[2][low] == "" {
		t.Errorf("the interval's columns: %v", records)
	}
}

func TestTheTableIsTheOneThatWasReviewed(t *testing.T) {
	scenarios := []Scenario{scenario(t, "two-speed"), scenario(t, "freeze"), scenario(t, "crash")}
	frozen := fake(800 * time.Millisecond)
	frozen.errors, frozen.errorsHit, frozen.events = 11, 10, events{inFlight: 5, probes: 2, piled: 4}
	rows := rowsOf(&scenarios[0], twoPolicies(t), []round{
		{fake(300 * time.Millisecond), fake(900 * time.Millisecond)},
		{fake(310 * time.Millisecond), fake(1000 * time.Millisecond)},
		{fake(290 * time.Millisecond), fake(900 * time.Millisecond)},
	}, 1)
	rows = append(rows, rowsOf(&scenarios[1], twoPolicies(t), []round{{fake(400 * time.Millisecond), frozen}}, 0)...)
	rows = append(rows, rowsOf(&scenarios[2], twoPolicies(t), nil, 2)...)
	var b bytes.Buffer
	if err := WriteTable(&b, scenarios, rows); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "table.txt")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the table is\n%s\nwant\n%s\nIf the change is meant, run go test ./internal/compare -update", b.Bytes(), want)
	}
}

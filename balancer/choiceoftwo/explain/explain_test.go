package explain

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ptr(v float64) *float64 { return &v }

// decisions are one of each kind that reads differently.
func decisions() []*choiceoftwo.Decision {
	at := time.Date(2026, 3, 1, 12, 0, 5, 123e6, time.UTC)
	fresh := choiceoftwo.Candidate{
		Endpoint: "movie/1", DrawnFrom: "fresh", Verdict: choiceoftwo.Won, CostMs: 15.6,
		PerRequestMs: 12, PerRequestFrom: "reported capacity", PerRequestAgeMs: ptr(3.4), PerRequestKnownPercent: 99.9,
		QueueCalls: 0.3, QueueFrom: "reported in-flight", OwnInFlightCalls: 0, OthersInFlightCalls: 0.4,
		ReportedInFlightCalls: ptr(0), UsualInFlightCalls: ptr(0.6), ReportAgeMs: ptr(3.4), ReportKnownPercent: 99.9,
		UtilizationPercent: ptr(40), ErrorPenaltyFactor: 1, NeglectFactor: 1, WeightPercent: 100,
	}
	other := fresh
	other.ReportByProbe = true
	other.Endpoint, other.Verdict, other.CostMs, other.QueueCalls, other.UnseenCalls = "movie/4", choiceoftwo.NotCheapestFresh, 28.8, 1, 0.4
	other.ReportedInFlightCalls, other.OwnAtReportCalls = ptr(3), 2
	slow := fresh
	slow.Endpoint, slow.DrawnFrom, slow.Verdict, slow.CostMs, slow.PerRequestMs, slow.QueueCalls = "movie/2", "random", choiceoftwo.Lost, 119, 40, 1.5
	slow.OwnErrorRatePercent, slow.ErrorPenaltyFactor = 1.9, 1.19
	slow.DistanceMs, slow.DistanceCostMs = 4, 6.5
	draining := fresh
	draining.Endpoint, draining.DrawnFrom, draining.Verdict, draining.PassedOver = "movie/3", "random", choiceoftwo.PassedOver, []string{"draining"}
	draining.ReportedInFlightCalls = nil
	frozen := choiceoftwo.Candidate{
		Endpoint: "movie/2", DrawnFrom: "random", Verdict: choiceoftwo.Lost, CostMs: 21500, PerRequestMs: 12, PerRequestFrom: "typical",
		QueueFrom: "own in-flight", QueueCalls: 3.4, OwnInFlightCalls: 3, OthersInFlightCalls: 0.4, SilenceMs: 2150, UnusualSilenceMs: 2120,
		ErrorPenaltyFactor: 1, NeglectFactor: 1, WeightPercent: 10, WeightApplied: true,
	}
	young := frozen
	young.Endpoint, young.Verdict, young.CostMs, young.SilenceMs, young.QueueCalls = "movie/5", choiceoftwo.Won, 16.8, 0, 0.4
	young.OwnInFlightCalls, young.WeightApplied, young.WeightPercent = 0, false, 30
	make := func(why choiceoftwo.Why, candidates ...choiceoftwo.Candidate) *choiceoftwo.Decision {
		d := &choiceoftwo.Decision{
			Time: at, Target: "xds:///movie", Method: "/mesh.movie.v1.MovieService/GetMovie",
			ReadyEndpoints: 4, TypicalPerRequestMs: 12.5, Candidates: candidates, Why: why,
		}
		for _, c := range candidates {
			if c.Verdict == choiceoftwo.Won {
				d.Winner = c.Endpoint
			}
		}
		return d
	}
	panicking := make(choiceoftwo.TossUp, frozen, young)
	panicking.FiltersIgnored = true
	idle := make(choiceoftwo.OthersPassed, fresh, draining)
	idle.SpareCalls = 1
	for i := range idle.Candidates {
		idle.Candidates[i].CostMs, idle.Candidates[i].CertainPerRequestMs = 17, 12.4
	}
	passed := draining
	passed.Verdict = choiceoftwo.Won
	return []*choiceoftwo.Decision{
		make(choiceoftwo.Cheaper, fresh, other, slow),
		idle,
		panicking,
		make(choiceoftwo.AllPassed, passed, draining),
		make(choiceoftwo.OnlyOne, young),
	}
}

func TestTextReadsAsInTheGoldenFile(t *testing.T) {
	var b bytes.Buffer
	for i, d := range decisions() {
		if i > 0 {
			b.WriteString("\n")
		}
		if err := Text(&b, d); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "testdata/text.golden", b.Bytes())
}

func TestJSONNamesTheUnitOfEachNumber(t *testing.T) {
	data, err := json.MarshalIndent(decisions()[0], "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/decision.golden.json", append(data, '\n'))
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	checkUnits(t, "", fields)
}

// checkUnits demands a unit at the end of the name of each number.
func checkUnits(t *testing.T, name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			checkUnits(t, name, v)
		}
	case []any:
		for _, v := range value {
			checkUnits(t, name, v)
		}
	case float64:
		for _, unit := range []string{"Ms", "Percent", "Calls", "Factor", "Endpoints"} {
			if strings.HasSuffix(name, unit) {
				return
			}
		}
		t.Errorf("%s has no unit", name)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s reads otherwise (-update writes it anew):\n%s", file, got)
	}
}

func TestTheFilterNarrowsDown(t *testing.T) {
	all := decisions()
	all[1].Target = "xds:///talent"
	for _, tt := range []struct {
		filter Filter
		want   int
	}{
		{Filter{}, 5}, {Filter{Limit: 2}, 2}, {Filter{Endpoint: "movie/4"}, 1},
		{Filter{Target: "xds:///talent"}, 1}, {Filter{Endpoint: "movie/9"}, 0},
	} {
		if got := len(tt.filter.Select(all)); got != tt.want {
			t.Errorf("%+v selects %d, want %d", tt.filter, got, tt.want)
		}
	}
}

func TestTheHandlerRefusesWhatItDoesNotKnow(t *testing.T) {
	h := Handler(choiceoftwo.NewExplainer(1))
	for query, want := range map[string]int{
		"": http.StatusOK, "?limit=3&endpoint=a&target=b": http.StatusOK,
		"?limit=0": http.StatusBadRequest, "?limit=x": http.StatusBadRequest, "?colour=red": http.StatusBadRequest,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+query, nil))
		if w.Code != want {
			t.Errorf("%q: %d, want %d: %s", query, w.Code, want, w.Body)
		}
		var page Page
		if want == http.StatusOK && (json.Unmarshal(w.Body.Bytes(), &page) != nil || page.Decisions == nil) {
			t.Errorf("%q: %s", query, w.Body)
		}
	}
}

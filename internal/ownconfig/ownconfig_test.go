package ownconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

func TestAFieldThatIsNotKnownIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"freshCandidate": 8}`:                     "there is no field freshCandidate:",
		`{"slowStartConfig": {"window": "5s"}}`:     "there is no field slowStartConfig.window:",
		`{"slowStart": {"slowStartWindow": "5s"}}`:  "there is no field slowStart.slowStartWindow:",
		`{"filterDraws": 1}`:                        "filterDraws is 1: must be from 2 to 16",
		`{"filterDraws": 3`:                         "unexpected end of JSON",
		`{"decayWindow": "5s", "x": {"y": [1, 2]}}`: "there is no field x.y:",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q in it", text, err, want)
		}
	}
}

func TestWhatIsKnownIsRead(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"enableOobLoadReport": false}`, `{"errorCodes": []}`, `{"slowStartConfig": {}}`, `{"freshCandidates": null}`,
		`{"errorRateThreshold": 0, "panicThreshold": 0, "probesPerCall": 0, "slowStartConfig": {"slowStartWindow": "0s"}}`,
		`{"enableOobLoadReport": true, "oobReportingPeriod": "1s", "errorCodes": ["INTERNAL", 14], "metricNamesForComputingUtilization": ["cpu_utilization"]}`,
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	c, err := Parse(`{"freshCandidates": 8, "probationRamp": "3s", "slowStartConfig": {"aggression": 2}}`)
	if err != nil || c.FreshCandidates != 8 || c.ProbationRamp != 3*time.Second || c.SlowStart != (choiceoftwo.SlowStart{Aggression: 2}) {
		t.Errorf("%+v, %v", c, err)
	}
}

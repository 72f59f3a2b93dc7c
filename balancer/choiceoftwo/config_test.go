package choiceoftwo

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/serviceconfig"

	"github.com/evenkeel/evenkeel/internal/choice"
)

var fullConfig = Config{
	ErrorRateThreshold:                 0.25,
	UtilizationThreshold:               Off,
	FilterDraws:                        4,
	PanicThreshold:                     30,
	DistanceWeight:                     0.5,
	ProbesPerCall:                      0.5,
	DecayWindow:                        90 * time.Second,
	SlowStart:                          SlowStart{Window: 1500 * time.Millisecond, Aggression: 2, MinWeightPercent: 5},
	ProbationRamp:                      Off,
	StreamAnswerAge:                    time.Second,
	ErrorCodes:                         []codes.Code{codes.Unavailable, codes.Aborted},
	EnableOOBLoadReport:                true,
	OOBReportingPeriod:                 250 * time.Millisecond,
	MetricNamesForComputingUtilization: []string{"named_metrics.kv_cache", "cpu_utilization"},
}

const fullJSON = `{"errorRateThreshold":0.25,"utilizationThreshold":0,"filterDraws":4,"panicThreshold":30,"distanceWeight":0.5,"probesPerCall":0.5,` +
	`"decayWindow":"90s","slowStartConfig":{"slowStartWindow":"1.5s","aggression":2,"minWeightPercent":5},` +
	`"probationRamp":"0s","streamAnswerAge":"1s","errorCodes":["UNAVAILABLE","ABORTED"],"enableOobLoadReport":true,` +
	`"oobReportingPeriod":"0.25s","metricNamesForComputingUtilization":["named_metrics.kv_cache","cpu_utilization"]}`

func TestConfigInJSONAndInGoIsTheSame(t *testing.T) {
	got, err := ParseConfig([]byte(fullJSON))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, fullConfig) {
		t.Errorf("parsed\n%+v\nwant\n%+v", got, fullConfig)
	}
	data, err := json.Marshal(fullConfig)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != fullJSON {
		t.Errorf("written\n%s\nwant\n%s", data, fullJSON)
	}
}

func TestTheZeroConfigIsTheDefault(t *testing.T) {
	got, err := ParseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Params(); !reflect.DeepEqual(p, choice.DefaultParams()) {
		t.Errorf("params %+v", p)
	}
	if s := (Config{}).ServiceConfig(); s != `{"loadBalancingConfig":[{"choice_of_two":{}}]}` {
		t.Errorf("service config %s", s)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	if _, err := ParseConfig([]byte(`{"somethingOfTheFuture":{"x":1}}`)); err != nil {
		t.Error(err)
	}
}

func TestAFieldOutOfRangeIsRefusedWithItsPath(t *testing.T) {
	for config, path := range map[string]string{
		`{"errorRateThreshold":1.5}`:                                    "errorRateThreshold",
		`{"errorRateThreshold":-1}`:                                     "errorRateThreshold",
		`{"utilizationThreshold":-0.1}`:                                 "utilizationThreshold",
		`{"filterDraws":1}`:                                             "filterDraws",
		`{"filterDraws":17}`:                                            "filterDraws",
		`{"filterDraws":0}`:                                             "filterDraws",
		`{"panicThreshold":101}`:                                        "panicThreshold",
		`{"distanceWeight":-2}`:                                         "distanceWeight",
		`{"probesPerCall":0.001}`:                                       "probesPerCall",
		`{"probesPerCall":3.5}`:                                         "probesPerCall",
		`{"probesPerCall":-1}`:                                          "probesPerCall",
		`{"decayWindow":"0.5s"}`:                                        "decayWindow",
		`{"decayWindow":"0s"}`:                                          "decayWindow",
		`{"decayWindow":30}`:                                            "duration 30",
		`{"decayWindow":"30"}`:                                          `duration "30"`,
		`{"decayWindow":"1m"}`:                                          `duration "1m"`,
		`{"slowStartConfig":{"slowStartWindow":"90000s"}}`:              "slowStartConfig.slowStartWindow",
		`{"slowStartConfig":{"aggression":-2}}`:                         "slowStartConfig.aggression",
		`{"slowStartConfig":{"minWeightPercent":0.5}}`:                  "slowStartConfig.minWeightPercent",
		`{"probationRamp":"-1s"}`:                                       "probationRamp",
		`{"streamAnswerAge":"0.01s"}`:                                   "streamAnswerAge",
		`{"oobReportingPeriod":"0.01s"}`:                                "oobReportingPeriod",
		`{"errorCodes":["CANCELLED"]}`:                                  "errorCodes[0]",
		`{"errorCodes":["UNAVAILABLE","OK"]}`:                           "errorCodes[1]",
		`{"errorCodes":["NO_SUCH_CODE"]}`:                               "NO_SUCH_CODE",
		`{"metricNamesForComputingUtilization":["named_metrics"]}`:      "metricNamesForComputingUtilization[0]",
		`{"metricNamesForComputingUtilization":["cpu_utilization",""]}`: "metricNamesForComputingUtilization[1]",
	} {
		_, err := ParseConfig([]byte(config))
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %q", config, err, path)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(`{}`)
	f.Add(fullJSON)
	f.Add(`{"decayWindow":"-0.000000001s"}`)
	f.Add(`{"panicThreshold":1e308}`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseConfig([]byte(s))
		if err != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", c, err)
		}
		again, err := ParseConfig(data)
		if err != nil {
			t.Fatalf("%s, written as %s, is refused: %v", s, data, err)
		}
		again.LoadBalancingConfig = serviceconfig.LoadBalancingConfig(nil)
		if len(c.ErrorCodes) == 0 {
			again.ErrorCodes, c.ErrorCodes = nil, nil
		}
		if len(c.MetricNamesForComputingUtilization) == 0 {
			again.MetricNamesForComputingUtilization, c.MetricNamesForComputingUtilization = nil, nil
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v becomes %+v", c, again)
		}
	})
}

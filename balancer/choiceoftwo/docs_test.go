package choiceoftwo

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// documented is a row of the table in docs/configuration.md.
type documented struct{ standard, bounds string }

func documentedFields(t *testing.T) map[string]documented {
	t.Helper()
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]documented)
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 5 {
			continue
		}
		rows[strings.Trim(cells[0], "|` ")] = documented{cells[2], cells[3]}
	}
	return rows
}

// fields are the JSON paths of all fields.
func fields(t reflect.Type, prefix string) (paths []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if typ := t.Field(i).Type; typ == reflect.TypeFor[*jsonStart]() {
			paths = append(paths, fields(typ.Elem(), prefix+name+".")...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

func TestTheTableInTheDocsHasAllFields(t *testing.T) {
	rows := documentedFields(t)
	var got []string
	for path := range rows {
		got = append(got, path)
	}
	want := fields(reflect.TypeFor[jsonConfig](), "")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("documented: %v\nin the code: %v", got, want)
	}
}

func TestTheDefaultsInTheDocsAreThoseOfTheCode(t *testing.T) {
	p := Config{}.Params()
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
	var standardCodes []string
	for _, code := range defaultErrorCodes {
		standardCodes = append(standardCodes, codeNames[code])
	}
	for path, want := range map[string]any{
		"errorRateThreshold":                 p.ErrorRateThreshold,
		"utilizationThreshold":               p.UtilizationThreshold,
		"freshCandidates":                    p.FreshCandidates,
		"filterDraws":                        p.FilterDraws,
		"panicThreshold":                     100 * p.PanicThreshold,
		"distanceWeight":                     p.DistanceWeight,
		"probesPerCall":                      p.ProbesPerCall,
		"decayWindow":                        seconds(p.DecayWindow),
		"slowStartConfig.slowStartWindow":    seconds(p.SlowStartWindow),
		"slowStartConfig.aggression":         p.SlowStartAggression,
		"slowStartConfig.minWeightPercent":   100 * p.SlowStartMinWeight,
		"probationRamp":                      seconds(p.ProbationRamp),
		"streamAnswerAge":                    seconds(p.StreamAnswerAge),
		"errorCodes":                         strings.Join(standardCodes, ", "),
		"enableOobLoadReport":                Config{}.EnableOOBLoadReport,
		"oobReportingPeriod":                 seconds(defaultOOBReportingPeriod),
		"metricNamesForComputingUtilization": "none",
	} {
		if got := documentedFields(t)[path].standard; got != fmt.Sprint(want) {
			t.Errorf("%s: documented default %q, in the code %v", path, got, want)
		}
	}
}

var bounds = regexp.MustCompile(`^(?:([0-9.]+)(s?) to|up to) ([0-9.]+)(s?)(, or 0s?)?$`)

func TestTheRangesInTheDocsAreThoseOfTheCode(t *testing.T) {
	checked := 0
	for path, row := range documentedFields(t) {
		m := bounds.FindStringSubmatch(row.bounds)
		if m == nil {
			continue
		}
		checked++
		high, _ := strconv.ParseFloat(m[3], 64)
		low, _ := strconv.ParseFloat(m[1], 64)
		accepts := func(v float64, want bool) {
			value := strconv.FormatFloat(v, 'f', -1, 64)
			if m[4] == "s" {
				value = `"` + value + `s"`
			}
			config := fmt.Sprintf(`{%q:%s}`, path, value)
			if outer, inner, nested := strings.Cut(path, "."); nested {
				config = fmt.Sprintf(`{%q:{%q:%s}}`, outer, inner, value)
			}
			if !json.Valid([]byte(config)) {
				t.Fatalf("not JSON: %s", config)
			}
			if _, err := ParseConfig([]byte(config)); (err == nil) != want {
				t.Errorf("%s: the documented range is %q, but the error is %v", config, row.bounds, err)
			}
		}
		accepts(high, true)
		accepts(high+1, false)
		accepts(0, m[5] != "")
		if low > 0 {
			accepts(low, true)
			accepts(low*0.9, false)
		}
	}
	if checked != 14 {
		t.Errorf("%d ranges were checked, want 14", checked)
	}
}

// gRPC itself reads the example: a field that is misspelt would be ignored, so what
// it says is looked at, too.
func TestTheExampleForLanguageModelsSaysWhatItMeans(t *testing.T) {
	data, err := os.ReadFile("../../examples/llm/service-config.json")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///model", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	var example struct {
		LoadBalancingConfig []map[string]Config
	}
	if err := json.Unmarshal(data, &example); err != nil {
		t.Fatal(err)
	}
	got := example.LoadBalancingConfig[0][Name]
	want := Config{
		MetricNamesForComputingUtilization: []string{"named_metrics.kv_cache_utilization"},
		EnableOOBLoadReport:                true,
		OOBReportingPeriod:                 time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// The metric that it names is what counts for the utilization.
	r := &v3orcapb.OrcaLoadReport{CpuUtilization: 0.1, NamedMetrics: map[string]float64{"kv_cache_utilization": 0.7}}
	if u, _ := utilizationOf(r, newSettings(&got).metrics); u != 0.7 {
		t.Errorf("the utilization is %v, want that of the KV cache, 0.7", u)
	}
}

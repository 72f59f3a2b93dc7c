package choiceoftwo

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/serviceconfig"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// Name is the name of the policy, in service configs and in xDS.
const Name = "choice_of_two"

// Off turns off a field for which 0 means the default: a threshold, or (as a
// time.Duration) a window. In JSON the same is said by 0.
const Off = -1

// Config is the policy's configuration. The zero value of each field stands
// for its default. In JSON, which Config reads and writes, durations are
// strings such as "1.5s", and fields that are not known are ignored.
type Config struct {
	serviceconfig.LoadBalancingConfig

	// ErrorRateThreshold: an endpoint with a higher error rate is passed over,
	// best effort. 0 to 1; default 0.5; Off for never.
	ErrorRateThreshold float64
	// UtilizationThreshold: an endpoint that reports a higher utilization is
	// passed over, best effort. 0 and up; default Off: its cost heeds it anyway,
	// and a server that overstates it would leave the others with its load.
	UtilizationThreshold float64
	// FreshCandidates is how many of the endpoints that answered last a pick
	// looks at: the cheapest of them is compared with one drawn at random. 1 is
	// a choice of two in the narrow sense; Off compares two drawn at random. 1 to
	// 16; default 4.
	FreshCandidates int
	// FilterDraws is how many endpoints are looked at, at most, in search of
	// two that are not passed over. 2 to 16; default 8.
	FilterDraws int
	// PanicThreshold is the percentage of endpoints that must be left by the
	// thresholds for them to be heeded, as Envoy's healthy panic threshold.
	// 0 to 100; default 50; Off for always heeding them.
	PanicThreshold float64
	// DistanceWeight is how strongly near endpoints are preferred, where the
	// resolver says how far they are (SetDistance): how much expected latency each
	// unit of distance counts for while they are idle. The busier they are, the less
	// it counts. 0.01 to 100; default 2; Off for not preferring any.
	DistanceWeight float64
	// ProbesPerCall turns probing on: endpoints are asked for a load report, by the
	// out-of-band service and apart from calls, while this client has no fresh
	// news of them. It is how many such probes are sent for each call, at most and
	// on average: they cost the network and the servers about what a small call does. It pays
	// where clients are quiet, or servers work on one call at a time. 0.01 to 3; default Off.
	ProbesPerCall float64
	// DecayWindow is how long knowledge takes to fade to nothing without news.
	// 1s to 1h; default 30s.
	DecayWindow time.Duration
	// SlowStart is the warmup of new servers.
	SlowStart SlowStart
	// ProbationRamp is how long an endpoint that leaves probation takes to get
	// its whole share. Up to 1h; default 10s; Off for at once.
	ProbationRamp time.Duration
	// StreamAnswerAge is how long a stream must have been open to count as an
	// answer. 100ms to 1h; default 5s.
	StreamAnswerAge time.Duration
	// ErrorCodes are the codes that count against an endpoint. Default
	// UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE and
	// DATA_LOSS: what the server or the way to it caused. OK and CANCELLED are
	// refused: they never count.
	ErrorCodes []codes.Code
	// EnableOOBLoadReport asks the servers for load reports out of band, which
	// pays where calls are few, or are long streams. Default false.
	EnableOOBLoadReport bool
	// OOBReportingPeriod is how often to ask for them. 100ms to 1h; default
	// 10s. A server may have a floor of its own (gRPC's is 30s).
	OOBReportingPeriod time.Duration
	// MetricNamesForComputingUtilization name the metrics whose highest value
	// is an endpoint's utilization (gRFC A114): "named_metrics.NAME",
	// "utilization.NAME", "application_utilization", "cpu_utilization" or
	// "mem_utilization". If a report has none of them it is the application
	// utilization, else the CPU's. Default none.
	MetricNamesForComputingUtilization []string
}

// SlowStart gives a new server less than its share at first, as Envoy's field
// of the same name. Its age is what it reports, or else the time since it was
// first seen. An endpoint of weight w competes as an equal in the part w of
// the picks in which it is looked at; in the others its cost is divided by w.
// Weights are relative to the fleet's highest: when all are new, none is held
// back.
type SlowStart struct {
	// Window is how long it takes. Up to 24h; default 90s; Off for not at all.
	Window time.Duration
	// Aggression bends the ramp: the weight is (age/window)^(1/aggression).
	// 0.01 to 100; default 1, a straight line.
	Aggression float64
	// MinWeightPercent is where it begins. 1 to 100; default 10.
	MinWeightPercent float64
}

// ParseConfig reads the policy's configuration, and checks it. An error names
// the field's path, its value and what is allowed.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, fmt.Errorf("%s: %w", Name, err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// ServiceConfig returns a whole service config in which this is the balancing
// policy, for grpc.WithDefaultServiceConfig. A field out of range is found by
// Validate; gRPC too refuses it, at the dial.
func (c Config) ServiceConfig() string {
	data, err := json.Marshal(map[string]any{
		"loadBalancingConfig": []any{map[string]any{Name: c}},
	})
	if err != nil {
		// Only a NaN or an infinity cannot be written: leave it to gRPC to
		// refuse, with the reason.
		return fmt.Sprintf(`{"loadBalancingConfig":%q}`, err.Error())
	}
	return string(data)
}

// Validate checks the ranges of all fields.
func (c Config) Validate() error {
	within := func(path string, v, low, high float64, off bool) error {
		if v == 0 || (off && v == Off) || (v >= low && v <= high) {
			return nil
		}
		return fmt.Errorf("%s: %s is %v: must be from %v to %v", Name, path, v, low, high)
	}
	lasts := func(path string, d, low, high time.Duration, off bool) error {
		if d == 0 || (off && d == Off) || (d >= low && d <= high) {
			return nil
		}
		return fmt.Errorf("%s: %s is %v: must be from %v to %v", Name, path, d, low, high)
	}
	checks := []error{
		within("errorRateThreshold", c.ErrorRateThreshold, 0, 1, true),
		within("utilizationThreshold", c.UtilizationThreshold, 0, 1e6, true),
		within("freshCandidates", float64(c.FreshCandidates), 1, 16, true),
		within("filterDraws", float64(c.FilterDraws), 2, 16, false),
		within("panicThreshold", c.PanicThreshold, 0, 100, true),
		within("distanceWeight", c.DistanceWeight, 0.01, 100, true),
		within("probesPerCall", c.ProbesPerCall, 0.01, 3, true),
		lasts("decayWindow", c.DecayWindow, time.Second, time.Hour, false),
		lasts("slowStartConfig.slowStartWindow", c.SlowStart.Window, 0, 24*time.Hour, true),
		within("slowStartConfig.aggression", c.SlowStart.Aggression, 0.01, 100, false),
		within("slowStartConfig.minWeightPercent", c.SlowStart.MinWeightPercent, 1, 100, false),
		lasts("probationRamp", c.ProbationRamp, 0, time.Hour, true),
		lasts("streamAnswerAge", c.StreamAnswerAge, 100*time.Millisecond, time.Hour, false),
		lasts("oobReportingPeriod", c.OOBReportingPeriod, 100*time.Millisecond, time.Hour, false),
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	for i, code := range c.ErrorCodes {
		if code == codes.OK || code == codes.Canceled || code > codes.Unauthenticated {
			return fmt.Errorf("%s: errorCodes[%d] is %v: must be a code other than OK and CANCELLED", Name, i, code)
		}
	}
	for i, name := range c.MetricNamesForComputingUtilization {
		if _, err := parseMetricName(name); err != nil {
			return fmt.Errorf("%s: metricNamesForComputingUtilization[%d] is %q: %w", Name, i, name, err)
		}
	}
	return nil
}

var defaultErrorCodes = []codes.Code{
	codes.Unknown, codes.DeadlineExceeded, codes.ResourceExhausted,
	codes.Internal, codes.Unavailable, codes.DataLoss,
}

const defaultOOBReportingPeriod = 10 * time.Second

// Params returns the configuration as the decision core takes it, defaults
// filled in. It is for the simulator of this module.
func (c Config) Params() choice.Params {
	p := choice.DefaultParams()
	p.ErrorRateThreshold = or(c.ErrorRateThreshold, p.ErrorRateThreshold, 1)
	p.UtilizationThreshold = or(c.UtilizationThreshold, p.UtilizationThreshold, 0)
	p.FreshCandidates = or(c.FreshCandidates, p.FreshCandidates, 0)
	p.FilterDraws = or(c.FilterDraws, p.FilterDraws, p.FilterDraws)
	p.PanicThreshold = or(c.PanicThreshold/100, p.PanicThreshold, 0)
	if c.PanicThreshold == Off {
		p.PanicThreshold = 0
	}
	p.DistanceWeight = or(c.DistanceWeight, p.DistanceWeight, 0)
	p.ProbesPerCall = or(c.ProbesPerCall, p.ProbesPerCall, 0)
	p.DecayWindow = or(c.DecayWindow, p.DecayWindow, p.DecayWindow)
	p.SlowStartWindow = or(c.SlowStart.Window, p.SlowStartWindow, 0)
	p.SlowStartAggression = or(c.SlowStart.Aggression, p.SlowStartAggression, 1)
	p.SlowStartMinWeight = or(c.SlowStart.MinWeightPercent/100, p.SlowStartMinWeight, 1)
	p.ProbationRamp = or(c.ProbationRamp, p.ProbationRamp, 0)
	p.StreamAnswerAge = or(c.StreamAnswerAge, p.StreamAnswerAge, p.StreamAnswerAge)
	return p
}

// or is v, or the default if v is 0, or what stands for off if v is Off.
func or[T int | float64 | time.Duration](v, standard, off T) T {
	switch v {
	case 0:
		return standard
	case Off:
		return off
	}
	return v
}

func (c *Config) errorCodes() (set uint32) {
	list := c.ErrorCodes
	if list == nil {
		list = defaultErrorCodes
	}
	for _, code := range list {
		set |= 1 << code
	}
	return set
}

// jsonConfig is Config's form in JSON. Pointers tell 0, which turns a field
// off, from a field that is not there.
type jsonConfig struct {
	ErrorRateThreshold                 *float64   `json:"errorRateThreshold,omitempty"`
	UtilizationThreshold               *float64   `json:"utilizationThreshold,omitempty"`
	FreshCandidates                    *int       `json:"freshCandidates,omitempty"`
	FilterDraws                        *int       `json:"filterDraws,omitempty"`
	PanicThreshold                     *float64   `json:"panicThreshold,omitempty"`
	DistanceWeight                     *float64   `json:"distanceWeight,omitempty"`
	ProbesPerCall                      *float64   `json:"probesPerCall,omitempty"`
	DecayWindow                        *duration  `json:"decayWindow,omitempty"`
	SlowStart                          *jsonStart `json:"slowStartConfig,omitempty"`
	ProbationRamp                      *duration  `json:"probationRamp,omitempty"`
	StreamAnswerAge                    *duration  `json:"streamAnswerAge,omitempty"`
	ErrorCodes                         []jsonCode `json:"errorCodes,omitempty"`
	EnableOOBLoadReport                bool       `json:"enableOobLoadReport,omitempty"`
	OOBReportingPeriod                 *duration  `json:"oobReportingPeriod,omitempty"`
	MetricNamesForComputingUtilization []string   `json:"metricNamesForComputingUtilization,omitempty"`
}

type jsonStart struct {
	Window           *duration `json:"slowStartWindow,omitempty"`
	Aggression       *float64  `json:"aggression,omitempty"`
	MinWeightPercent *float64  `json:"minWeightPercent,omitempty"`
}

// MarshalJSON writes the fields that are not at their defaults.
func (c Config) MarshalJSON() ([]byte, error) {
	j := jsonConfig{
		ErrorRateThreshold:                 toJSON(c.ErrorRateThreshold),
		UtilizationThreshold:               toJSON(c.UtilizationThreshold),
		FreshCandidates:                    toJSON(c.FreshCandidates),
		FilterDraws:                        toJSON(c.FilterDraws),
		PanicThreshold:                     toJSON(c.PanicThreshold),
		DistanceWeight:                     toJSON(c.DistanceWeight),
		ProbesPerCall:                      toJSON(c.ProbesPerCall),
		DecayWindow:                        (*duration)(toJSON(c.DecayWindow)),
		ProbationRamp:                      (*duration)(toJSON(c.ProbationRamp)),
		StreamAnswerAge:                    (*duration)(toJSON(c.StreamAnswerAge)),
		EnableOOBLoadReport:                c.EnableOOBLoadReport,
		OOBReportingPeriod:                 (*duration)(toJSON(c.OOBReportingPeriod)),
		MetricNamesForComputingUtilization: c.MetricNamesForComputingUtilization,
	}
	if c.SlowStart != (SlowStart{}) {
		j.SlowStart = &jsonStart{
			Window:           (*duration)(toJSON(c.SlowStart.Window)),
			Aggression:       toJSON(c.SlowStart.Aggression),
			MinWeightPercent: toJSON(c.SlowStart.MinWeightPercent),
		}
	}
	for _, code := range c.ErrorCodes {
		j.ErrorCodes = append(j.ErrorCodes, jsonCode(code))
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes, and ignores other fields. Use
// ParseConfig to have the ranges checked too.
func (c *Config) UnmarshalJSON(data []byte) error {
	var j jsonConfig
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Config{
		ErrorRateThreshold:                 fromJSON(j.ErrorRateThreshold),
		UtilizationThreshold:               fromJSON(j.UtilizationThreshold),
		FreshCandidates:                    fromJSON(j.FreshCandidates),
		FilterDraws:                        fromJSON(j.FilterDraws),
		PanicThreshold:                     fromJSON(j.PanicThreshold),
		DistanceWeight:                     fromJSON(j.DistanceWeight),
		ProbesPerCall:                      fromJSON(j.ProbesPerCall),
		DecayWindow:                        fromJSON((*time.Duration)(j.DecayWindow)),
		ProbationRamp:                      fromJSON((*time.Duration)(j.ProbationRamp)),
		StreamAnswerAge:                    fromJSON((*time.Duration)(j.StreamAnswerAge)),
		EnableOOBLoadReport:                j.EnableOOBLoadReport,
		OOBReportingPeriod:                 fromJSON((*time.Duration)(j.OOBReportingPeriod)),
		MetricNamesForComputingUtilization: j.MetricNamesForComputingUtilization,
	}
	if j.SlowStart != nil {
		c.SlowStart = SlowStart{
			Window:           fromJSON((*time.Duration)(j.SlowStart.Window)),
			Aggression:       fromJSON(j.SlowStart.Aggression),
			MinWeightPercent: fromJSON(j.SlowStart.MinWeightPercent),
		}
	}
	for _, code := range j.ErrorCodes {
		c.ErrorCodes = append(c.ErrorCodes, codes.Code(code))
	}
	return nil
}

func toJSON[T int | float64 | time.Duration](v T) *T {
	switch v {
	case 0:
		return nil
	case Off:
		v = 0
	}
	return &v
}

func fromJSON[T int | float64 | time.Duration](p *T) T {
	switch {
	case p == nil:
		return 0
	case *p == 0:
		return Off
	case *p == Off:
		// Below every range. Off is for Go: in JSON -1 is out of range.
		return *p * 2
	}
	return *p
}

// jsonCode is a status code by its name, such as "UNAVAILABLE", or number.
type jsonCode codes.Code

func (c jsonCode) MarshalJSON() ([]byte, error) {
	return json.Marshal(codeNames[codes.Code(c)])
}

func (c *jsonCode) UnmarshalJSON(data []byte) error {
	return (*codes.Code)(c).UnmarshalJSON(data)
}

var codeNames = map[codes.Code]string{
	codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND",
	codes.AlreadyExists: "ALREADY_EXISTS", codes.PermissionDenied: "PERMISSION_DENIED",
	codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.FailedPrecondition: "FAILED_PRECONDITION",
	codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE", codes.Unimplemented: "UNIMPLEMENTED",
	codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE", codes.DataLoss: "DATA_LOSS",
	codes.Unauthenticated: "UNAUTHENTICATED", codes.OK: "OK", codes.Canceled: "CANCELLED",
}

// duration is a google.protobuf.Duration in JSON: "1.5s".
type duration time.Duration

// maxDurationSeconds is what a time.Duration holds, about 292 years.
const maxDurationSeconds = 1<<63/1_000_000_000 - 1

func (d duration) MarshalJSON() ([]byte, error) {
	s := strconv.FormatFloat(time.Duration(d).Seconds(), 'f', -1, 64)
	return []byte(`"` + s + `s"`), nil
}

func (d *duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("duration %s: must be a string such as \"1.5s\"", data)
	}
	bad := fmt.Errorf("duration %q: must be a number of seconds and \"s\", such as \"1.5s\"", s)
	digits, ok := strings.CutSuffix(s, "s")
	if !ok || strings.Trim(digits, "-0123456789.") != "" {
		return bad
	}
	seconds, fraction, _ := strings.Cut(digits, ".")
	if len(fraction) > 9 {
		return bad
	}
	whole, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || whole > maxDurationSeconds || whole < -maxDurationSeconds {
		return bad
	}
	var nanos int64
	if fraction != "" {
		if nanos, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64); err != nil || nanos < 0 {
			return bad
		}
	}
	if strings.HasPrefix(seconds, "-") {
		nanos = -nanos
	}
	*d = duration(whole*int64(time.Second) + nanos)
	return nil
}

package orca

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
)

// decode returns the message of a report's trailer.
func decode(t testing.TB, r *report, inFlight int) *v3orcapb.OrcaLoadReport {
	t.Helper()
	values := r.trailer(inFlight)[trailerKey]
	if len(values) != 1 {
		t.Fatalf("%d values, want 1", len(values))
	}
	message := new(v3orcapb.OrcaLoadReport)
	if err := proto.Unmarshal([]byte(values[0]), message); err != nil {
		t.Fatal(err)
	}
	if unknown := message.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		t.Fatalf("unknown fields %x", unknown)
	}
	return message
}

// TestTheTrailerAndTheOutOfBandReportAreOneMessage holds the marshalling by hand
// against the generated code.
func TestTheTrailerAndTheOutOfBandReportAreOneMessage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	number := func() float64 { return float64(random.IntN(2)) * random.ExpFloat64() }
	for range 2000 {
		load := Load{
			RPS:                    number(),
			EPS:                    number(),
			CPUUtilization:         number(),
			MemUtilization:         number(),
			ApplicationUtilization: number(),
			Uptime:                 time.Duration(random.Int64N(int64(time.Hour))),
			Draining:               random.IntN(2) == 0,
		}
		for range random.IntN(4) {
			if load.NamedMetrics == nil {
				load.NamedMetrics = map[string]float64{}
			}
			load.NamedMetrics[strings.Repeat("é", 1+random.IntN(maxNameLength/2))] = number()
		}
		r := newReport(load)
		load.InFlight = random.IntN(2 * cachedInFlight)

		got, want := decode(t, r, load.InFlight), load.proto()
		if !proto.Equal(got, want) {
			t.Fatalf("trailer says\n%v\nout of band\n%v", got, want)
		}
		// The second time it comes from the cache.
		if again := decode(t, r, load.InFlight); !proto.Equal(again, want) {
			t.Fatalf("the second trailer says\n%v\nwant\n%v", again, want)
		}
	}
}

// busy is what a server says under load with nothing configured.
var busy = Load{RPS: 123.4, EPS: 1.5, CPUUtilization: 0.61, MemUtilization: 0.27, Uptime: 90500 * time.Millisecond}

func TestTheReportIsTheseBytes(t *testing.T) {
	const want = "" +
		"09" + "85eb51b81e85e33f" + // cpu_utilization: 0.61
		"11" + "48e17a14ae47d13f" + // mem_utilization: 0.27
		"31" + "9a99999999d95e40" + // rps_fractional: 123.4
		"39" + "000000000000f83f" + // eps: 1.5
		"4211" + "0a06" + "757074696d65" + "11" + "0000000000a05640" + // uptime: 90.5
		"4214" + "0a09" + "696e5f666c69676874" + "11" + "0000000000001c40" // in_flight: 7
	got := newReport(busy).trailer(7)[trailerKey][0]
	if hex.EncodeToString([]byte(got)) != want {
		t.Errorf("report\n%x\nwant\n%s", got, want)
	}
}

func TestTheReportStaysSmall(t *testing.T) {
	size := func(load Load) int {
		value := newReport(load).trailer(7)[trailerKey][0]
		return base64.RawStdEncoding.EncodedLen(len(value))
	}
	if got := size(busy); got > 104 {
		t.Errorf("a busy server's report takes %d characters, want at most 104", got)
	}
	healthy := busy
	healthy.EPS = 0
	if got := size(healthy); got > 92 {
		t.Errorf("a healthy server's report takes %d characters, want at most 92", got)
	}

	withMetric := busy
	withMetric.NamedMetrics = map[string]float64{"queue": 3}
	got := len(newReport(withMetric).trailer(7)[trailerKey][0]) - len(newReport(busy).trailer(7)[trailerKey][0])
	if want := len("queue") + 13; got != want {
		t.Errorf("a named metric adds %d bytes, want its name and 13, %d", got, want)
	}
}

// TestReportsBetweenTwoStepsAreEqual matters for the wire: HPACK sends a header
// that it has just sent as one or two bytes.
func TestReportsBetweenTwoStepsAreEqual(t *testing.T) {
	r := newReport(busy)
	if a, b := r.trailer(3)[trailerKey][0], r.trailer(3)[trailerKey][0]; a != b {
		t.Errorf("reports %x and %x differ", a, b)
	}
}

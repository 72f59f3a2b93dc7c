package orca

import (
	"encoding/binary"
	"math"
	"sync/atomic"

	"google.golang.org/grpc/metadata"
)

// trailerKey is the metadata key of a report, from gRFC A51. grpc keeps its own
// copy in an internal package.
const trailerKey = "endpoint-load-metrics-bin"

// Tags of OrcaLoadReport's fields: the field's number and its wire type, 1 for a
// double and 2 for a map's entry. A test compares with the generated code.
const (
	tagCPU         = 1<<3 | 1
	tagMem         = 2<<3 | 1
	tagRPS         = 6<<3 | 1
	tagEPS         = 7<<3 | 1
	tagNamed       = 8<<3 | 2
	tagApplication = 9<<3 | 1

	tagEntryKey   = 1<<3 | 2
	tagEntryValue = 2<<3 | 1
)

// cachedInFlight is how many numbers of calls in flight a report keeps its
// trailers for; above that they are made for each call.
const cachedInFlight = 64

// report is what is said until the window's next step. Only the number of calls
// in flight changes meanwhile, so all else is marshalled once, and a whole
// trailer once for each number. It is made by hand since the generated code
// takes some twenty allocations for it, and maps.
type report struct {
	load     Load   // without InFlight
	body     []byte // load as OrcaLoadReport, without in_flight
	trailers [cachedInFlight]atomic.Pointer[metadata.MD]
}

func newReport(load Load) *report {
	return &report{load: load, body: appendLoad(nil, load)}
}

// trailer returns the trailer for so many calls in flight. It is shared, and
// must not be changed.
func (r *report) trailer(inFlight int) metadata.MD {
	if inFlight < 0 || inFlight >= cachedInFlight {
		return r.makeTrailer(inFlight)
	}
	if md := r.trailers[inFlight].Load(); md != nil {
		return *md
	}
	md := r.makeTrailer(inFlight)
	r.trailers[inFlight].Store(&md)
	return md
}

func (r *report) makeTrailer(inFlight int) metadata.MD {
	value := make([]byte, len(r.body), len(r.body)+entrySize(MetricInFlight))
	copy(value, r.body)
	value = appendEntry(value, MetricInFlight, float64(inFlight))
	return metadata.MD{trailerKey: {string(value)}}
}

// appendLoad appends load, but its InFlight, as an OrcaLoadReport.
func appendLoad(b []byte, load Load) []byte {
	b = appendDouble(b, tagCPU, load.CPUUtilization)
	b = appendDouble(b, tagMem, load.MemUtilization)
	b = appendDouble(b, tagRPS, load.RPS)
	b = appendDouble(b, tagEPS, load.EPS)
	b = appendDouble(b, tagApplication, load.ApplicationUtilization)
	b = appendEntry(b, MetricUptime, load.Uptime.Seconds())
	if load.Draining {
		b = appendEntry(b, MetricDraining, 1)
	}
	for _, name := range load.names() {
		b = appendEntry(b, name, load.NamedMetrics[name])
	}
	return b
}

// appendDouble appends a field, unless it is 0, which proto3 leaves out.
func appendDouble(b []byte, tag byte, value float64) []byte {
	if value == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(append(b, tag), math.Float64bits(value))
}

// appendEntry appends an entry of named_metrics. Its length fits one byte, since
// names are at most maxNameLength long.
func appendEntry(b []byte, name string, value float64) []byte {
	b = append(b, tagNamed, byte(entrySize(name)-2), tagEntryKey, byte(len(name)))
	b = append(b, name...)
	return binary.LittleEndian.AppendUint64(append(b, tagEntryValue), math.Float64bits(value))
}

// entrySize is how many bytes appendEntry appends: tag and length of the entry
// and of the key, the key, the value's tag and the value.
func entrySize(name string) int {
	return 2 + 2 + len(name) + 1 + 8
}

package telemetry

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// other stands for all methods that are not known.
const other = "_OTHER"

// A Route is one that requests are told under. Make it once, when the route is
// made: it remembers the labels of its metrics.
type Route struct {
	telemetry *Telemetry
	pattern   string // "" if there is none
	rpc       string // without its first slash; "" if it is none

	// labels and rejections are by what a labelKey packs. They grow with what
	// was answered: methods that are known times statuses.
	labels     remembered[labelKey, []metric.RecordOption]
	rejections remembered[labelKey, []metric.AddOption]
}

// NewRoute returns a route. method is the HTTP method, which is known from now
// on even if HTTP does not have it, pattern what the route is named by, and rpc
// the full name of the gRPC method behind it, or "".
func (t *Telemetry) NewRoute(method, pattern, rpc string) *Route {
	if t == nil {
		return nil
	}
	if len(rpc) > 0 && rpc[0] == '/' {
		rpc = rpc[1:]
	}
	t.know(method)
	return &Route{telemetry: t, pattern: pattern, rpc: rpc}
}

// methodTable numbers the methods that are known; 0 is other.
type methodTable struct {
	index map[string]uint8
	names []string
}

func standardMethods() *methodTable {
	m := &methodTable{index: map[string]uint8{}, names: []string{other}}
	for _, name := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY",
	} {
		m.add(name)
	}
	return m
}

// maxMethods bounds what labels tell apart, and fits labelKey.
const maxMethods = 64

func (m *methodTable) add(name string) {
	m.index[name] = uint8(len(m.names))
	m.names = append(m.names, name)
}

// know adds a method.
func (t *Telemetry) know(method string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.methods.Load()
	if _, ok := known.index[method]; ok || method == "" || len(known.names) == maxMethods {
		return
	}
	more := &methodTable{index: maps.Clone(known.index), names: append([]string(nil), known.names...)}
	more.add(method)
	t.methods.Store(more)
}

// labelKey packs what tells the labels of one route apart.
type labelKey uint32

func keyOf(method uint8, status int, version protocol, secure bool, failure uint8) labelKey {
	k := labelKey(method) | labelKey(uint16(status)&0x3ff)<<6 | labelKey(version)<<16 | labelKey(failure)<<20
	if secure {
		k |= 1 << 28
	}
	return k
}

// remembered are things that are made once for each key, such as lists of
// options. Reading takes no lock and allocates nothing.
type remembered[Key comparable, Thing any] struct {
	known atomic.Pointer[map[Key]Thing]
	mu    sync.Mutex
}

func (r *remembered[Key, Thing]) of(key Key, makeThing func() Thing) Thing {
	if thing, ok := r.all()[key]; ok {
		return thing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	thing, ok := r.all()[key]
	if !ok {
		thing = makeThing()
		more := maps.Clone(r.all())
		if more == nil {
			more = map[Key]Thing{}
		}
		more[key] = thing
		r.known.Store(&more)
	}
	return thing
}

// all returns what is known. It is not to be changed.
func (r *remembered[Key, Thing]) all() map[Key]Thing {
	if known := r.known.Load(); known != nil {
		return *known
	}
	return nil
}

// requestLabels are those of a request that ended.
func (r *Route) requestLabels(q *Request, o *Outcome) []metric.RecordOption {
	failure := failureIndex(o)
	return r.labels.of(keyOf(q.method, o.Status, q.version, q.secure, failure), func() []metric.RecordOption {
		labels := append(r.place(q), semconv.URLScheme(q.scheme()))
		if version := q.version.String(); version != "" {
			labels = append(labels, semconv.NetworkProtocolVersion(version))
		}
		if o.Status != 0 {
			labels = append(labels, semconv.HTTPResponseStatusCode(o.Status))
		}
		if failed := failureName(failure, o.Status); failed != "" {
			labels = append(labels, semconv.ErrorTypeKey.String(failed))
		}
		return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(labels...))}
	})
}

// rejectionLabels are those of a request that was rejected, or that panicked.
func (r *Route) rejectionLabels(q *Request, reason Reason) []metric.AddOption {
	return r.rejections.of(keyOf(q.method, 0, 0, false, reason.index()), func() []metric.AddOption {
		labels := r.place(q)
		if reason != "" {
			labels = append(labels, reasonKey.String(string(reason)))
		}
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(labels...))}
	})
}

func (r *Route) place(q *Request) []attribute.KeyValue {
	labels := make([]attribute.KeyValue, 0, 6)
	labels = append(labels, semconv.HTTPRequestMethodKey.String(q.methodName()))
	if r.pattern != "" {
		labels = append(labels, semconv.HTTPRoute(r.pattern))
	}
	return labels
}

// protocol is a version of HTTP.
type protocol uint8

const (
	unknownProtocol protocol = iota
	http10
	http11
	http2
	http3
)

func protocolOf(r *http.Request) protocol {
	switch {
	case r.ProtoMajor == 1 && r.ProtoMinor == 1:
		return http11
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return http10
	case r.ProtoMajor == 2:
		return http2
	case r.ProtoMajor == 3:
		return http3
	default:
		return unknownProtocol
	}
}

func (p protocol) String() string { return [...]string{"", "1.0", "1.1", "2", "3"}[p] }

// failureIndex numbers the ways in which a server can fail: 0 for none, 1 for
// what the status tells, 2 for a panic, 3 for an answer that was never sent, and
// from there the gRPC codes of failures behind the status.
func failureIndex(o *Outcome) uint8 {
	switch {
	case o.Panicked:
		return 2
	case o.Status >= 500:
		return 1
	case o.FailedInBand && o.Code != "":
		return 4 + codeIndex(o.Code)
	case o.Status == 0:
		return 3
	default:
		return 0
	}
}

// failureName is the label error.type.
func failureName(index uint8, status int) string {
	switch index {
	case 0:
		return ""
	case 1:
		return strconv.Itoa(status)
	case 2:
		return "panic"
	case 3:
		return "no_answer"
	default:
		return codeNames[index-4]
	}
}

// codeNames are the names of gRPC's codes; others are UNKNOWN.
var codeNames = [...]string{
	"UNKNOWN", "CANCELLED", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED", "OK",
}

func codeIndex(name string) uint8 {
	for i, known := range codeNames {
		if name == known {
			return uint8(i)
		}
	}
	return 0
}

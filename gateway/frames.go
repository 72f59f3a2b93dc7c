package gateway

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// frames puts the messages of a server stream into the form that the caller
// asked for:
//
//   - NDJSON: a line {"result": message} for each, and {"error": problem}
//   - a JSON array of the messages, whose last element may be {"error": problem}
//   - server-sent events, whose data is the message, with events `error` and
//     `end` behind, and comments while nothing happens
//
// Everything that is written together is one write. The beat of events comes
// from a timer's goroutine, so that writing needs a lock.
type frames struct {
	mediaType string
	write     func([]byte) error // and flush

	mu     sync.Mutex // guards what follows
	buf    []byte
	some   bool // a message was written
	done   bool
	beat   *time.Timer // nil unless there are heartbeats
	every  time.Duration
	id     string // of the next event
	event  string
	lastID string
}

func newFrames(mediaType string, heartbeat time.Duration, write func([]byte) error) *frames {
	f := &frames{mediaType: mediaType, write: write, every: heartbeat}
	if mediaType == typeSSE {
		f.beat = time.AfterFunc(heartbeat, f.heartbeat)
	}
	return f
}

// message writes a message.
func (f *frames) message(encoded []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return nil
	}
	f.buf = f.buf[:0]
	switch f.mediaType {
	case typeSSE:
		f.appendEvent(f.event, encoded)
	case typeJSON:
		f.appendElement(encoded)
	default:
		f.buf = append(f.buf, `{"result":`...)
		f.buf = append(f.buf, encoded...)
		f.buf = append(f.buf, '}', '\n')
	}
	return f.send()
}

// fail ends the stream with a problem.
func (f *frames) fail(p *problem.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.buf = f.buf[:0]
	alone, _ := json.Marshal(p) // never fails, see problem
	wrapped, _ := json.Marshal(map[string]*problem.Problem{"error": p})
	switch f.mediaType {
	case typeSSE:
		f.id = ""
		f.appendEvent("error", alone)
	case typeJSON:
		f.appendElement(wrapped)
		f.buf = append(f.buf, ']', '\n')
	default:
		f.buf = append(append(f.buf, wrapped...), '\n')
	}
	f.finish()
}

// end ends the stream as it should.
func (f *frames) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.buf = f.buf[:0]
	switch {
	case f.mediaType == typeSSE:
		f.id = ""
		f.appendEvent("end", []byte("{}"))
	case f.mediaType == typeJSON && f.some:
		f.buf = append(f.buf, ']', '\n')
	case f.mediaType == typeJSON:
		f.buf = append(f.buf, '[', ']', '\n')
	}
	f.finish()
}

// finish sends what is last.
func (f *frames) finish() {
	if len(f.buf) > 0 {
		_ = f.send() // the caller may be gone
	}
	f.stop()
}

// close ends the beat without a word. After it, nothing is written.
func (f *frames) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
}

func (f *frames) stop() {
	f.done = true
	if f.beat != nil {
		f.beat.Stop()
	}
}

func (f *frames) send() error {
	err := f.write(f.buf)
	if f.beat != nil {
		f.beat.Reset(f.every)
	}
	return err
}

// heartbeat sends a comment, which no reader of events is told.
func (f *frames) heartbeat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.buf = append(f.buf[:0], ": still there\n\n"...)
	_ = f.send() // if the caller is gone, the context says so
}

func (f *frames) appendElement(encoded []byte) {
	if f.some {
		f.buf = append(f.buf, ',', '\n')
	} else {
		f.buf = append(f.buf, '[')
		f.some = true
	}
	f.buf = append(f.buf, encoded...)
}

// appendEvent writes an event (HTML, section 9.2). JSON on one line is its data.
func (f *frames) appendEvent(event string, data []byte) {
	if f.id != "" && f.id != f.lastID {
		f.buf = append(append(append(f.buf, "id: "...), f.id...), '\n')
		f.lastID = f.id
	}
	if event != "" {
		f.buf = append(append(append(f.buf, "event: "...), event...), '\n')
	}
	f.buf = append(append(append(f.buf, "data: "...), data...), '\n', '\n')
}

// describe takes the fields of the next event from its message. What cannot
// stand on a line of its own is left out.
func (f *frames) describe(b *binding, msg protoreflect.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id, f.event = "", ""
	if b.eventID != nil {
		f.id = oneLine(msg.Get(b.eventID).String())
	}
	if b.eventType != nil {
		f.event = oneLine(msg.Get(b.eventType).String())
	}
}

// oneLine returns s if it can be a field of an event, and come back in a header.
func oneLine(s string) string {
	if !printable(s) {
		return ""
	}
	return s
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// maxEventID bounds the Last-Event-ID that a caller gives.
const maxEventID = 1024

// readLastEventID takes what tells a backend where its caller was.
func (x *exchange) readLastEventID() *problem.Problem {
	values := x.request.Header[lastEventIDHeader]
	if len(values) == 0 || !x.binding.serverStream() {
		return nil
	}
	if len(values) > 1 || len(values[0]) > maxEventID || !printable(values[0]) {
		return badHeader("Last-Event-ID", "it must be one line of printable ASCII, of at most 1024 bytes")
	}
	x.lastEventID = values[0]
	return nil
}

const (
	lastEventIDHeader   = "Last-Event-Id"
	lastEventIDMetadata = "last-event-id"
)

func badHeader(name, detail string) *problem.Problem {
	return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the header "+name+": "+detail)
}

package gateway

import (
	"cmp"
	"net/http"
	"time"

	"github.com/evenkeel/evenkeel/gateway/loadreport"
)

// responseWriter counts what is answered, and gives each write a deadline of
// its own: an answer may take as long as it likes, but not a caller who does
// not read it.
type responseWriter struct {
	http.ResponseWriter
	control http.ResponseController
	timeout time.Duration

	// raw leaves out the newlines between messages: those of a stream of
	// google.api.HttpBody are bytes of one thing.
	raw bool
	// frames is set once a stream was accepted whose messages have a form.
	frames *frames
	// success is the status of an answer that is none of an error; 0 is 200.
	success int

	// load goes out with the headers of the answer to request; nil for none.
	load    *loadreport.Reporter
	request *http.Request
	// bounded is when a deadline was set that holds; zero if none does.
	bounded time.Time
	// waiting bounds what is held for all callers; nil for no bound. ahead is
	// what may have come already of what is to be sent behind.
	waiting *waiting
	ahead   int64
	wait    *wait // nil until it is worth one
	letGo   bool

	status int // 0 until the headers are sent
	bytes  int64
}

func newResponseWriter(w http.ResponseWriter, timeout time.Duration) responseWriter {
	return responseWriter{ResponseWriter: w, control: *http.NewResponseController(w), timeout: timeout}
}

// forget lifts what is left from the request before on this connection: it would
// cut a 100 Continue, the only thing that is sent without a deadline of its own.
func (w *responseWriter) forget() { w.setDeadline(time.Time{}) }

// bound gives what is sent next a deadline. Setting one takes time, so that one
// that was set just now serves, too.
func (w *responseWriter) bound() {
	now := time.Now()
	if now.Sub(w.bounded) < w.timeout/16 {
		return
	}
	w.bounded = now
	w.setDeadline(now.Add(w.timeout))
}

// setDeadline does nothing where the server has no deadlines, as in tests with
// a recorder, nor for a caller who was let go.
func (w *responseWriter) setDeadline(at time.Time) {
	if !w.letGo {
		_ = w.control.SetWriteDeadline(at)
	}
}

// hold says that so much is held until the caller takes it, or release is called.
func (w *responseWriter) hold(bytes int) {
	if w.waiting == nil || w.ahead+int64(bytes) < heldSmall {
		return
	}
	if w.wait == nil {
		w.wait = &wait{all: w.waiting, ahead: w.ahead, letGo: func() { _ = w.control.SetWriteDeadline(longAgo) }}
	}
	w.wait.hold(int64(bytes))
}

func (w *responseWriter) release() {
	if w.wait != nil {
		w.letGo = w.wait.done()
	}
}

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 {
		return // an error after the first byte is told in band
	}
	if status >= 200 {
		w.status = status
		w.load.SetHeader(w.Header(), w.request)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	switch {
	case len(p) == 1 && &p[0] == &newline[0] && (w.raw || w.frames != nil):
		return 1, nil
	case w.frames != nil:
		return len(p), w.frames.message(p)
	default:
		return w.send(p)
	}
}

// send writes what is to be sent as it is.
func (w *responseWriter) send(p []byte) (int, error) {
	if w.status == 0 {
		w.begin()
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return len(p), nil
	}
	w.hold(len(p))
	n, err := w.sendParts(p)
	w.release()
	w.bytes += int64(n)
	return n, err
}

// partBytes is what a caller must take within the timeout. One who takes a large
// answer slowly is not one who does not read.
const partBytes = 64 << 10

func (w *responseWriter) sendParts(p []byte) (n int, err error) {
	for {
		w.bound()
		part, err := w.ResponseWriter.Write(p[n:min(n+partBytes, len(p))])
		n += part
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// begin sends the headers of an answer that is none of an error.
func (w *responseWriter) begin() {
	status := cmp.Or(w.success, http.StatusOK)
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(status)
}

// FlushError sends what was written. The deadline goes with it: until the next
// message of a stream is there, nothing is to be cut.
func (w *responseWriter) FlushError() error {
	if w.frames != nil {
		return nil // each message was
	}
	return w.flush()
}

func (w *responseWriter) flush() error {
	w.bound()
	w.hold(0)
	err := w.control.Flush()
	w.release()
	w.bounded = time.Time{}
	w.setDeadline(time.Time{})
	return err
}

// sendNow sends a part of a stream at once.
func (w *responseWriter) sendNow(p []byte) error {
	if _, err := w.send(p); err != nil {
		return err
	}
	return w.flush()
}

// Unwrap lets http.ResponseController through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end gives what net/http still has to send a deadline.
func (w *responseWriter) end() {
	if w.frames != nil {
		w.frames.close()
	}
	w.bound()
}

package gateway

import (
	"net/http"
	"time"
)

// responseWriter counts what is answered, and gives each write a deadline of
// its own: an answer may take as long as it likes, but not a caller who does
// not read it.
type responseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration

	// raw leaves out the newlines between messages: those of a stream of
	// google.api.HttpBody are bytes of one thing.
	raw bool

	status int // 0 until the headers are sent
	bytes  int64
}

func newResponseWriter(w http.ResponseWriter, timeout time.Duration) *responseWriter {
	rw := &responseWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
	// What is left from the request before on this connection would cut a
	// 100 Continue.
	rw.setDeadline(time.Time{})
	return rw
}

// setDeadline does nothing where the server has no deadlines, as in tests with
// a recorder.
func (w *responseWriter) setDeadline(at time.Time) { _ = w.control.SetWriteDeadline(at) }

func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 {
		return // an error after the first byte is told in band
	}
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.raw && len(p) == 1 && &p[0] == &newline[0] {
		return 1, nil
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.setDeadline(time.Now().Add(w.timeout))
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what was written. The deadline goes with it: until the next
// message of a stream is there, nothing is to be cut.
func (w *responseWriter) FlushError() error {
	w.setDeadline(time.Now().Add(w.timeout))
	err := w.control.Flush()
	w.setDeadline(time.Time{})
	return err
}

// Unwrap lets http.ResponseController through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end gives what net/http still has to send a deadline.
func (w *responseWriter) end() { w.setDeadline(time.Now().Add(w.timeout)) }

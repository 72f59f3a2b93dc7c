package compress

import (
	"net/http"
	"strconv"
)

// writer holds back the beginning of an answer until it is known whether it is
// worth compressing.
type writer struct {
	http.ResponseWriter
	compressor *Compressor
	codec      *codec // nil if the caller accepts none
	head       bool   // the answer has no body

	status  int
	buffer  []byte
	decided bool
	encoder encoder // nil if the answer stays plain
	// nothing is set if the answer to HEAD is described in its compressed form: of
	// the plain one net/http would tell the length.
	nothing bool
}

// WriteHeader keeps the status until it is decided what the headers are.
func (w *writer) WriteHeader(status int) {
	switch {
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		if w.status = status; status == http.StatusSwitchingProtocols {
			w.decide(false)
		}
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.decided {
		return w.write(p)
	}
	w.buffer = append(w.buffer, p...)
	if len(w.buffer) >= w.compressor.config.MinBytes {
		w.decide(true)
		return len(p), w.writeBuffer()
	}
	return len(p), nil
}

func (w *writer) write(p []byte) (int, error) {
	switch {
	case w.nothing:
		return len(p), nil
	case w.encoder != nil:
		return w.encoder.Write(p)
	default:
		return w.ResponseWriter.Write(p)
	}
}

// FlushError sends what was written. It decides: who flushes will write more.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.decided {
		w.decide(true)
		if err := w.writeBuffer(); err != nil {
			return err
		}
	}
	if w.encoder != nil {
		if err := w.encoder.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *writer) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController through to the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// decide sends the headers, and begins to compress if that is worth it and the
// answer is long enough.
func (w *writer) decide(long bool) {
	w.decided = true
	h := w.Header()
	if len(w.buffer) > 0 && len(h["Content-Type"]) == 0 {
		// As net/http would, if it saw the bytes.
		h.Set("Content-Type", http.DetectContentType(w.buffer))
	}
	switch {
	case w.status == http.StatusNotModified:
		h.Add("Vary", "Accept-Encoding") // as the answer has that is not sent again
	case w.compressor.worth(h, w.status):
		h.Add("Vary", "Accept-Encoding")
		if w.codec != nil && (long || w.head && w.announced(h)) {
			w.start(h)
		}
	}
	w.ResponseWriter.WriteHeader(w.status)
}

// announced reports whether an answer to HEAD is said to be long enough by a
// handler that writes nothing.
func (w *writer) announced(h http.Header) bool {
	length, err := strconv.Atoi(h.Get("Content-Length"))
	return err == nil && length >= w.compressor.config.MinBytes
}

// start begins to compress. To HEAD it is told that GET would be compressed: a
// Content-Length of the plain form would be wrong (RFC 9110, section 8.6).
func (w *writer) start(h http.Header) {
	if w.head {
		w.nothing = true
	} else if w.encoder = w.codec.get(w.ResponseWriter); w.encoder == nil {
		return
	}
	h.Set("Content-Encoding", w.codec.name)
	h.Del("Content-Length")
	h.Del("Accept-Ranges") // of the plain form
}

func (w *writer) writeBuffer() error {
	buffer := w.buffer
	w.buffer = nil
	if len(buffer) == 0 {
		return nil
	}
	_, err := w.write(buffer)
	return err
}

// end sends what is left.
func (w *writer) end() {
	if !w.decided {
		if w.status == 0 {
			if !w.head {
				return // net/http answers 200
			}
			w.status = http.StatusOK // what GET would be, the headers may say
		}
		w.decide(false)
		_ = w.writeBuffer() // the caller may be gone
	}
	if w.encoder != nil {
		if w.encoder.Close() == nil {
			w.codec.put(w.encoder)
		}
		w.encoder = nil
	}
}

package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A Source keeps a certificate up to date. Its methods may be called
// concurrently.
type Source struct {
	config  Config
	current atomic.Pointer[loaded]
	stop    context.CancelFunc
	done    chan struct{} // closed when nothing runs any longer

	mu        sync.Mutex // guards what follows, and taking something new
	refused   [32]byte   // the sum of what was refused last
	err       error      // why; nil if what is there is what serves
	taken     uint64
	failures  uint64
	warned    time.Time
	warnedEnd bool // that it is over
}

// State is how a source stands.
type State struct {
	// Subject is the certificate's, NotBefore and NotAfter are when it is valid.
	Subject             string
	NotBefore, NotAfter time.Time
	// Err is why what the files hold now is not what serves; nil if it is.
	Err error
	// Taken counts the certificates that were taken, the first included, and
	// Refused those that were not.
	Taken, Refused uint64
}

// New reads a certificate and watches its files until Close. It fails if the
// files do not hold a certificate that is good now, or with the name of the field
// of config that is wrong.
func New(config Config) (*Source, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("certificate: Config.%w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Source{config: config, stop: stop, done: make(chan struct{})}
	if err := s.Reload(); err != nil {
		stop()
		return nil, err
	}
	go s.watch(ctx)
	return s, nil
}

// Close ends the watch. The certificate goes on to serve.
func (s *Source) Close() error {
	s.stop()
	<-s.done
	return nil
}

// TLS returns a config for a server, which always takes the newest certificate.
func (s *Source) TLS() *tls.Config {
	config := &tls.Config{
		MinVersion: s.config.MinVersion,
		NextProtos: s.config.NextProtos,
		Time:       s.config.Now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &s.current.Load().tls.Certificates[0], nil
		},
	}
	if s.config.ClientCAFile != "" {
		// The authorities may change, too.
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load().tls, nil
		}
	}
	return config
}

// State tells how s stands.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf := s.current.Load().leaf
	return State{
		Subject: leaf.Subject.String(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Err: s.err, Taken: s.taken, Refused: s.failures,
	}
}

// retryAfter is how soon files are looked at again that did not fit together.
const retryAfter = time.Second

func (s *Source) watch(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(s.config.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := s.config.Interval
		if s.Reload() != nil {
			next = min(next, retryAfter)
		}
		s.warn()
		timer.Reset(next)
	}
}

// Reload looks at the files now, and takes what they hold if it is new and good.
// Otherwise it returns why not; the old certificate goes on to serve.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	read, err := s.config.read()
	if err != nil {
		return s.refuse([32]byte{}, err)
	}
	current := s.current.Load()
	if current != nil && read.equal(current.contents) {
		s.err, s.refused = nil, [32]byte{}
		return nil
	}
	next, err := s.config.parse(read, s.config.Now())
	if err != nil {
		return s.refuse(read.sum(), err)
	}
	s.current.Store(next)
	s.err, s.refused = nil, [32]byte{}
	s.warned, s.warnedEnd = time.Time{}, false
	s.taken++
	s.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "certificate: taken",
		slog.String("subject", next.leaf.Subject.String()), slog.Time("not_after", next.leaf.NotAfter))
	return nil
}

// refuse keeps what serves. It is logged once for what was refused, not each time
// that it is looked at.
func (s *Source) refuse(sum [32]byte, err error) error {
	err = fmt.Errorf("certificate: %w", err)
	known := s.err != nil && s.refused == sum && s.err.Error() == err.Error()
	s.err, s.refused = err, sum
	if known || s.current.Load() == nil { // New returns it
		return err
	}
	s.failures++
	s.config.Logger.LogAttrs(context.Background(), slog.LevelError, "certificate: what the files hold is not taken; the old one goes on to serve",
		slog.Any("error", err))
	return err
}

// warn tells of a certificate that ends soon.
func (s *Source) warn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf, now := s.current.Load().leaf, s.config.Now()
	before := s.config.WarnBefore
	if before == 0 {
		before = leaf.NotAfter.Sub(leaf.NotBefore) / 5
	}
	left := leaf.NotAfter.Sub(now)
	over := left <= 0
	if left > before || now.Sub(s.warned) < 24*time.Hour && over == s.warnedEnd {
		return
	}
	s.warned, s.warnedEnd = now, over
	level, text := slog.LevelWarn, "certificate: it expires soon"
	if over {
		level, text = slog.LevelError, "certificate: it has expired; clients refuse it"
	}
	s.config.Logger.LogAttrs(context.Background(), level, text,
		slog.String("subject", leaf.Subject.String()), slog.Time("not_after", leaf.NotAfter), slog.Duration("left", left))
}

package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Source keeps certificates up to date. Its methods may be called
// concurrently.
type Source struct {
	config  Config
	current atomic.Pointer[loaded]
	stop    context.CancelFunc
	done    chan struct{} // closed when nothing runs any longer

	mu       sync.Mutex // guards what follows, and taking something new
	refused  [32]byte   // the sum of what was refused last
	err      error      // why; nil if what is there is what serves
	taken    uint64
	failures uint64
	warnings map[*pair]warning // of those that serve
}

// warning is what was told of a certificate's end.
type warning struct {
	at   time.Time
	over bool // that it has come
}

// State is how a source stands.
type State struct {
	// Certificates are those that serve: that of Config.CertFile, then those of
	// Config.Others in their order.
	Certificates []Validity
	// Err is why what the files hold now is not what serves; nil if it is.
	Err error
	// Taken counts how often something new was taken, the first time included,
	// and Refused how often something was not.
	Taken, Refused uint64
}

// Validity tells what a certificate is for.
type Validity struct {
	// Subject is the certificate's, DNSNames are the servers that it is for.
	Subject  string
	DNSNames []string
	// NotBefore and NotAfter are when it is valid.
	NotBefore, NotAfter time.Time
}

// New reads the certificates and watches their files until Close. It fails if one
// of them is not good now, or with the name of the field of config that is wrong.
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

// Close ends the watch. The certificates go on to serve.
func (s *Source) Close() error {
	s.stop()
	<-s.done
	return nil
}

// TLS returns a config for a server, which always takes the newest certificates.
func (s *Source) TLS() *tls.Config {
	config := &tls.Config{
		MinVersion: s.config.MinVersion,
		NextProtos: s.config.NextProtos,
		Time:       s.config.Now,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.current.Load().choose(hello), nil
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
	state := State{Err: s.err, Taken: s.taken, Refused: s.failures}
	for _, p := range s.current.Load().pairs {
		leaf := p.certificate.Leaf
		state.Certificates = append(state.Certificates, Validity{
			Subject: leaf.Subject.String(), DNSNames: slices.Clone(leaf.DNSNames),
			NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		})
	}
	return state
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

// Reload looks at the files now, and takes what is new and good of them. If
// something is not, it returns why; the old one goes on to serve in its place.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current.Load()
	found := s.config.load(current, s.config.Now())
	if current == nil && found.err != nil {
		return fmt.Errorf("certificate: %w", found.err)
	}
	if found.changed {
		s.take(&found)
	}
	if found.err != nil {
		return s.refuse(found.refused, found.err)
	}
	s.err, s.refused = nil, [32]byte{}
	return nil
}

func (s *Source) take(found *change) {
	next := &found.next
	next.complete(&s.config)
	s.current.Store(next)
	s.taken++
	warnings := map[*pair]warning{}
	for _, p := range next.pairs {
		warnings[p] = s.warnings[p]
	}
	s.warnings = warnings
	for _, p := range found.pairs {
		s.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "certificate: taken",
			slog.String("subject", p.certificate.Leaf.Subject.String()), slog.Time("not_after", p.certificate.Leaf.NotAfter))
	}
}

// refuse keeps what serves. It is logged once for what was refused, not each time
// that it is looked at.
func (s *Source) refuse(sum [32]byte, err error) error {
	err = fmt.Errorf("certificate: %w", err)
	known := s.err != nil && s.refused == sum && s.err.Error() == err.Error()
	s.err, s.refused = err, sum
	if known {
		return err
	}
	s.failures++
	s.config.Logger.LogAttrs(context.Background(), slog.LevelError, "certificate: what the files hold is not taken; the old one goes on to serve",
		slog.Any("error", err))
	return err
}

// warn tells of certificates that end soon.
func (s *Source) warn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.current.Load().pairs {
		s.warnOf(p)
	}
}

func (s *Source) warnOf(p *pair) {
	leaf, now, told := p.certificate.Leaf, s.config.Now(), s.warnings[p]
	before := s.config.WarnBefore
	if before == 0 {
		before = leaf.NotAfter.Sub(leaf.NotBefore) / 5
	}
	left := leaf.NotAfter.Sub(now)
	over := left <= 0
	if left > before || now.Sub(told.at) < 24*time.Hour && over == told.over {
		return
	}
	s.warnings[p] = warning{now, over}
	level, text := slog.LevelWarn, "certificate: it expires soon"
	if over {
		level, text = slog.LevelError, "certificate: it has expired; clients refuse it"
	}
	s.config.Logger.LogAttrs(context.Background(), level, text,
		slog.String("subject", leaf.Subject.String()), slog.Time("not_after", leaf.NotAfter), slog.Duration("left", left))
}

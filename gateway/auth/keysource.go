package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// fetchTimeout bounds one attempt to read the keys.
const fetchTimeout = 10 * time.Second

var (
	errUnknownKey = errors.New("no key has the token's kid and alg")
	errNoKeys     = errors.New("the issuer's keys could not be read yet")
	errStaleKeys  = errors.New("the issuer's keys could not be read for too long")
)

// keySource keeps an issuer's keys. It reads them when they are needed: in the
// background when they are older than refresh, while those at hand serve on;
// and with the caller waiting when there are none, or when a token names a key
// that is not among them. However many ask, there is one attempt at a time and
// coolDown between two.
type keySource struct {
	load     func(context.Context) (*keySet, error)
	refresh  time.Duration
	coolDown time.Duration
	maxStale time.Duration
	logger   *slog.Logger

	current atomic.Pointer[keySet]

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	inFlight    chan struct{} // closed when the attempt is over; nil if none
	lastAttempt time.Time
}

func newKeySource(s *keySource) *keySource {
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *keySource) close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
}

// key returns the key that a token names.
func (s *keySource) key(ctx context.Context, want keyID) (keyID, verificationKey, error) {
	set, err := s.fresh(ctx)
	if err != nil {
		return keyID{}, verificationKey{}, err
	}
	if id, key, ok := set.find(want); ok {
		return id, key, nil
	}
	// It may be new.
	if s.await(ctx) {
		if set, err = s.fresh(ctx); err != nil {
			return keyID{}, verificationKey{}, err
		}
		if id, key, ok := set.find(want); ok {
			return id, key, nil
		}
	}
	return keyID{}, verificationKey{}, errUnknownKey
}

// fresh returns keys that may be relied on.
func (s *keySource) fresh(ctx context.Context) (*keySet, error) {
	set, age := s.atHand()
	if set == nil || age > s.maxStale {
		s.await(ctx)
		set, age = s.atHand()
	}
	switch {
	case set == nil:
		return nil, errNoKeys
	case age > s.maxStale:
		return nil, errStaleKeys
	case age > s.refresh:
		s.attempt()
	}
	return set, nil
}

// atHand returns the keys that are there, nil if there are none, and their age.
func (s *keySource) atHand() (*keySet, time.Duration) {
	set := s.current.Load()
	if set == nil {
		return nil, 0
	}
	return set, time.Since(set.loadedAt)
}

// await waits for an attempt to read the keys and reports whether there was
// one.
func (s *keySource) await(ctx context.Context) bool {
	done := s.attempt()
	if done == nil {
		return false
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt starts to read the keys and returns a channel that is closed when
// that is over. It joins an attempt under way, and returns nil during the cool
// down.
func (s *keySource) attempt() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight != nil {
		return s.inFlight
	}
	if s.ctx.Err() != nil || !s.lastAttempt.IsZero() && time.Since(s.lastAttempt) < s.coolDown {
		return nil
	}
	done := make(chan struct{})
	s.inFlight = done
	s.wg.Go(func() {
		s.read()
		s.mu.Lock()
		s.inFlight, s.lastAttempt = nil, time.Now()
		s.mu.Unlock()
		close(done)
	})
	return done
}

func (s *keySource) read() {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	set, err := s.load(ctx)
	if err != nil {
		if s.ctx.Err() == nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "auth: the issuer's keys cannot be read; those at hand serve on", slog.Any("error", err))
		}
		return
	}
	s.current.Store(set)
}

// fromFile returns a loader for a JWK set in a file.
func fromFile(path string, algorithms []string) func(context.Context) (*keySet, error) {
	return func(context.Context) (*keySet, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		raw, err := readCapped(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		set, err := parseKeySet(raw, algorithms, time.Now())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return set, nil
	}
}

// fromURL returns a loader for a JWK set behind a URL.
func fromURL(rawURL string, client *http.Client, algorithms []string) func(context.Context) (*keySet, error) {
	return func(ctx context.Context) (*keySet, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: answered %s", rawURL, resp.Status)
		}
		raw, err := readCapped(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rawURL, err)
		}
		set, err := parseKeySet(raw, algorithms, time.Now())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rawURL, err)
		}
		return set, nil
	}
}

func readCapped(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxJWKSBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxJWKSBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxJWKSBytes)
	}
	return raw, nil
}

// checkJWKSURL refuses a URL that somebody on the way could answer.
func checkJWKSURL(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not the URL of a JWK set, https://host/path", raw)
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecure || isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%q: whoever is on the way could forge keys; use https, or set InsecureJWKSURL", raw)
	default:
		return fmt.Errorf("%q: the scheme must be https", raw)
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func defaultJWKSClient() *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		// A redirect could lead anywhere, the inside of the network included.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

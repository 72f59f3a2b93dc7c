package auth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// publisher is an issuer's web server, without a network.
type publisher struct {
	mu      sync.Mutex
	keys    []byte
	status  int
	err     error
	takes   time.Duration
	fetches int
}

func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	keys, status, err, takes := p.keys, p.status, p.err, p.takes
	p.mu.Unlock()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(keys)), Header: http.Header{}}, nil
}

func (p *publisher) set(keys []byte, status int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.status, p.err = keys, status, err
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func ecKeys(kids ...string) []byte {
	var keys []map[string]any
	for _, kid := range kids {
		keys = append(keys, jwk(signers()["ES256"].Public(), kid))
	}
	return jwks(keys...)
}

// withPublisher runs a test in fake time with keys behind a URL: Refresh 10
// min, CoolDown 10 s, MaxStale 1 h.
func withPublisher(t *testing.T, test func(t *testing.T, p *publisher, j *JWT, holds func(kid string) error)) {
	t.Helper()
	signers() // its generation must not be in the bubble
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{keys: ecKeys("k1"), status: 200}
		j := newJWT(t, func(c *JWTConfig) {
			c.JWKSURL = "https://id.test/jwks.json"
			c.Client = &http.Client{Transport: p, CheckRedirect: defaultJWKSClient().CheckRedirect}
			c.MaxStale = time.Hour
		})
		test(t, p, j, func(kid string) error {
			_, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow("exp", time.Now().Add(48*time.Hour).Unix()), "kid", kid))
			return err
		})
	})
}

func TestKeysAreReadWhenTheyAreNeeded(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, holds func(string) error) {
		if p.count() != 0 {
			t.Error("they were read before")
		}
		if err := j.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		for range 100 {
			if err := holds("k1"); err != nil {
				t.Fatal(err)
			}
		}
		if p.count() != 1 {
			t.Errorf("%d reads", p.count())
		}
	})
}

func TestANewKeyIsFoundAtOnce(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, _ *JWT, holds func(string) error) {
		if err := holds("k1"); err != nil {
			t.Fatal(err)
		}
		p.set(ecKeys("k1", "k2"), 200, nil)
		time.Sleep(10 * time.Second) // the cool down since the first read
		if err := holds("k2"); err != nil {
			t.Error(err)
		}
	})
}

func TestAFloodOfUnknownKeysReadsOncePerCoolDown(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, _ *JWT, holds func(string) error) {
		if err := holds("k1"); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		p.takes = 500 * time.Millisecond
		p.mu.Unlock()
		for second := range 100 {
			var flood sync.WaitGroup
			for range 20 {
				flood.Go(func() {
					if holds("unknown") == nil {
						t.Error("an unknown key holds")
					}
				})
			}
			flood.Wait()
			if err := holds("k1"); err != nil {
				t.Errorf("second %d: the known key does not hold: %v", second, err)
			}
			time.Sleep(time.Second)
		}
		if n := p.count(); n > 12 {
			t.Errorf("%d reads in some 105 s", n)
		}
	})
}

func TestAWithdrawnKeyStopsToHoldAlsoForRememberedTokens(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, _ func(string) error) {
		token := sign(t, "ES256", claimsNow("exp", time.Now().Add(48*time.Hour).Unix()), "kid", "k1")
		if _, err := j.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		p.set(ecKeys("k2"), 200, nil)
		time.Sleep(10*time.Minute + 1)
		// The first one after Refresh makes it read again, in the background.
		if _, err := j.Verify(t.Context(), token); err != nil {
			t.Errorf("the old keys do not serve on: %v", err)
		}
		synctest.Wait()
		if _, err := j.Verify(t.Context(), token); err == nil {
			t.Error("the token holds although its key was withdrawn")
		}
	})
}

func TestAnotherKeyOfTheSameNameDoesNotInheritTokens(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, _ func(string) error) {
		token := sign(t, "ES256", claimsNow("exp", time.Now().Add(48*time.Hour).Unix()), "kid", "k1")
		if _, err := j.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		other := jwk(signers()["ES256"].Public(), "k1")
		other["x"], other["y"] = p256Point()
		p.set(jwks(other), 200, nil)
		time.Sleep(11 * time.Minute)
		_, _ = j.Verify(t.Context(), token)
		synctest.Wait()
		if _, err := j.Verify(t.Context(), token); err == nil {
			t.Error("the token holds although another key has the name")
		}
	})
}

// p256Point is the base point of P-256, a public key that is not ours.
func p256Point() (x, y string) {
	return "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
}

func TestOldKeysServeWhileTheIssuerIsAwayButNotForEver(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, holds func(string) error) {
		if err := holds("k1"); err != nil {
			t.Fatal(err)
		}
		p.set(nil, 0, errors.New("the network is down"))
		start := time.Now()
		for time.Since(start) < 59*time.Minute {
			time.Sleep(time.Minute)
			if err := holds("k1"); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
		}
		time.Sleep(2 * time.Minute)
		err := holds("k1")
		var known *Error
		if !errors.As(err, &known) || known.Code != CodeUnavailable {
			t.Errorf("after %v: %v, want that tokens cannot be judged", time.Since(start), err)
		}
		if j.Ready(t.Context()) == nil {
			t.Error("it is ready")
		}
		p.set(ecKeys("k1"), 200, nil)
		time.Sleep(10 * time.Second)
		if err := holds("k1"); err != nil {
			t.Errorf("when the issuer is back: %v", err)
		}
	})
}

func TestAnswersThatAreNoKeysChangeNothing(t *testing.T) {
	redirect := "redirect"
	for name, answer := range map[string]struct {
		body   string
		status int
	}{
		"an error page":  {"<html>", 200},
		"an empty set":   {`{"keys":[]}`, 200},
		"server error":   {string(ecKeys("evil")), 500},
		"a redirect":     {redirect, 302},
		"no content":     {"", 204},
		"larger than it": {`{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`, 200},
	} {
		withPublisher(t, func(t *testing.T, p *publisher, _ *JWT, holds func(string) error) {
			if err := holds("k1"); err != nil {
				t.Fatal(err)
			}
			p.set([]byte(answer.body), answer.status, nil)
			time.Sleep(11 * time.Minute)
			_ = holds("k1")
			synctest.Wait()
			if err := holds("k1"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if holds("evil") == nil {
				t.Errorf("%s: its key holds", name)
			}
		})
	}
}

func TestNoTokenHoldsBeforeThereAreKeys(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, holds func(string) error) {
		p.set(nil, 0, errors.New("the network is down"))
		var known *Error
		if err := holds("k1"); !errors.As(err, &known) || known.Code != CodeUnavailable {
			t.Errorf("error %v", err)
		}
		if j.Ready(t.Context()) == nil {
			t.Error("it is ready")
		}
		p.set(ecKeys("k1"), 200, nil)
		time.Sleep(10 * time.Second)
		if err := holds("k1"); err != nil {
			t.Error(err)
		}
	})
}

func TestACallerWaitsNoLongerForKeysThanItWants(t *testing.T) {
	withPublisher(t, func(t *testing.T, p *publisher, j *JWT, _ func(string) error) {
		p.takes = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := j.Verify(ctx, sign(t, "ES256", claimsNow(), "kid", "k1")); err == nil {
			t.Error("it holds")
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("it waited %v", waited)
		}
		// Close ends the attempt that is under way, or the bubble would not end.
	})
}

func TestAFileIsReadAgainWhenItChanges(t *testing.T) {
	path := writeFile(t, ecKeys("k1"))
	signers()
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, func(c *JWTConfig) { c.JWKSFile = path })
		holds := func(kid string) bool {
			_, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow(), "kid", kid))
			return err == nil
		}
		if !holds("k1") || holds("k2") {
			t.Error("the keys are not those of the file")
		}
		if err := os.WriteFile(path, ecKeys("k2"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if !holds("k2") {
			t.Error("the new key does not hold")
		}
		if holds("k1") {
			t.Error("the old key holds")
		}
	})
}

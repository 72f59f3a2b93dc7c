// Package load keeps a mesh busy, so that there is something to see: requests to
// its front door, mostly reads, at a steady mean rate.
//
// Arrivals are a Poisson process that does not wait for answers (an open loop), as
// the requests of many independent callers are. A mesh that grows slow thus gets
// no relief, and what is measured is not flattered.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxRate is the highest rate, in requests per second.
const MaxRate = 100_000

const (
	// timeout is how long a request may take. The front door is told, too.
	timeout = 2 * time.Second
	// maxInFlight requests are under way at most; more are not sent but counted.
	maxInFlight = 2000
	// idleConns is how many connections are kept. Each costs the process memory.
	idleConns = 100
)

// ParseRate reads a rate such as 200/s, 600/m or 0, and returns it per second. A
// plain number is per second.
func ParseRate(s string) (float64, error) {
	number, unit, _ := strings.Cut(s, "/")
	per, ok := map[string]float64{"s": 1, "m": 60}[unit]
	if unit == "" && !strings.Contains(s, "/") {
		per, ok = 1, true
	}
	rate, err := strconv.ParseFloat(number, 64)
	// Written so that NaN is refused too.
	if !ok || err != nil || !(rate >= 0 && rate/per <= MaxRate) {
		return 0, fmt.Errorf("%q is no rate: write requests per second or minute from 0 to %d/s, for example 200/s", s, MaxRate)
	}
	return rate / per, nil
}

// Config says what load to make.
type Config struct {
	// Rate is the mean number of requests per second, above 0.
	Rate float64
	// URL is the front door's.
	URL string
	// Token returns the token to show.
	Token func() (string, error)
	// Transport sends the requests. Default: one of its own.
	Transport http.RoundTripper
}

// Totals are what became of the requests so far.
type Totals struct {
	OK, Failed uint64
	// Unsent were due while too many were under way.
	Unsent uint64
}

// Generator makes load.
type Generator struct {
	config Config
	client *http.Client
	close  func()
	names  map[string][]string // by collection

	flying             sync.WaitGroup
	inFlight           atomic.Int64
	ok, failed, unsent atomic.Uint64
}

// New returns a generator that does nothing yet.
func New(config Config) *Generator {
	g := &Generator{config: config, close: func() {}}
	if config.Transport == nil {
		own := &http.Transport{MaxIdleConnsPerHost: idleConns, IdleConnTimeout: 10 * time.Second}
		g.config.Transport, g.close = own, own.CloseIdleConnections
	}
	g.client = &http.Client{Transport: g.config.Transport, Timeout: timeout + timeout/2}
	return g
}

// Totals returns what became of the requests so far.
func (g *Generator) Totals() Totals {
	return Totals{OK: g.ok.Load(), Failed: g.failed.Load(), Unsent: g.unsent.Load()}
}

// Run makes load until ctx is done, then waits for the requests under way.
func (g *Generator) Run(ctx context.Context) error {
	defer g.close()
	defer g.flying.Wait()
	if err := g.learn(ctx); err != nil {
		return err
	}
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		// Arrivals that are late are made up for, so that the rate holds.
		for now := time.Now(); !next.After(now); {
			g.send()
			next = next.Add(time.Duration(rand.ExpFloat64() / g.config.Rate * float64(time.Second)))
		}
		timer.Reset(time.Until(next))
	}
}

// learn asks which movies, productions and people there are.
func (g *Generator) learn(ctx context.Context) error {
	g.names = map[string][]string{}
	for _, collection := range []string{"movies", "productions", "people"} {
		for {
			names, err := g.list(ctx, collection)
			if len(names) > 0 {
				g.names[collection] = names
				break
			}
			if err == nil {
				err = errors.New("there are none")
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("load: list %s: %w", collection, err)
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

func (g *Generator) list(ctx context.Context, collection string) ([]string, error) {
	body, err := g.do(ctx, request{http.MethodGet, "/v1/" + collection + "?page_size=1000", ""})
	if err != nil {
		return nil, err
	}
	var page map[string]json.RawMessage
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	var resources []struct{ Name string }
	if err := json.Unmarshal(page[collection], &resources); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range resources {
		names = append(names, r.Name)
	}
	return names, nil
}

func (g *Generator) send() {
	if g.inFlight.Load() >= maxInFlight {
		g.unsent.Add(1)
		return
	}
	g.inFlight.Add(1)
	r := draw(g.names)
	g.flying.Go(func() {
		defer g.inFlight.Add(-1)
		// Not cut when the load ends: that would look like a failure.
		if _, err := g.do(context.Background(), r); err != nil {
			g.failed.Add(1)
		} else {
			g.ok.Add(1)
		}
	})
}

func (g *Generator) do(ctx context.Context, r request) ([]byte, error) {
	token, err := g.config.Token()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.method, g.config.URL+r.target, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Grpc-Timeout", strconv.FormatInt(timeout.Milliseconds(), 10)+"m")
	if r.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := g.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	return body, nil
}

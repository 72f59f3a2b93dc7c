package load

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheRateHoldsHoweverSlowTheAnswers(t *testing.T) {
	for _, latency := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			door := &fakeDoor{latency: latency}
			totals := run(t, Config{Rate: 200, Transport: door}, 100*time.Second+3*latency) // three lists come first
			// The standard deviation of the number of arrivals is its root.
			if got := float64(totals.OK); math.Abs(got-20_000) > 5*math.Sqrt(20_000) || totals.Failed+totals.Unsent > 0 {
				t.Errorf("latency %v: %+v, want 20,000 or so", latency, totals)
			}
		})
	}
}

func TestFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &fakeDoor{fail: "/v1/movies/"}
		totals := run(t, Config{Rate: 100, Transport: door}, 10*time.Second)
		if totals.Failed == 0 || totals.OK == 0 {
			t.Errorf("%+v, want both", totals)
		}
	})
}

func TestADoorThatHangsDoesNotFillTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &fakeDoor{latency: time.Hour}
		g := New(Config{Rate: 10_000, URL: "http://door", Token: token, Transport: door})
		g.names = map[string][]string{"movies": {"movies/1"}, "productions": {"productions/1"}, "people": {"people/1"}}
		for range maxInFlight + 10 {
			g.send()
		}
		if got := g.Totals().Unsent; got != 10 {
			t.Errorf("%d unsent, want 10", got)
		}
		g.flying.Wait() // until they time out
		if got := g.Totals().Failed; got != maxInFlight {
			t.Errorf("%d failed, want %d", got, maxInFlight)
		}
	})
}

func TestRequestsAreThoseOfTheAPIAndMostlyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &fakeDoor{seen: map[string]int{}}
		run(t, Config{Rate: 1000, Transport: door}, 10*time.Second)
		writes, all := 0, 0
		for what, n := range door.seen {
			all += n
			if strings.HasPrefix(what, "POST") {
				writes += n
			}
		}
		for _, want := range []string{"GET /v1/movies", "GET /v1/movies/1", "POST /v1/movies/1:rate", "GET /v1/productions", "GET /v1/people/1", "POST /v1/people/1:rate"} {
			if door.seen[want] == 0 {
				t.Errorf("no %s", want)
			}
		}
		if writes == 0 || writes > all/10 {
			t.Errorf("%d writes of %d", writes, all)
		}
	})
}

func TestTheWeightsAddUp(t *testing.T) {
	sum := 0
	for _, kind := range mix {
		sum += kind.weight
	}
	if sum != 100 {
		t.Errorf("they add up to %d, want 100", sum)
	}
}

func TestLoadWithoutAMeshEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Rate: 1, URL: "http://door", Token: token, Transport: &fakeDoor{fail: "/"}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := g.Run(ctx); err == nil {
			t.Error("no error")
		}
	})
}

func TestRates(t *testing.T) {
	for s, want := range map[string]float64{"200/s": 200, "200": 200, "0": 0, "0/s": 0, "90/m": 1.5, "0.5/s": 0.5, "6000000/m": MaxRate} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/s", "fast", "200/h", "200/", "-1", "NaN", "Inf", "100001/s", "1/s/s"} {
		if got, err := ParseRate(s); err == nil || !strings.Contains(err.Error(), "200/s") {
			t.Errorf("%q: %v, %v; want an error that shows how", s, got, err)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"200/s", "1e3/m", "0x10", "-0", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if rate, err := ParseRate(s); err == nil && !(rate >= 0 && rate <= MaxRate) {
			t.Errorf("%q is %v", s, rate)
		}
	})
}

// fakeDoor answers as a front door would.
type fakeDoor struct {
	latency time.Duration
	fail    string // paths that start so fail

	mu   sync.Mutex
	seen map[string]int
}

func (d *fakeDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if d.seen != nil {
		d.mu.Lock()
		d.seen[r.Method+" "+r.URL.Path]++
		d.mu.Unlock()
	}
	code := http.StatusOK
	if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Grpc-Timeout") != "2000m" {
		code = http.StatusUnauthorized
	}
	if d.fail != "" && strings.HasPrefix(r.URL.Path, d.fail) {
		code = http.StatusServiceUnavailable
	}
	collection := strings.Split(r.URL.Path, "/")[2]
	body := fmt.Sprintf(`{"%s": [{"name": "%[1]s/1"}], "nextPageToken": ""}`, collection)
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: io.NopCloser(strings.NewReader(body))}, nil
}

func token() (string, error) { return "t", nil }

func run(t *testing.T, config Config, duration time.Duration) Totals {
	t.Helper()
	config.URL, config.Token = "http://door", token
	g := New(config)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return g.Totals()
}

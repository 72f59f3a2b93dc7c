package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/retry"
)

func from(address string) with {
	return func(r *http.Request) { r.RemoteAddr = address + ":1234" }
}

func TestARateThatAMethodDeclaresHolds(t *testing.T) {
	d := newDoor(t, nil)
	for i, remaining := range []string{"r=1", "r=0"} {
		a := d.do("GET", "/v1/scarce", "").want(200)
		if got := a.header.Get("RateLimit"); !strings.Contains(got, remaining) {
			t.Errorf("call %d: RateLimit %q, want %s", i, got, remaining)
		}
	}
	// By any binding, and nothing is read of one that is over.
	unread := func(r *http.Request) { r.ContentLength, r.Body = 100, unreadable{t} }
	a := d.do("POST", "/v1/scarce", "", unread).want(http.StatusTooManyRequests)
	if a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.header.Get("RateLimit-Policy"), `"scarce";q=2;w=3600`) {
		t.Errorf("%v %s", a.header, a.body)
	}
	// Others have their own, and so have other methods.
	d.do("GET", "/v1/scarce", "", from("198.51.100.7")).want(200)
	d.do("GET", "/v1/scarce", "", bearer(token(t, "ann"))).want(200)
	if got := d.do("GET", "/v1/books", "").want(200).header.Get("RateLimit"); got != "" {
		t.Errorf("RateLimit %q of a method without", got)
	}
	if n := d.books.callCount(); n != 5 {
		t.Errorf("the backend was called %d times, want 5", n)
	}
	if !strings.Contains(d.logs.String(), `"reason":"over the rate scarce"`) {
		t.Error("the log does not tell")
	}
}

func TestGuessingCredentialsCountsAgainstTheAddress(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 3, Period: time.Hour}}}
	})
	for range 3 {
		d.do("GET", "/v1/whoami", "", header("Authorization", "Bearer nonsense")).want(401)
	}
	d.do("GET", "/v1/whoami", "", header("Authorization", "Bearer nonsense")).want(429)
	d.do("GET", "/v1/whoami", "", header("Authorization", "Bearer nonsense"), from("198.51.100.7")).want(401)
	// One who is known is counted by name, wherever the guesses came from.
	d.do("GET", "/v1/whoami", "", bearer(token(t, "ann"))).want(200)
}

func TestRatesAreCheckedAtStart(t *testing.T) {
	_, err := gateway.New(gateway.Config{RateLimit: ratelimit.Config{Policies: []ratelimit.Policy{{Name: "X"}}}})
	if err == nil || !strings.Contains(err.Error(), "Config.RateLimit") || !strings.Contains(err.Error(), "Policies[0]") {
		t.Errorf("%v", err)
	}
	g, err := gateway.New(gateway.Config{RateLimit: ratelimit.Config{Policies: []ratelimit.Policy{{Name: "scarce", Rate: ratelimit.Rate{Requests: 1, Period: time.Second}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, nil)
	wantError(t, mountLibrary(g, d.conn), `method Scarce: ratelimit: Policies[0].Name: "scarce" is there twice`)
	wantError(t, mountLibrary(d.Gateway, d.conn, func(s *libraryService) { s.Retry = &retry.Config{MaxAttempts: 99} }), "Retry: ")
}

func TestOverloadRefusesWhatMattersLeastAndHealthIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := overload.New(overload.Config{InitialLimit: 4, MinLimit: 4, MaxLimit: 4})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		d := newDoor(t, nil, func(s *libraryService) { s.Overload = limiter })
		d.books.block = release
		done := make(chan int)
		for range 2 {
			go func() { done <- d.do("GET", "/v1/sleep", "").status }()
		}
		synctest.Wait()
		unread := func(r *http.Request) { r.ContentLength, r.Body = 100, unreadable{t} }
		a := d.do("POST", "/v1/scarce", "", unread)
		a.wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
		d.do("GET", "/v1/books", "").wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
		d.do("GET", "/v1/vital", "").want(200)
		d.do("GET", "/livez", "").want(200)
		close(release)
		for range 2 {
			if status := <-done; status != 200 {
				t.Errorf("a call that was let in ends with %d", status)
			}
		}
		d.do("GET", "/v1/scarce", "").want(200)
	})
}

func TestCallsAreMadeAgainWhereThatDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		d.do("GET", "/v1/flaky/1", "").wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
		d = newDoor(t, nil, func(s *libraryService) { s.Retry = &retry.Config{} })
		d.do("GET", "/v1/flaky/2", "").want(200)
		if n := d.books.callCount(); n != 3 {
			t.Errorf("the backend was called %d times, want 3", n)
		}
		d.books.failures.Store(0)
		d.do("GET", "/v1/flaky/3", "").wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
		// There is time left to answer: the backend has 20 ms less.
		start := time.Now()
		d.do("GET", "/v1/sleep?duration=10s", "", header("Grpc-Timeout", "2S")).wantProblem(http.StatusGatewayTimeout, "DEADLINE_EXCEEDED")
		if took := time.Since(start); took != 2*time.Second-20*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
	})
}

func TestAPolicyIsEnforcedBeforeTheRequestIsReadAndOnIt(t *testing.T) {
	d := newDoor(t, nil)
	unread := func(r *http.Request) { r.ContentLength, r.Body = 100, unreadable{t} }
	ann, clerk := bearer(token(t, "ann", "books.admin")), bearer(token(t, "ann"))
	d.do("POST", "/v1/shelves/ann:guard", "", unread).want(401)
	if p := d.do("POST", "/v1/shelves/ann:guard", "", unread, clerk).wantProblem(403, "PERMISSION_DENIED"); !strings.Contains(p.Detail, "librarian") {
		t.Errorf("%+v", p)
	}
	d.do("POST", "/v1/shelves/ann:guard", `{}`, ann).want(200)
	if p := d.do("POST", "/v1/shelves/bob:guard", `{}`, ann).wantProblem(403, "PERMISSION_DENIED"); p.Detail != "librarians guard their own shelf" {
		t.Errorf("%+v", p)
	}
	// However the path is written, and before anything is told to be wrong.
	d.do("POST", "/v1/shelves/%62ob:guard", `{}`, ann).wantProblem(403, "PERMISSION_DENIED")
	d.do("POST", "/v1/shelves/"+strings.Repeat("b", 50)+":guard", `{}`, ann).wantProblem(403, "PERMISSION_DENIED")
	if n := d.books.callCount(); n != 1 {
		t.Errorf("the backend was called %d times, want 1", n)
	}
	if logs := d.logs.String(); !strings.Contains(logs, `"policy":{"allowed":false,"reason":"the condition is false","rule":"own-shelf"}`) {
		t.Errorf("the log does not tell: %s", logs)
	}
}

func TestAPolicyIsEnforcedOnEachMessageOfAStream(t *testing.T) {
	d := newDoor(t, nil)
	ann := bearer(token(t, "ann"))
	d.do("POST", "/v1/shelves:guard", `{"name":"shelves/ann"}{"name":"shelves/ann"}`, ann).want(200)
	d.do("POST", "/v1/shelves:guard", `{"name":"shelves/ann"}{"name":"shelves/bob"}`, ann).wantProblem(403, "PERMISSION_DENIED")
	// A door of its own: the stream before may still be on its way.
	d = newDoor(t, nil)
	d.do("POST", "/v1/shelves:guard", `{"name":"shelves/bob"}`, ann).wantProblem(403, "PERMISSION_DENIED")
	if n := d.books.callCount(); n != 0 {
		t.Error("the backend saw a stream whose first message is refused")
	}
}

func TestAPolicyThatNamesNoRoleThereIsIsRefusedAtStart(t *testing.T) {
	_, hash := auth.GenerateAPIKey()
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{{SHA256: hash, Subject: "robot"}}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Authenticators: []auth.Authenticator{keys}})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, mountLibrary(g, newDoor(t, nil).conn), `any_role[0]: "librarian"`)
}

package admin_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/admin"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/compress"
	"github.com/evenkeel/evenkeel/gateway/cors"
	"github.com/evenkeel/evenkeel/gateway/internal/testcert"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/retry"
)

// secret stands for whatever must not be shown.
const secret = "SECRET-f3a1"

// newGateway returns a gateway with all settings set, and secrets where secrets
// may be.
func newGateway(t *testing.T) *gateway.Gateway {
	t.Helper()
	_, hash := auth.GenerateAPIKey()
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{{SHA256: hash, Subject: secret, Scopes: []string{"books.read"}}}})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := cors.New(cors.Config{Origins: []string{"https://app.test"}})
	if err != nil {
		t.Fatal(err)
	}
	smaller, err := compress.New(compress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cert := testcert.New(t).Issue()
	cert.OCSPStaple = []byte(secret)
	g, err := gateway.New(gateway.Config{
		Authenticators: []auth.Authenticator{keys},
		Realm:          "library",
		Logger:         slog.New(slog.DiscardHandler),
		TLS:            &tls.Config{Certificates: []tls.Certificate{cert}, ServerName: secret},
		CORS:           pages, Compress: smaller,
		Policy:    policy.Config{Roles: []policy.Role{{Name: "librarian", Members: []policy.Member{{Issuer: "https://id.test", Subject: secret}}}}},
		RateLimit: ratelimit.Config{Policies: []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 1000, Period: 1e9}}}},
		Health:    gateway.Health{IgnoreUpstreams: true, Checks: []func(context.Context) error{func(context.Context) error { return broken }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := overload.New(overload.Config{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("dns:///library.test:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := gateway.Mount(g, gateway.Service[testv1.LibraryServiceClient]{
		Desc: &testv1.LibraryService_ServiceDesc, Conn: conn, NewClient: testv1.NewLibraryServiceClient,
		Register: testv1.RegisterLibraryServiceHandlerClient, Retry: &retry.Config{}, Overload: limiter,
	}); err != nil {
		t.Fatal(err)
	}
	return g
}

// broken is what the health check fails with, if it does.
var broken error

func newAdmin(t *testing.T, config admin.Config) *admin.Admin {
	t.Helper()
	a, err := admin.New(newGateway(t), config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(h http.Handler, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "localhost:9901"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestNoSecretIsShownAnywhere(t *testing.T) {
	a := newAdmin(t, admin.Config{Profiles: true})
	for _, path := range []string{"/", "/config", "/config.json", "/config.txt", "/routes", "/routes.json", "/routes.txt", "/readyz", "/debug/pprof/"} {
		w := get(a, path)
		if w.Code != 200 || strings.Contains(w.Body.String(), secret) || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestEverySettingIsShownWithItsDefault(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal(get(newAdmin(t, admin.Config{}), "/config.json").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	const service = `Services["evenkeel.test.v1.LibraryService"]`
	for field, want := range map[string]any{
		"Authenticators[0]":                   "*auth.APIKeys",
		"Realm":                               "library",
		"Limits.BodyBytes":                    float64(1 << 20),
		"Timeouts.Call":                       "15s",
		"TLS.Certificates":                    float64(1),
		"TLS.MinVersion":                      "TLS 1.2",
		"CORS.Origins":                        "https://app.test",
		"Compress.MinBytes":                   float64(1024),
		"Compress.Compressible":               "set",
		"ForwardHeaders":                      "Accept-Language, Traceparent, Tracestate",
		"ReturnHeaders":                       "not set",
		"Policy.Roles[0].Name":                "librarian",
		"Policy.Roles[0].Members[0].Issuer":   "https://id.test",
		"Policy.Roles[0].Members[0].Subject":  "hidden",
		"RateLimit.Store":                     "*ratelimit.Local",
		"RateLimit.Policies[0].Rate.Burst":    float64(1000),
		"Policy.CostLimit":                    float64(100000),
		"RateLimit.Policies[0].Rate.Requests": float64(1000),
		"RateLimit.Policies[0].Rate.Period":   "1s",
		"Health.Checks[0]":                    "set",
		"Drain.Timeout":                       "30s",
		"Lenient.BodyFields":                  false,
		service + ".Retry.MaxAttempts":        float64(3),
		service + ".Retry.Codes[0]":           "UNAVAILABLE",
		service + ".Overload.MaxLimit":        float64(10000),
		service + ".Target":                   "dns:///library.test:1",
	} {
		if got[field] != want {
			t.Errorf("%s: %v, want %v", field, got[field], want)
		}
	}
	// No field of the config is passed over.
	config := reflect.TypeFor[gateway.Config]()
	for i := range config.NumField() {
		name := config.Field(i).Name
		found := false
		for field := range got {
			found = found || field == name || strings.HasPrefix(field, name+".") || strings.HasPrefix(field, name+"[")
		}
		if !found {
			t.Errorf("%s is not shown", name)
		}
	}
}

func TestRoutesTellWhoMayCallAndWhatHolds(t *testing.T) {
	a := newAdmin(t, admin.Config{})
	text := get(a, "/routes.txt").Body.String()
	var line string
	for l := range strings.Lines(text) {
		if strings.Contains(l, "/v1/{name=shelves/*/books/*} ") && strings.HasPrefix(l, "GET") {
			line = l
		}
	}
	for _, want := range []string{"/evenkeel.test.v1.LibraryService/GetBook", "books.read", "all: 1000/1s by caller", "15s, up to 1m0s", "3 attempts after UNAVAILABLE", "default, 0 of 100"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q has no %q", line, want)
		}
	}
	var routes []map[string]any
	if err := json.Unmarshal(get(a, "/routes.json").Body.Bytes(), &routes); err != nil || len(routes) < 30 {
		t.Errorf("%d routes, %v", len(routes), err)
	}
	if page := get(a, "/routes").Body.String(); !strings.Contains(page, "/explain?method=GET&amp;target=%2fv1%2fshelves%2f1%2fbooks%2f1") {
		t.Errorf("no link explains a request: %.2000s", page)
	}
}

func TestARequestIsExplained(t *testing.T) {
	a := newAdmin(t, admin.Config{})
	for target, want := range map[string]string{
		"/explain.txt?target=/v1/books":                                                       "GET /v1/books calls /evenkeel.test.v1.LibraryService/ListBooks",
		"/explain.txt?target=/v1/nothing":                                                     "is answered 404 Not Found",
		"/explain.txt?target=/v1/books&method=delete":                                         "is answered 405 Method Not Allowed",
		"/explain.txt?target=/v1/shelves/1/books/2":                                           "is answered 401 Unauthorized",
		"/explain.txt?target=/v1/shelves/1/books/2&subject=ann":                               "is answered 403 Forbidden",
		"/explain.txt?target=/v1/shelves/1/books/2&subject=ann&scopes=books.read":             "calls /evenkeel.test.v1.LibraryService/GetBook",
		"/explain.txt?target=/v1/books&header=Accept:%20text/html":                            "is answered 406 Not Acceptable",
		"/explain.txt?target=/v1/shelves/1/books/2:rate&method=POST&body=%7B%22stars%22:9%7D": "stars",
		"/explain.txt?target=/v1/download/a":                                                  `trap: cel trap "must not be 7" this != 7 || 1 / (this - 7) == 0`,
		"/explain.txt?target=/v1/shelves/1/books&method=POST":                                 "book.authors[].fullName: string.min_len 1\n",
		"/explain.json?target=/v1/books":                                                      `"rule": "int32.lte"`,
		"/explain?target=/v1/download/a":                                                      "this != 7 || 1 / (this - 7) == 0",
		"/explain?target=/v1/shelves/1/books&method=POST":                                     `<td class="code">book.title</td><td class="code">string.max_len</td><td class="code">50</td>`,
		"/explain?target=/v1/shelves/1/books/2":                                               "shelves/1/books/2",
		"/explain":                                                                            "<form",
	} {
		if w := get(a, target); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, no %q in\n%s", target, w.Code, want, w.Body)
		}
	}
	for _, target := range []string{"/explain.json", "/explain?target=x", "/explain.txt?target=/a&scopes=b", "/explain.txt?target=/a&address=x", "/explain.txt?target=/a&header=x"} {
		if w := get(a, target); w.Code != 400 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	var e map[string]any
	if err := json.Unmarshal(get(a, "/explain.json?target=/v1/books").Body.Bytes(), &e); err != nil || e["called"] != true {
		t.Errorf("%v %v", e, err)
	}
	// What is asked is not taken for a part of the page.
	if page := get(a, "/explain?target=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").Body.String(); strings.Contains(page, "<script") {
		t.Error(page)
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	a := newAdmin(t, admin.Config{})
	broken = errors.New("the database is away")
	defer func() { broken = nil }()
	if w := get(a, "/readyz"); w.Code != 503 || w.Body.String() != "not ready: the database is away\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := get(a, "/"); !strings.Contains(w.Body.String(), "the database is away") {
		t.Error("the first page does not tell")
	}
	if w := get(a, "/livez"); w.Code != 200 {
		t.Error(w.Code)
	}
}

func TestOnlyTheMachineItselfGetsIn(t *testing.T) {
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	head := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	at := func(address string) func(*http.Request) {
		return func(r *http.Request) {
			local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
		}
	}
	a := newAdmin(t, admin.Config{Hosts: []string{"Admin.internal"}})
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"an address":              {host("127.0.0.1:9901"), 200},
		"an IPv6 address":         {host("[::1]:9901"), 200},
		"an address without port": {host("[::1]"), 200},
		"a host that is named":    {host("admin.internal:9901"), 200},
		"a rebound name":          {host("evil.example:9901"), 403},
		"a name like localhost":   {host("localhost.evil.example"), 403},
		"no host":                 {host(""), 403},
		"a page of another site":  {head("Sec-Fetch-Site", "cross-site"), 403},
		"a page of the same site": {head("Sec-Fetch-Site", "same-site"), 403},
		"a page of its own":       {head("Sec-Fetch-Site", "same-origin"), 200},
		"a person":                {head("Sec-Fetch-Site", "none"), 200},
		"another origin":          {head("Origin", "http://evil.example"), 403},
		"its own origin":          {head("Origin", "http://localhost:9901"), 200},
		"no origin":               {head("Origin", "null"), 403},
		"loopback":                {at("127.0.0.1:9901"), 200},
		"the network":             {at("10.0.0.1:9901"), 403},
	} {
		w := get(a, "/config.json", c.change)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") ||
			w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", name, w.Header())
		}
	}
	open := newAdmin(t, admin.Config{AllowRemote: true})
	if w := get(open, "/", at("10.0.0.1:9901"), host("10.0.0.1:9901")); w.Code != 200 {
		t.Errorf("allowed: %d", w.Code)
	}
	if w := get(open, "/", at("10.0.0.1:9901"), host("evil.example")); w.Code != 403 {
		t.Errorf("allowed, but by a name: %d", w.Code)
	}
}

func TestServeRefusesAnAddressThatOthersReach(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	err = newAdmin(t, admin.Config{}).Serve(t.Context(), listener)
	if err == nil || !strings.Contains(err.Error(), "AllowRemote") {
		t.Error(err)
	}
	if _, err := listener.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

func TestItServesUntilItIsToldToEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newAdmin(t, admin.Config{}).Serve(ctx, listener) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + listener.Addr().String() + "/livez")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile"} {
		if w := get(newAdmin(t, admin.Config{}), path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	a := newAdmin(t, admin.Config{Profiles: true})
	for path, want := range map[string]int{
		"/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=1": 200, "/debug/pprof/nonsense": 404, "/debug/pprof/heap?debug=9": 400,
		"/debug/pprof/profile?seconds=0.01": 200, "/debug/pprof/trace?seconds=0.01": 200, "/debug/pprof/profile?seconds=100000": 400, "/debug/pprof/trace?seconds=NaN": 400,
	} {
		if w := get(a, path); w.Code != want || w.Body.Len() == 0 {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	// Nor are they where programs serve by default.
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/", nil))
	if w.Code != 404 {
		t.Errorf("http.DefaultServeMux serves profiles: %d", w.Code)
	}
}

func TestHandlersAreAddedBehindTheGuard(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1") })
	a := newAdmin(t, admin.Config{Handlers: map[string]http.Handler{"/metrics": metrics}})
	if w := get(a, "/metrics"); w.Body.String() != "up 1" {
		t.Error(w.Body)
	}
	if w := get(a, "/metrics", func(r *http.Request) { r.Host = "evil.example" }); w.Code != 403 {
		t.Error(w.Code)
	}
	if w := get(a, "/"); !strings.Contains(w.Body.String(), `href="/metrics"`) {
		t.Error("it is not linked to")
	}
}

func TestAWrongConfigIsRefusedByField(t *testing.T) {
	ok := http.NotFoundHandler()
	for want, config := range map[string]admin.Config{
		"Hosts[0]":                {Hosts: []string{"a:1"}},
		`Handlers["/a"]`:          {Handlers: map[string]http.Handler{"/a": nil}},
		`Handlers["a"]`:           {Handlers: map[string]http.Handler{"a": ok}},
		`Handlers["/"]`:           {Handlers: map[string]http.Handler{"/": ok}},
		`Handlers["/config"]`:     {Handlers: map[string]http.Handler{"/config": ok}},
		`Handlers["/routes.txt"]`: {Handlers: map[string]http.Handler{"/routes.txt": ok}},
		`Handlers["/debug/x"]`:    {Handlers: map[string]http.Handler{"/debug/x": ok}},
	} {
		if _, err := admin.New(newGateway(t), config); err == nil || !strings.Contains(err.Error(), "Config."+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Whatever host and origin a browser names, who is let in has no name that an
// attacker could have chosen.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"localhost:9901", "127.0.0.1", "[::1]:1", "evil.example", "localhost.evil.example", "[fe80::1%25eth0]:80", "admin.internal", "[evil", "localhost:", ""} {
		f.Add(host, "")
		f.Add(host, "http://"+host)
	}
	g, err := gateway.New(gateway.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	a, err := admin.New(g, admin.Config{Hosts: []string{"admin.internal"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, host, origin string) {
		w := get(a, "/livez", func(r *http.Request) {
			r.Host = host
			if origin != "" {
				r.Header["Origin"] = []string{origin}
			}
		})
		if w.Code != http.StatusOK {
			return
		}
		name := host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
		name = strings.ToLower(strings.Trim(name, "[]"))
		if _, err := netip.ParseAddr(name); err != nil && name != "localhost" && name != "admin.internal" {
			t.Errorf("%q is let in", host)
		}
		if origin != "" && !strings.HasSuffix(strings.ToLower(origin), "://"+strings.ToLower(host)) {
			t.Errorf("a page of %q is let in at %q", origin, host)
		}
	})
}

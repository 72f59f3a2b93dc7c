package cors_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway/cors"
)

func newPolicy(t testing.TB, config cors.Config) http.Handler {
	t.Helper()
	p, err := cors.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

func ask(h http.Handler, method string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func allowed(h http.Handler, origin string) bool {
	got := ask(h, http.MethodGet, http.Header{"Origin": {origin}}).Header().Get("Access-Control-Allow-Origin")
	return got == origin || got == "*"
}

func TestOnlyOriginsThatAreNamedMayCall(t *testing.T) {
	h := newPolicy(t, cors.Config{Origins: []string{"https://app.example.com", "https://*.partner.example:8443", "http://localhost:3000"}})
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "http://localhost:3000": true, "https://a.partner.example:8443": true, "https://a.b.partner.example:8443": true,
		"http://app.example.com": false, "https://app.example.com:8443": false, "https://app.example.com.evil.com": false, "https://evilapp.example.com": false,
		"https://partner.example:8443": false, "https://a.partner.example": false, "https://evil.com/.partner.example:8443": false,
		"https://evil.com:1@a.partner.example:8443": false, "https://.partner.example:8443": false, "https://evil.com#.partner.example:8443": false,
		"https://evilpartner.example:8443": false, "null": false, "https://a..partner.example:8443": false,
	} {
		if got := allowed(h, origin); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if w := ask(h, http.MethodGet, http.Header{"Origin": {"https://evil.com"}}); w.Code != http.StatusTeapot || !strings.Contains(w.Header().Get("Vary"), "Origin") {
		t.Errorf("%d %v: it is the browser that refuses", w.Code, w.Header())
	}
}

func TestABrowserIsToldBeforeItCalls(t *testing.T) {
	h := newPolicy(t, cors.Config{Origins: []string{"https://a.example"}, Credentials: true, MaxAge: time.Hour})
	preflight := func(method, headers string) *httptest.ResponseRecorder {
		return ask(h, http.MethodOptions, http.Header{
			"Origin": {"https://a.example"}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {headers},
		})
	}
	w := preflight("PATCH", "authorization,content-type")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Methods": "PATCH",
		"Access-Control-Allow-Headers": "authorization,content-type", "Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "3600",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w.Code != 204 {
		t.Error(w.Code)
	}
	for _, w := range []*httptest.ResponseRecorder{preflight("PURGE", ""), preflight("GET", "x-other")} {
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", w.Header())
		}
	}
	// OPTIONS that asks for nothing is for the handler.
	if w := ask(h, http.MethodOptions, http.Header{"Origin": {"https://a.example"}}); w.Code != http.StatusTeapot {
		t.Error(w.Code)
	}
	w = ask(h, http.MethodGet, http.Header{"Origin": {"https://a.example"}})
	if got := w.Header().Get("Access-Control-Expose-Headers"); !strings.Contains(strings.ToLower(got), "retry-after") {
		t.Errorf("%q", got)
	}
}

func TestEveryOriginMayCallIfToldSo(t *testing.T) {
	h := newPolicy(t, cors.Config{Origins: []string{"*"}})
	w := ask(h, http.MethodGet, http.Header{"Origin": {"https://any.example"}})
	if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", w.Header())
	}
}

func TestWhatIsUnsafeOrWithoutEffectIsRefusedByField(t *testing.T) {
	ok := []string{"https://a.example"}
	for want, config := range map[string]cors.Config{
		"Origins: name those":                               {},
		"Origins[0]: with Credentials every page":           {Origins: []string{"*"}, Credentials: true},
		"Origins[1]: \"*\" stands for every origin":         {Origins: []string{"https://a.example", "*"}},
		"Origins[0]: \"null\" can be any page":              {Origins: []string{"null"}},
		"Origins[0]: \"http://a.example\": whoever":         {Origins: []string{"http://a.example"}},
		"Origins[0]: \"https://*.com\": anybody":            {Origins: []string{"https://*.com"}},
		"Origins[0]: \"https://*.co.uk\": anybody":          {Origins: []string{"https://*.co.uk"}},
		"Origins[0]: \"https://*.github.io\": anybody":      {Origins: []string{"https://*.github.io"}},
		"Origins[0]: \"https://*.192.0.2.1\": there are no": {Origins: []string{"https://*.192.0.2.1"}},
		"Origins[0]: \"https://a.example/\" is not an":      {Origins: []string{"https://a.example/"}},
		"Origins[0]: \"https://A.example\" is not an":       {Origins: []string{"https://A.example"}},
		"Origins[0]: \"https://a.*.example\" is not an":     {Origins: []string{"https://a.*.example"}},
		"Origins[0]: \"https://*\" is not an":               {Origins: []string{"https://*"}},
		"Origins[0]: \"a.example\" is not an":               {Origins: []string{"a.example"}},
		"Origins[0]: \"ftp://a.example\" is not an":         {Origins: []string{"ftp://a.example"}},
		"Origins[0]: \"https://u@a.example\" is not an":     {Origins: []string{"https://u@a.example"}},
		"Origins[0]: \"https://a.example:443\": browsers":   {Origins: []string{"https://a.example:443"}},
		"Methods[0]: \"get\": methods are in upper":         {Origins: ok, Methods: []string{"get"}},
		"Methods[0]: no browser lets a page use TRACE":      {Origins: ok, Methods: []string{"TRACE"}},
		"Methods[0]: \"A B\" is not":                        {Origins: ok, Methods: []string{"A B"}},
		"RequestHeaders[0]: every header":                   {Origins: ok, RequestHeaders: []string{"*"}},
		"RequestHeaders[0]: no browser lets a page set Co":  {Origins: ok, RequestHeaders: []string{"Cookie"}},
		"ResponseHeaders[0]: every header":                  {Origins: ok, ResponseHeaders: []string{"*"}},
		"ResponseHeaders[0]: no browser lets a page read S": {Origins: ok, ResponseHeaders: []string{"Set-Cookie"}},
		"ResponseHeaders[0]: \"\" is not":                   {Origins: ok, ResponseHeaders: []string{""}},
		"MaxAge: 25h0m0s is out of range":                   {Origins: ok, MaxAge: 25 * time.Hour},
	} {
		if _, err := cors.New(config); err == nil || !strings.HasPrefix(err.Error(), "cors: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := cors.New(cors.Config{Origins: []string{"http://a.example", "http://[::1]:80"}, InsecureOrigins: true}); err == nil {
		t.Error("a default port is taken")
	}
	if _, err := cors.New(cors.Config{Origins: []string{"http://a.example", "http://[::1]:3000", "https://*.a.example"}, InsecureOrigins: true}); err != nil {
		t.Error(err)
	}
}

// Whatever origin is sent, it is let in only if its host is the one that was
// named or below it, and its scheme and port are the same.
func TestPolicyTellsWhoIsAllowed(t *testing.T) {
	named, err := cors.New(cors.Config{Origins: []string{"https://app.example.com", "https://*.partner.example"}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := cors.New(cors.Config{Origins: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string][2]bool{
		"https://app.example.com": {true, true}, "https://a.partner.example": {true, true},
		"https://evil.example": {false, true}, "null": {false, true}, "https://app.example.com.evil.example": {false, true}, "": {false, false},
	} {
		if got := [2]bool{named.Allows(origin), all.Allows(origin)}; got != want {
			t.Errorf("%q: %v, want %v", origin, got, want)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://a.example.com", "https://x.example.com:1", "https://evil/.example.com", "https://example.com", "https://a%2e.example.com"} {
		f.Add(seed)
	}
	h := newPolicy(f, cors.Config{Origins: []string{"https://*.example.com"}})
	f.Fuzz(func(t *testing.T, origin string) {
		if !allowed(h, origin) || origin == "" {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" || u.Port() != "" || u.User != nil || !strings.HasSuffix(u.Host, ".example.com") || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q is let in", origin)
		}
	})
}

// Whatever a preflight asks for, the answer grants no more than what was named.
func FuzzPreflight(f *testing.F) {
	f.Add("https://a.example.com", "PUT", "x-tenant, authorization")
	f.Add("https://a.example.com", "GET", "")
	f.Add("null", "delete", "a,,b\x00")
	f.Add("https://evil.example", "PUT", "*")
	h := newPolicy(f, cors.Config{Origins: []string{"https://a.example.com"}})
	f.Fuzz(func(t *testing.T, origin, method, headers string) {
		r := httptest.NewRequest("OPTIONS", "/v1/books", nil)
		r.Header["Origin"], r.Header["Access-Control-Request-Method"] = []string{origin}, []string{method}
		r.Header["Access-Control-Request-Headers"] = []string{headers}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := w.Header()
		if allow := got.Get("Access-Control-Allow-Origin"); allow != "" && allow != "https://a.example.com" {
			t.Errorf("%q from %q", allow, origin)
		}
		if got.Get("Access-Control-Allow-Origin") != "" && origin != "https://a.example.com" {
			t.Errorf("%q is let in", origin)
		}
		for name, values := range got {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Errorf("%s: %q", name, v)
				}
			}
		}
	})
}

package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/cors"
)

// TestAttackFormsOfOtherSites sends what browsers send for pages of other sites,
// which need not ask first for a POST with one of three types or with nothing.
func TestAttackFormsOfOtherSites(t *testing.T) {
	const app, evil = "https://app.example.com", "https://evil.example"
	policy, err := cors.New(cors.Config{Origins: []string{app}})
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(c *gateway.Config) { c.CORS = policy }, func(t *testing.T, r *running) {
		for _, c := range []struct {
			name, headers string
			refused       bool
		}{
			{"a form of another site", "Origin: " + evil + "|Sec-Fetch-Site: cross-site", true},
			{"of a neighbour", "Origin: https://other.example.com|Sec-Fetch-Site: same-site", true},
			{"without Fetch Metadata", "Origin: " + evil, true},
			{"of a page without an origin", "Origin: null", true},
			{"of one that hides it", "Sec-Fetch-Site: cross-site", true},
			{"with a host like it", "Origin: https://door.evil.example", true},
			{"with the host before it", "Origin: https://evil.example/door", true},
			{"of a page of the door's own", "Origin: http://door|Sec-Fetch-Site: same-origin", false},
			{"the same without Fetch Metadata", "Origin: http://door", false},
			{"typed by its user", "Sec-Fetch-Site: none", false},
			{"by no browser", "X-A: b", false},
			{"of a page that is let in", "Origin: " + app + "|Sec-Fetch-Site: cross-site", false},
			{"with a key, for which a browser asks", "Origin: " + evil + "|Sec-Fetch-Site: cross-site|X-Api-Key: " + r.apiKey, false},
		} {
			for target, contentType := range map[string]string{
				"/v1/shelves/1/books/2:anything": "", "/v1/reflect": "text/plain", "/v1/upload": "multipart/form-data; boundary=x",
			} {
				before := r.books.callCount()
				headers := strings.ReplaceAll(c.headers, "|", "\r\n")
				if contentType != "" {
					headers += "\r\nContent-Type: " + contentType
				}
				a := r.one(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: door\r\nContent-Length: 0\r\n%s\r\n\r\n", target, headers))
				if called := r.books.callCount() > before; called == c.refused || (a.status == 403) != c.refused {
					t.Errorf("%s: POST %s: %d, called: %v", c.name, target, a.status, called)
				}
			}
		}
		// For what a form cannot send, a browser asks; GET changes nothing.
		cross := "Origin: " + evil + "\r\nSec-Fetch-Site: cross-site"
		if a := r.one(t, posted("/v1/echo", `{"text":"a"}`, asJSON, cross)); a.status != 200 {
			t.Errorf("JSON: %d", a.status)
		}
		if a := r.one(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\n"+cross+"\r\n\r\n"); a.status != 200 {
			t.Errorf("GET: %d", a.status)
		}
		othersAreServed(t, r)
	})
}

// ambient finds its caller in what a browser shows to all, as a certificate is.
type ambient struct{ custom }

func (ambient) Authenticate(context.Context, *http.Request) (*auth.Principal, error) {
	return &auth.Principal{Subject: "ann", Method: auth.MethodMTLS}, nil
}

// TestPagesOfEveryOriginActForNobodyInParticular: to let in every origin is not to
// let all of them act for whoever looks at their pages.
func TestPagesOfEveryOriginActForNobodyInParticular(t *testing.T) {
	everybody, err := cors.New(cors.Config{Origins: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	const target = "/v1/shelves/1/books/2:anything"
	d := newDoor(t, func(c *gateway.Config) { c.CORS = everybody })
	d.do("POST", target, "", header("Origin", "https://any.example")).want(200)
	d.do("POST", target, "", header("Sec-Fetch-Site", "cross-site")).wantProblem(403, "PERMISSION_DENIED") // of no origin at all
	d = newDoor(t, func(c *gateway.Config) {
		c.CORS, c.Authenticators = everybody, []auth.Authenticator{ambient{}}
	})
	d.do("POST", target, "", header("Origin", "https://any.example")).wantProblem(403, "PERMISSION_DENIED")
	d.do("POST", target, "").want(200)
}

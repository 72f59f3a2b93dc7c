package gateway

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway/auth"
	_ "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/openapi"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// OpenService has methods that say nothing, which a mount may say something of,
// and one that says what cannot be: the first that is left is told.
func TestAccessThatTheMountGivesIsDescribed(t *testing.T) {
	_, hash := auth.GenerateAPIKey()
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{{SHA256: hash, Subject: "robot"}}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{
		Authenticators: []auth.Authenticator{keys},
		OpenAPI:        &OpenAPI{Title: "Open", Version: "1", Security: openapi.Security{MutualTLS: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	known := &gatewayv1.Access{Rule: &gatewayv1.Access_Authenticated{Authenticated: true}}
	m := &mounting{name: "evenkeel.test.v1.OpenService"}
	if _, err = g.describe([]*mounting{m}); err == nil || !strings.Contains(err.Error(), "method Forgotten") {
		t.Errorf("without: %v", err)
	}
	m.access = map[string]*gatewayv1.Access{"Forgotten": known}
	if _, err = g.describe([]*mounting{m}); err == nil || !strings.Contains(err.Error(), "method Undecided") {
		t.Errorf("with: %v", err)
	}
}

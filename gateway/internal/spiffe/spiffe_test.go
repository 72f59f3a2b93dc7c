package spiffe

import (
	"net/url"
	"strings"
	"testing"
)

func TestAnIDIsReadToTheLetter(t *testing.T) {
	for id, want := range map[string]string{
		"spiffe://mesh/a": "mesh", "spiffe://mesh.example-1_x/ns/default/sa/A.b": "mesh.example-1_x", "spiffe://m/" + strings.Repeat("a", maxBytes-11): "m",
	} {
		if got, err := TrustDomain(id); err != nil || got != want {
			t.Errorf("%.50q: %q %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", "mesh/a", "https://mesh/a", "SPIFFE://mesh/a", "spiffe://", "spiffe:///a", "spiffe://mesh", "spiffe://mesh/", "spiffe://mesh/a/", "spiffe://mesh//a",
		"spiffe://mesh/./a", "spiffe://mesh/../a", "spiffe://mesh/a%2Fb", "spiffe://mesh/a?b", "spiffe://mesh/a#b", "spiffe://u@mesh/a", "spiffe://mesh:1/a",
		"spiffe://MESH/a", "spiffe://mesh/\u00e4", "spiffe://mesh/a b", "spiffe://mesh/*", "spiffe://" + strings.Repeat("a", 256) + "/a", "spiffe://m/" + strings.Repeat("a", maxBytes),
	} {
		if got, err := TrustDomain(id); err == nil {
			t.Errorf("%.50q: %q", id, got)
		}
	}
}

// What is taken for an id is one to the letter, and its domain is its host.
func FuzzSPIFFEID(f *testing.F) {
	for _, seed := range []string{"spiffe://mesh/a", "spiffe://mesh/a/../b", "spiffe://MESH/a", "spiffe://mesh:1/a", "spiffe://mesh/a?x#y", "spiffe:///a", "spiffe://a@b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		domain, err := TrustDomain(id)
		if err != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.String() != id || u.Host != domain || u.Scheme != "spiffe" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path == "" ||
			strings.Contains(u.Path, "//") || strings.HasSuffix(u.Path, "/") || u.JoinPath().Path != u.Path {
			t.Errorf("%q: %q %v", id, domain, err)
		}
	})
}

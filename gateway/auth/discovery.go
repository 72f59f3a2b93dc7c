package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// discoverAgain is how old the answer to where the keys are may be.
const discoverAgain = time.Hour

// NewOIDC returns an authenticator for the tokens of an OpenID provider, which
// says itself where its keys are: at the path /.well-known/openid-configuration
// below config.Issuer, which must be its URL. JWKSURL and JWKSFile must be empty;
// everything else is as with [NewJWT]. The provider is asked when the first
// token comes or [JWT.Ready] is, again every hour, and whenever its keys cannot
// be read where it said.
//
// Sources: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 8414 for the
// check of the issuer, without which one provider could pass for another.
func NewOIDC(config JWTConfig) (*JWT, error) {
	if config.JWKSURL != "" || config.JWKSFile != "" {
		return nil, errors.New("auth: JWTConfig.JWKSURL: must be empty, and JWKSFile, too: the provider says where its keys are; use NewJWT if it does not")
	}
	if err := checkJWKSURL(config.Issuer, config.InsecureJWKSURL); err != nil || strings.ContainsAny(config.Issuer, "?#") {
		return nil, fmt.Errorf("auth: JWTConfig.Issuer: %q must be the https URL of an OpenID provider, without query and fragment", config.Issuer)
	}
	if config.Client == nil {
		config.Client = defaultJWKSClient()
	}
	if len(config.Algorithms) == 0 {
		config.Algorithms = allAlgorithms
	}
	d := &discovery{
		issuer: config.Issuer, client: config.Client, algorithms: config.Algorithms, insecure: config.InsecureJWKSURL,
		url: strings.TrimSuffix(config.Issuer, "/") + "/.well-known/openid-configuration",
	}
	config.JWKSURL = d.url
	j, err := NewJWT(config)
	if err != nil {
		return nil, err
	}
	j.keys.load = d.load // nobody has asked for keys yet
	return j, nil
}

// discovery finds an issuer's keys.
type discovery struct {
	issuer, url string
	client      *http.Client
	algorithms  []string
	insecure    bool

	mu    sync.Mutex // guards what follows
	keys  string     // where they are
	asked time.Time
}

// load reads the keys. There is one load at a time, see keySource.
func (d *discovery) load(ctx context.Context) (*keySet, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == "" || time.Since(d.asked) >= discoverAgain {
		keys, err := d.discover(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.url, err)
		}
		d.keys, d.asked = keys, time.Now()
	}
	set, err := fromURL(d.keys, d.client, d.algorithms)(ctx)
	if err != nil {
		d.keys = "" // they may have moved
	}
	return set, err
}

func (d *discovery) discover(ctx context.Context) (jwksURL string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %s", resp.Status)
	}
	raw, err := readCapped(resp.Body)
	if err != nil {
		return "", err
	}
	return parseMetadata(raw, d.issuer, d.insecure)
}

// parseMetadata returns where a provider's keys are, if it is the one that was
// asked for.
func parseMetadata(raw []byte, issuer string, insecure bool) (jwksURL string, err error) {
	// By exactly these names, as claims are taken.
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return "", errors.New("it is not a JSON object")
	}
	var said string
	if err := json.Unmarshal(all["issuer"], &said); err != nil || said != issuer {
		return "", fmt.Errorf("its issuer is %q, not %q: it speaks for another", shortened(said), issuer)
	}
	if err := json.Unmarshal(all["jwks_uri"], &jwksURL); err != nil || jwksURL == "" {
		return "", errors.New("it has no jwks_uri")
	}
	if err := checkJWKSURL(jwksURL, insecure); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return jwksURL, nil
}

func shortened(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

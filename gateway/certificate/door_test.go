package certificate

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// In real time, and on loopback: a server's TLS over pipes of a test's bubble
// would not be the one that is used.
func TestTheDoorTakesANewCertificateWhileItServes(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Interval = time.Hour })
	g, err := gateway.New(gateway.Config{Drain: gateway.Drain{Delay: -1}, TLS: f.source.TLS(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, listener) }()
	ask := func(client *http.Client) string {
		t.Helper()
		resp, err := client.Get("https://" + listener.Addr().String() + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
			t.Errorf("%s %s", resp.Proto, resp.Status)
		}
		return resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	newClient := func() *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.ca.pool(), ServerName: "door.test"}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	old := newClient()
	if name := ask(old); name != "first" {
		t.Error(name)
	}
	f.write(f.ca.issue("second", -time.Hour, time.Hour))
	if err := f.source.Reload(); err != nil {
		t.Fatal(err)
	}
	if name := ask(old); name != "first" {
		t.Errorf("an open connection shows %s", name)
	}
	if name := ask(newClient()); name != "second" {
		t.Errorf("a new connection shows %s", name)
	}
	old.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

package certs

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
)

func TestProcessesOfOneMeshKnowOneAnother(t *testing.T) {
	ca := authority(t)
	movie, gateway := issue(t, ca, ServiceID("movie"), "movie"), issue(t, ca, GatewayID)

	state, err := handshake(movie.ServerTLS(), gateway.ClientTLS(), "movie")
	if err != nil {
		t.Fatal(err)
	}
	peer := state.PeerCertificates[0]
	if len(peer.URIs) != 1 || peer.URIs[0].String() != GatewayID {
		t.Errorf("the server sees %v, want %s", peer.URIs, GatewayID)
	}
}

func TestIdentitySurvivesBeingHandedOver(t *testing.T) {
	ca := authority(t)
	movie, gateway := issue(t, ca, ServiceID("movie"), "movie"), issue(t, ca, GatewayID)
	caPEM, cert, key := movie.PEM()
	again, err := NewIdentity(caPEM, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(again.ServerTLS(), gateway.ClientTLS(), "movie"); err != nil {
		t.Error(err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	ca, other := authority(t), authority(t)
	movie, gateway := issue(t, ca, ServiceID("movie"), "movie"), issue(t, ca, GatewayID)
	stranger := issue(t, other, GatewayID)
	anonymous := gateway.ClientTLS()
	anonymous.Certificates = nil

	for name, client := range map[string]struct {
		config *tls.Config
		server string
	}{
		"without a certificate":              {anonymous, "movie"},
		"of another mesh":                    {stranger.ClientTLS(), "movie"},
		"that expected another service":      {gateway.ClientTLS(), "talent"},
		"that trusts the other mesh instead": {withRoots(gateway, stranger), "movie"},
	} {
		if _, err := handshake(movie.ServerTLS(), client.config, client.server); err == nil {
			t.Errorf("a client %s was let in", name)
		}
	}
}

func TestBrokenPEMIsRefused(t *testing.T) {
	ca, cert, key := issue(t, authority(t), GatewayID).PEM()
	_, otherCert, _ := issue(t, authority(t), GatewayID).PEM()
	for name, pems := range map[string][3][]byte{
		"no authority":           {nil, cert, key},
		"no certificate":         {ca, nil, key},
		"no key":                 {ca, cert, nil},
		"key of another":         {ca, otherCert, key},
		"an identity not a URI ": {[]byte("x"), cert, key},
	} {
		if _, err := NewIdentity(pems[0], pems[1], pems[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func authority(t *testing.T) *Authority {
	t.Helper()
	ca, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *Authority, id string, names ...string) *Identity {
	t.Helper()
	identity, err := ca.Issue(id, names...)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func withRoots(own, roots *Identity) *tls.Config {
	config := own.ClientTLS()
	config.RootCAs = roots.ClientTLS().RootCAs
	return config
}

// handshake lets a client greet a server and returns what the server then knows.
func handshake(server, client *tls.Config, name string) (tls.ConnectionState, error) {
	c, s := net.Pipe()
	defer c.Close()
	defer s.Close()
	client.ServerName = name
	done := make(chan error, 1)
	go func() {
		conn := tls.Client(c, client)
		err := conn.Handshake()
		if err == nil {
			// In TLS 1.3 the client learns only from what it reads next whether
			// the server took its certificate.
			_, err = conn.Read(make([]byte, 1))
		}
		c.Close()
		done <- err
	}()
	conn := tls.Server(s, server)
	err := conn.Handshake()
	if err == nil {
		_, err = conn.Write([]byte("k"))
	}
	s.Close()
	return conn.ConnectionState(), errors.Join(err, <-done)
}

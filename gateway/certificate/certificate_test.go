package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue returns a certificate and a key in PEM, valid from now on.
func (a *authority) issue(name string, from, until time.Duration) (cert, key []byte) {
	a.t.Helper()
	return a.issueFor(newKey(a.t), []string{"door.test"}, name, from, until)
}

// issueFor issues one for a key and servers.
func (a *authority) issueFor(own crypto.Signer, servers []string, name string, from, until time.Duration) (cert, key []byte) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: servers,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// fixture is a source and its files.
type fixture struct {
	t      *testing.T
	dir    string
	ca     *authority
	source *Source
	logs   *bytes.Buffer
	mu     *sync.Mutex
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func newFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), ca: newAuthority(t), logs: &bytes.Buffer{}, mu: &sync.Mutex{}}
	cert, key := f.ca.issue("first", -time.Hour, 1000*time.Hour)
	f.write(cert, key)
	config := Config{
		CertFile: filepath.Join(f.dir, "tls.crt"), KeyFile: filepath.Join(f.dir, "tls.key"),
		Logger: slog.New(slog.NewTextHandler(lockedWriter{f.mu, f.logs}, nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if f.source, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.source.Close() })
	return f
}

func (f *fixture) logged(text string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Count(f.logs.String(), text)
}

func (f *fixture) write(cert, key []byte) {
	f.t.Helper()
	for name, data := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

// shake makes a handshake in memory and returns the name of the certificate that
// the server showed.
func (f *fixture) shake(server *tls.Config, change func(*tls.Config)) (string, error) {
	f.t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	// A pipe holds nothing: where both tell the other that it is wrong, both wait.
	for _, end := range []net.Conn{near, far} {
		if err := end.SetDeadline(time.Now().Add(time.Second)); err != nil {
			f.t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(far, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x")) // in TLS 1.3 a client learns only so that it is let in
		}
		if err != nil {
			far.Close()
		}
		done <- err
	}()
	config := &tls.Config{RootCAs: f.ca.pool(), ServerName: "door.test"}
	if change != nil {
		change(config)
	}
	client := tls.Client(near, config)
	if err := client.Handshake(); err != nil {
		near.Close()
		<-done
		return "", err
	}
	_, err := client.Read(make([]byte, 1))
	name := client.ConnectionState().PeerCertificates[0].Subject.CommonName
	near.Close()
	<-done
	return name, err
}

func (f *fixture) wantServed(name string) {
	f.t.Helper()
	got, err := f.shake(f.source.TLS(), nil)
	if err != nil || got != name {
		f.t.Errorf("served %q, %v; want %q", got, err, name)
	}
}

func TestANewPairIsServedWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		server := f.source.TLS() // made before
		f.wantServed("first")
		f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
		f.wantServed("first") // not looked at yet
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got, err := f.shake(server, nil); got != "second" || err != nil {
			t.Error(got, err)
		}
		if s := f.source.State(); s.Taken != 2 || s.Refused != 0 || s.Err != nil || len(s.Certificates) != 1 || s.Certificates[0].Subject != "CN=second" {
			t.Errorf("%+v", s)
		}
	})
}

func TestReloadLooksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.Interval = time.Hour })
		f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
		if err := f.source.Reload(); err != nil {
			t.Error(err)
		}
		f.wantServed("second")
	})
}

func TestWhatIsNotGoodIsNotTaken(t *testing.T) {
	for name, spoil := range map[string]func(*fixture){
		"a key of another": func(f *fixture) { _, key := f.ca.issue("other", -time.Hour, time.Hour); f.write(nil, key) },
		"an expired one":   func(f *fixture) { f.write(f.ca.issue("late", -2*time.Hour, -time.Hour)) },
		"one of tomorrow":  func(f *fixture) { f.write(f.ca.issue("early", time.Hour, 2*time.Hour)) },
		"nothing":          func(f *fixture) { f.write([]byte{}, []byte{}) },
		"no PEM":           func(f *fixture) { f.write([]byte("hello"), nil) },
		"half of it": func(f *fixture) {
			cert, _ := f.ca.issue("half", -time.Hour, time.Hour)
			f.write(cert[:len(cert)/2], nil)
		},
		"more than there may": func(f *fixture) { f.write(make([]byte, maxFile+1), nil) },
		"a file that is gone": func(f *fixture) { _ = os.Remove(filepath.Join(f.dir, "tls.key")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, nil)
				spoil(f)
				time.Sleep(time.Minute)
				synctest.Wait()
				f.wantServed("first")
				if s := f.source.State(); s.Err == nil || s.Refused != 1 || s.Taken != 1 {
					t.Errorf("%+v", s)
				}
				if n := f.logged("not taken"); n != 1 {
					t.Errorf("logged %d times, want once", n)
				}
				if f.logged("PRIVATE") != 0 {
					t.Error("a key is in the log")
				}
				// And it recovers, soon.
				f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
				time.Sleep(2 * time.Second)
				synctest.Wait()
				f.wantServed("second")
				if s := f.source.State(); s.Err != nil {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestASwappedLinkIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// As the kubelet mounts a Secret: tls.crt -> ..data/tls.crt, ..data -> ..1.
		root, ca := t.TempDir(), newAuthority(t)
		mounted := func(version, name string) {
			dir := filepath.Join(root, version)
			cert, key := ca.issue(name, -time.Hour, 1000*time.Hour)
			for _, err := range []error{
				os.Mkdir(dir, 0o700),
				os.WriteFile(filepath.Join(dir, "tls.crt"), cert, 0o600),
				os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600),
				os.Symlink(version, filepath.Join(root, "..tmp")),
				os.Rename(filepath.Join(root, "..tmp"), filepath.Join(root, "..data")),
			} {
				if err != nil {
					t.Skip("this system has no symbolic links to swap: ", err)
				}
			}
		}
		mounted("..1", "first")
		for _, name := range []string{"tls.crt", "tls.key"} {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(root, name)); err != nil {
				t.Skip(err)
			}
		}
		source, err := New(Config{CertFile: filepath.Join(root, "tls.crt"), KeyFile: filepath.Join(root, "tls.key"), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		f := &fixture{t: t, ca: ca, source: source}
		f.wantServed("first")
		mounted("..2", "second")
		if err := os.RemoveAll(filepath.Join(root, "..1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		f.wantServed("second")
	})
}

func TestExpiryIsToldAheadAndOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) { c.WarnBefore = 72 * time.Hour; c.Interval = time.Hour })
		// 1000 h are left: 38 days and 16 hours more than the three days.
		time.Sleep(900 * time.Hour)
		if n := f.logged("expires soon"); n != 0 {
			t.Errorf("told %d times, too early", n)
		}
		time.Sleep(95 * time.Hour)
		if n := f.logged("expires soon"); n != 3 {
			t.Errorf("told %d times in the last three days, want 3", n)
		}
		time.Sleep(6 * time.Hour)
		if n := f.logged("has expired"); n != 1 {
			t.Errorf("told %d times that it is over, want 1", n)
		}
		if s := f.source.State(); time.Now().Before(s.Certificates[0].NotAfter) {
			t.Errorf("%+v", s)
		}
		f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		f.wantServed("second")
		if n := f.logged("expires soon"); n != 3 {
			t.Errorf("told of the new one: %d", n)
		}
	})
}

func TestAnAuthorityThatIsTakenOutCountsFromTheNextConnectionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients, others := newAuthority(t), newAuthority(t)
		bundle := filepath.Join(t.TempDir(), "clients.pem")
		write := func(data []byte) {
			if err := os.WriteFile(bundle, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(append(bytes.Clone(clients.pem), others.pem...))
		f := newFixture(t, func(c *Config) { c.ClientCAFile = bundle })
		cert, err := tls.X509KeyPair(clients.issue("client", -time.Hour, 100*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		sessions := tls.NewLRUClientSessionCache(8)
		as := func(c *tls.Config) { c.Certificates, c.ClientSessionCache = []tls.Certificate{cert}, sessions }
		server := f.source.TLS()
		for range 2 {
			if _, err := f.shake(server, as); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.shake(server, nil); err == nil {
			t.Error("a client without a certificate was let in")
		}
		write(others.pem)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if _, err := f.shake(server, as); err == nil {
			t.Error("a client of an authority that is gone was let in")
		}
		write([]byte("nonsense"))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s := f.source.State(); s.Err == nil || s.Taken != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBothVersionsAndProtocolsAreSpoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if _, err := f.shake(f.source.TLS(), func(c *tls.Config) { c.MaxVersion = version; c.NextProtos = []string{"h2"} }); err != nil {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
		if _, err := f.shake(f.source.TLS(), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }); err == nil {
			t.Error("TLS 1.1 is spoken")
		}
	})
}

func TestAWrongConfigIsRefusedByField(t *testing.T) {
	for want, config := range map[string]Config{
		"Config.CertFile":                 {},
		"Config.KeyFile":                  {CertFile: "a"},
		"Config.Others[0].CertFile":       {CertFile: "a", KeyFile: "b", Others: []Pair{{KeyFile: "d"}}},
		"Config.Others[1].KeyFile":        {CertFile: "a", KeyFile: "b", Others: []Pair{{"c", "d"}, {CertFile: "e"}}},
		"Config.Others: are 101":          {CertFile: "a", KeyFile: "b", Others: slices.Repeat([]Pair{{"c", "d"}}, 101)},
		"Config.ClientAuth":               {CertFile: "a", KeyFile: "b", ClientAuth: tls.RequireAndVerifyClientCert},
		"must be RequireAndVerify":        {CertFile: "a", KeyFile: "b", ClientCAFile: "c", ClientAuth: tls.RequestClientCert},
		"Config.MinVersion":               {CertFile: "a", KeyFile: "b", MinVersion: tls.VersionTLS11},
		"Config.Interval":                 {CertFile: "a", KeyFile: "b", Interval: time.Millisecond},
		"Config.WarnBefore":               {CertFile: "a", KeyFile: "b", WarnBefore: -1},
		"certificate: CertFile: open a-n": {CertFile: "a-nonsense", KeyFile: "b"},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzParseCAs(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("nonsense"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if pool, err := parseCAs(data); (pool == nil) == (err == nil) {
			t.Errorf("%v %v", pool, err)
		}
	})
}

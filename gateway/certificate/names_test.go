package certificate

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// other writes a pair to the directory of f, under a name.
func (f *fixture) other(place string, cert, key []byte) Pair {
	f.t.Helper()
	p := Pair{filepath.Join(f.dir, place+".crt"), filepath.Join(f.dir, place+".key")}
	for path, data := range map[string][]byte{p.CertFile: cert, p.KeyFile: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	return p
}

// issueOther issues an ECDSA certificate of 1,000 h for servers.
func (f *fixture) issueOther(name string, servers ...string) (cert, key []byte) {
	f.t.Helper()
	return f.ca.issueFor(newKey(f.t), servers, name, -time.Hour, 1000*time.Hour)
}

// withOthers returns a fixture whose source has further pairs: a for a.test and
// b.test, wild for *.wild.test.
func withOthers(t *testing.T, change func(*fixture, *Config)) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	config := f.source.config
	if err := f.source.Close(); err != nil {
		t.Fatal(err)
	}
	cert, key := f.issueOther("a", "a.test", "b.test")
	config.Others = append(config.Others, f.other("a", cert, key))
	cert, key = f.issueOther("wild", "*.wild.test")
	config.Others = append(config.Others, f.other("wild", cert, key))
	if change != nil {
		change(f, &config)
	}
	var err error
	if f.source, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.source.Close() })
	return f
}

// shown returns which certificate is shown to a client that asks for a server.
func (f *fixture) shown(server string, change func(*tls.Config)) string {
	f.t.Helper()
	name, err := f.shake(f.source.TLS(), func(c *tls.Config) {
		c.ServerName, c.InsecureSkipVerify = server, true
		if change != nil {
			change(c)
		}
	})
	if err != nil {
		f.t.Errorf("for %q: %v", server, err)
	}
	return name
}

var shownFor = map[string]string{
	"door.test": "first", "a.test": "a", "A.TEST": "a", "b.test": "a", "x.wild.test": "wild",
	"": "first", "c.test": "first", "wild.test": "first", "x.y.wild.test": "first", "127.0.0.1": "first",
}

func TestTheServersNameChoosesTheCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := withOthers(t, nil)
		for server, want := range shownFor {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if got := f.shown(server, func(c *tls.Config) { c.MaxVersion = version }); got != want {
					t.Errorf("for %q, %s is shown, want %s", server, got, want)
				}
			}
		}
		// And a client believes it.
		for _, server := range []string{"door.test", "a.test", "x.wild.test"} {
			if _, err := f.shake(f.source.TLS(), func(c *tls.Config) { c.ServerName = server }); err != nil {
				t.Errorf("%s: %v", server, err)
			}
		}
	})
}

func TestTheServersNameChoosesWhereClientsShowCertificatesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := newAuthority(t)
		f := withOthers(t, func(f *fixture, c *Config) {
			c.ClientCAFile = filepath.Join(f.dir, "clients.pem")
			if err := os.WriteFile(c.ClientCAFile, clients.pem, 0o600); err != nil {
				t.Fatal(err)
			}
		})
		cert, err := tls.X509KeyPair(clients.issue("client", -time.Hour, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for server, want := range shownFor {
			if got := f.shown(server, func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} }); got != want {
				t.Errorf("for %q, %s is shown, want %s", server, got, want)
			}
		}
		if _, err := f.shake(f.source.TLS(), func(c *tls.Config) { c.ServerName = "a.test" }); err == nil {
			t.Error("under another name a client without a certificate was let in")
		}
	})
}

func TestAClientIsShownWhatItSupports(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := withOthers(t, func(f *fixture, c *Config) {
			cert, pem := f.ca.issueFor(key, []string{"door.test", "a.test"}, "rsa", -time.Hour, time.Hour)
			c.Others = append(c.Others, f.other("rsa", cert, pem))
		})
		onlyRSA := func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}
		for _, server := range []string{"door.test", "a.test", ""} {
			if got := f.shown(server, onlyRSA); got != "rsa" {
				t.Errorf("for %q, a client that knows RSA only is shown %s", server, got)
			}
		}
		if got := f.shown("a.test", nil); got != "a" {
			t.Errorf("not the first of two, but %s is shown", got)
		}
	})
}

func TestEachPairIsRenewedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := withOthers(t, nil)
		// All at once.
		f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
		cert, key := f.issueOther("a2", "a.test")
		f.other("a", cert, key)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := []string{f.shown("door.test", nil), f.shown("a.test", nil), f.shown("b.test", nil), f.shown("x.wild.test", nil)}; strings.Join(got, " ") != "second a2 second wild" {
			t.Error(got)
		}
		if s := f.source.State(); s.Taken != 2 || s.Err != nil {
			t.Errorf("%+v", s)
		}
		// One that is spoilt keeps no other from being renewed, and is told of once.
		f.other("a", []byte("nonsense"), key)
		time.Sleep(11 * time.Second)
		synctest.Wait() // nobody looks while files are written
		f.write(f.ca.issue("third", -time.Hour, 1000*time.Hour))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := []string{f.shown("door.test", nil), f.shown("a.test", nil)}; strings.Join(got, " ") != "third a2" {
			t.Error(got)
		}
		s := f.source.State()
		if s.Taken != 3 || s.Refused != 1 || s.Err == nil || !strings.Contains(s.Err.Error(), "Others[0].CertFile") {
			t.Errorf("%+v", s)
		}
		if n := f.logged("not taken"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		var subjects []string
		for _, c := range s.Certificates {
			subjects = append(subjects, c.Subject+" "+strings.Join(c.DNSNames, ","))
		}
		if got := strings.Join(subjects, " "); got != "CN=third door.test CN=a2 a.test CN=wild *.wild.test" {
			t.Error(got)
		}
	})
}

func TestOneThatHasExpiredKeepsNoOtherFromBeingRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := withOthers(t, func(f *fixture, c *Config) {
			cert, key := f.ca.issueFor(newKey(t), []string{"short.test"}, "short", -time.Hour, time.Hour)
			c.Others = append(c.Others, f.other("short", cert, key))
		})
		time.Sleep(2 * time.Hour)
		synctest.Wait() // nobody looks while files are written
		f.write(f.ca.issue("second", -time.Hour, 1000*time.Hour))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := f.shown("door.test", nil) + " " + f.shown("short.test", nil); got != "second short" {
			t.Error(got)
		}
		if s := f.source.State(); s.Err != nil {
			t.Error(s.Err)
		}
		// It alone is warned of: when a fifth of it is left, and when it is over.
		if soon, over := f.logged("expires soon"), f.logged("has expired"); soon != 1 || over != 1 || f.logged("CN=short") != 3 {
			t.Errorf("told %d times that it ends soon, and %d times that it has\n%s", soon, over, f.logs)
		}
	})
}

func TestAtTheStartAllMustBeGood(t *testing.T) {
	f := newFixture(t, nil)
	for want, pair := range map[string]func() Pair{
		"Others[1].CertFile: expired": func() Pair {
			cert, key := f.ca.issueFor(newKey(t), []string{"a.test"}, "a", -2*time.Hour, -time.Hour)
			return f.other("late", cert, key)
		},
		"Others[1].CertFile: is for no DNS name": func() Pair {
			cert, key := f.issueOther("nobody")
			return f.other("nobody", cert, key)
		},
		"Others[1].KeyFile: open ": func() Pair {
			cert, key := f.issueOther("a", "a.test")
			p := f.other("keyless", cert, key)
			p.KeyFile += ".gone"
			return p
		},
		"Others[1].CertFile and KeyFile: ": func() Pair {
			cert, _ := f.issueOther("a", "a.test")
			_, key := f.issueOther("a", "a.test")
			return f.other("mixed", cert, key)
		},
	} {
		cert, key := f.issueOther("good", "good.test")
		_, err := New(Config{
			CertFile: f.source.config.CertFile, KeyFile: f.source.config.KeyFile, Logger: slog.New(slog.DiscardHandler),
			Others: []Pair{f.other("good", cert, key), pair()},
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Package certificate keeps a server's TLS certificates up to date: it reads them
// from files, and reads these again when they change, without a restart and
// without closing a connection:
//
//	certs, err := certificate.New(certificate.Config{
//		CertFile: "/etc/tls/tls.crt", KeyFile: "/etc/tls/tls.key",
//	})
//	…
//	defer certs.Close()
//	g, err := gateway.New(gateway.Config{TLS: certs.TLS()})
//
// Any [crypto/tls] server can use it.
//
// # What is taken, and when
//
// The contents of the files are compared every [Config.Interval], and by
// [Source.Reload], such as from a signal handler. A pair that is new is taken if
// the certificate parses, the key is its own and it is valid now; the bundle of
// client authorities, if there is one, if it holds certificates only. If not, the
// old one goes on to serve, the reason is logged once, and [Source.State] tells
// it. Each pair is judged by itself, so that one that is not good does not keep
// the others from being renewed; at the start all must be good. Connections that
// are open keep the certificate that they have.
//
// Files may be replaced one by one, or all at once by swapping a symbolic link as
// Kubernetes does it. A pair that is read in between does not fit, and is not
// taken; it is looked at again after a second.
//
// # Several certificates
//
// With [Config.Others], a client is shown the first certificate that is for the
// server that it asks for by name, in TLS's server name indication, and that is
// signed in a way that it supports: one for each host, or an ECDSA and an RSA one
// for the same. Wildcards are for one label: *.example.com is for a.example.com.
// Without a name, or with one that none is for, it is shown the first, that of
// [Config.CertFile]. The certificate says nothing of what is served: that is the
// same under each name.
//
// # Expiry
//
// The end of each certificate is in [Source.State], for metrics. It is logged at
// Warn once less than [Config.WarnBefore] is left, and at Error once it is over,
// once a day as long as nothing changes.
//
// # Client certificates
//
// With [Config.ClientCAFile], clients must show a certificate of one of these
// authorities, or may, see [Config.ClientAuth]. Sessions are then not resumed, so
// that an authority that is taken out of the bundle counts from the next
// connection on.
//
// # Sources
//
// RFC 5280 for validity; RFC 6066 for server names; the documentation of Kubernetes on mounted Secrets.
package certificate

// Package certificate keeps a server's TLS certificate up to date: it reads it
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
// [Source.Reload], such as from a signal handler. What is new is taken if all of
// it is good: the certificate parses, the key is its own, it is valid now, and
// the bundle of client authorities, if there is one, holds certificates only. If
// not, the old one goes on to serve, the reason is logged once, and [Source.State]
// tells it. Connections that are open keep the certificate that they have.
//
// Files may be replaced one by one, or all at once by swapping a symbolic link as
// Kubernetes does it. A pair that is read in between does not fit, and is not
// taken; it is looked at again after a second.
//
// # Expiry
//
// The certificate's end is in [Source.State], for metrics. It is logged at Warn
// once less than [Config.WarnBefore] is left, and at Error once it is over, once a
// day as long as nothing changes.
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
// RFC 5280 for validity; the documentation of Kubernetes on mounted Secrets.
package certificate

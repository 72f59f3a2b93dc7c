package certificate_test

import (
	"log"
	"net/http"

	"github.com/evenkeel/evenkeel/gateway/certificate"
)

// Any server of net/http takes certificates that are renewed while it serves.
func Example() {
	certificates, err := certificate.New(certificate.Config{
		CertFile: "/etc/tls/tls.crt", KeyFile: "/etc/tls/tls.key",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer certificates.Close()
	server := &http.Server{Addr: ":8443", TLSConfig: certificates.TLS()}
	log.Print(server.ListenAndServeTLS("", "")) // the files are the Source's to read
}

package look

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

func systemPool() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the certificates of this machine: %w", err)
	}
	return pool, nil
}

// verifyOptions are those of a client of this machine.
func verifyOptions(s tls.ConnectionState, roots *x509.CertPool, host string) x509.VerifyOptions {
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	return x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host}
}

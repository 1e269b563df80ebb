package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

func arch() string { return runtime.GOARCH }

// standIn listens where the program that it stands in for does: STAND_IN is a list
// of http:PORT, https:PORT and tcp:PORT.
func standIn(ctx context.Context) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "evenkeel lab: %s stands in here for the program of its image; %s %s from %s\n", name, r.Host, r.URL.Path, r.RemoteAddr)
	})
	ended := make(chan error, 8)
	for listen := range strings.SplitSeq(os.Getenv("STAND_IN"), ",") {
		kind, port, _ := strings.Cut(listen, ":")
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		if kind == "https" {
			certificate, err := selfSigned(name)
			if err != nil {
				return err
			}
			server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
			go func() { ended <- server.ServeTLS(ln, "", "") }()
			continue
		}
		go func() { ended <- server.Serve(ln) }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certLife)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// lookup resolves names as a program in a pod does.
func lookup(ctx context.Context, names []string) error {
	for _, name := range names {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		addresses, err := net.DefaultResolver.LookupHost(ctx, name)
		cancel()
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, name, strings.Join(addresses, " "))
	}
	return nil
}

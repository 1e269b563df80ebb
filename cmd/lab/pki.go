package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certLife is how long the certificates of a lab are valid; a lab lives for hours.
const certLife = 30 * 24 * time.Hour

// authority signs all certificates of a lab.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// writeKeys writes certificates and kubeconfigs of everyone into the directory
// that all hosts share.
func (l *lab) writeKeys() error {
	dir := l.state("shared", "pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca := &authority{dir: dir}
	var err error
	ca.cert, ca.key, err = ca.issue("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "evenkeel lab"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	if err != nil {
		return err
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	addresses := []string{"127.0.0.1", "192.168.0.1", vip}
	var nodes []string
	for _, h := range hosts() {
		if h.node {
			addresses = append(addresses, h.address)
			nodes = append(nodes, h.fqdn())
		}
	}
	errs := []error{
		ca.server("kube-apiserver", names, addresses),
		ca.server("service-account", nil, nil), // only its key is used
		ca.server(tlsName, []string{tlsName}, nil),
		ca.server(gitName, []string{gitName}, nil),
		ca.client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
		ca.user("admin", "admin", "system:masters"),
		ca.user("kube-controller-manager", "system:kube-controller-manager"),
		ca.user("kube-scheduler", "system:kube-scheduler"),
		ca.user("kube-proxy", "system:kube-proxy"),
	}
	for _, name := range nodes {
		errs = append(errs, ca.user(name, "system:node:"+name, "system:nodes"))
	}
	return errors.Join(errs...)
}

func (a *authority) server(name string, names []string, addresses []string) error {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	_, _, err := a.issue(name, template)
	return err
}

func (a *authority) client(name, user string, groups ...string) error {
	_, _, err := a.issue(name, &x509.Certificate{
		Subject: pkix.Name{CommonName: user, Organization: groups}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// user writes a client certificate and a kubeconfig that holds it.
func (a *authority) user(name, user string, groups ...string) error {
	if err := a.client(name, user, groups...); err != nil {
		return err
	}
	type object = map[string]any
	data := func(file string) []byte { // JSON has bytes in base64, and so has a kubeconfig
		b, _ := os.ReadFile(filepath.Join(a.dir, file))
		return b
	}
	config, err := json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": contextName,
		"clusters": []object{{"name": contextName, "cluster": object{"server": apiURL, "certificate-authority-data": data("ca.crt")}}},
		"users":    []object{{"name": name, "user": object{"client-certificate-data": data(name + ".crt"), "client-key-data": data(name + ".key")}}},
		"contexts": []object{{"name": contextName, "context": object{"cluster": contextName, "user": name}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.dir, name+".kubeconfig"), config, 0o600)
}

// issue writes NAME.crt and NAME.key, signed by the authority, or by itself where
// the authority is the one that is being made.
func (a *authority) issue(name string, template *x509.Certificate) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, now.Add(-time.Hour), now.Add(certLife)
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(a.dir, name)
	err = errors.Join(
		os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600),
		os.WriteFile(path+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
	)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

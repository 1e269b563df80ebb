package chart

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"text/template"
	"time"
)

// certificate is what the functions for certificates give to a template.
type certificate struct {
	Cert, Key string
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// certificates are the functions that make keys and certificates. Where seed and time
// are given the keys come from the seed, and a certificate is valid from that time on:
// the same one until the time is moved. Helm makes RSA keys; here they are of P-256,
// which can be derived from a seed.
func (f *fixed) certificates() template.FuncMap {
	return template.FuncMap{
		"genPrivateKey": func(kind string) (string, error) {
			key, err := f.key("genPrivateKey", kind)
			if err != nil {
				return "", err
			}
			return keyPEM(key)
		},
		"genCA": func(name string, days int) (certificate, error) {
			return f.certificate("genCA", name, nil, nil, days, nil, "")
		},
		"genCAWithKey": func(name string, days int, key string) (certificate, error) {
			return f.certificate("genCAWithKey", name, nil, nil, days, nil, key)
		},
		"genSelfSignedCert": func(name string, ips, dns []any, days int) (certificate, error) {
			return f.certificate("genSelfSignedCert", name, ips, dns, days, &certificate{}, "")
		},
		"genSelfSignedCertWithKey": func(name string, ips, dns []any, days int, key string) (certificate, error) {
			return f.certificate("genSelfSignedCertWithKey", name, ips, dns, days, &certificate{}, key)
		},
		"genSignedCert": func(name string, ips, dns []any, days int, ca certificate) (certificate, error) {
			return f.certificate("genSignedCert", name, ips, dns, days, &ca, "")
		},
		"genSignedCertWithKey": func(name string, ips, dns []any, days int, ca certificate, key string) (certificate, error) {
			return f.certificate("genSignedCertWithKey", name, ips, dns, days, &ca, key)
		},
		"buildCustomCert": buildCustomCert,
	}
}

func buildCustomCert(cert, key string) (certificate, error) {
	c, err := base64.StdEncoding.DecodeString(cert)
	if err != nil {
		return certificate{}, errors.New("unable to decode base64 certificate")
	}
	k, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return certificate{}, errors.New("unable to decode base64 private key")
	}
	if _, err := tls.X509KeyPair(c, k); err != nil {
		return certificate{}, errors.New("certificate and private key do not belong together")
	}
	return certificate{string(c), string(k)}, nil
}

// key derives a private key.
func (f *fixed) key(name, kind string) (crypto.Signer, error) {
	if kind != "" && kind != "ecdsa" && kind != "ed25519" {
		return nil, fmt.Errorf("a key of type %s cannot be derived from a seed: take ecdsa or ed25519", kind)
	}
	seed, err := f.read(name, 32)
	if err != nil {
		return nil, err
	}
	if kind == "ed25519" {
		return ed25519.NewKeyFromSeed(seed), nil
	}
	for {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
		if err == nil {
			return key, nil
		}
		next := sha256.Sum256(seed) // one in 2^32 is no key
		seed = next[:]
	}
}

// certificate makes one. Without a signer it is an authority, signed by itself; with an
// empty one it is signed by itself and none.
func (f *fixed) certificate(name, subject string, ips, dns []any, days int, signer *certificate, keyText string) (certificate, error) {
	serial, err := f.read(name, 15)
	if err != nil {
		return certificate{}, err
	}
	now, err := f.now(name)
	if err != nil {
		return certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: subject},
		NotBefore:    now, NotAfter: now.Add(time.Duration(days) * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if signer == nil {
		template.IsCA = true
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	for _, v := range ips {
		ip := net.ParseIP(fmt.Sprint(v))
		if ip == nil {
			return certificate{}, fmt.Errorf("no IP address: %v", v)
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	for _, v := range dns {
		template.DNSNames = append(template.DNSNames, fmt.Sprint(v))
	}
	key, err := f.key(name, "")
	if keyText != "" {
		key, err = parseKey(keyText)
	}
	if err != nil {
		return certificate{}, err
	}
	parent, by := template, key
	if signer != nil && signer.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(signer.Cert), []byte(signer.Key))
		if err != nil {
			return certificate{}, errors.New("the authority's certificate and key do not belong together")
		}
		by, _ = pair.PrivateKey.(crypto.Signer)
		if parent, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return certificate{}, err
		}
	}
	der, err := x509.CreateCertificate(nil, template, parent, key.Public(), by)
	if err != nil {
		return certificate{}, err
	}
	text, err := keyPEM(key)
	return certificate{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), text}, err
}

func keyPEM(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func parseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the private key is no PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("the private key cannot be read")
	}
	return signer, nil
}

// Pki makes the certificate authority of one development stack and everything it signs, in one go.
//
// It reads a request (JSON) from standard input and writes NAME.crt and NAME.key (PEM, keys with mode 0600) into the
// request's directory, for the authority as `ca`. Keys are P-256. The authority's key is written nowhere: nothing can
// be signed afterwards.
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
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A stack lives for hours; a clock that is a little off must not matter.
const (
	backdated = time.Hour
	lifetime  = 30 * 24 * time.Hour
)

type request struct {
	Dir          string        `json:"dir"`
	Certificates []certificate `json:"certificates"`
	// Names of bare keys, each with its public half as NAME.pub.
	Keys []string `json:"keys"`
}

type certificate struct {
	Name          string   `json:"name"`
	CommonName    string   `json:"commonName"`
	Organizations []string `json:"organizations"`
	// DNS names and IP addresses of a server; none makes it a client's certificate.
	Hosts []string `json:"hosts"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pki:", err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return fmt.Errorf("request on standard input: %w", err)
	}
	out := writer{dir: asked.Dir, now: time.Now()}
	authority, err := out.authority()
	if err != nil {
		return err
	}
	for _, wanted := range asked.Certificates {
		if err := out.issue(authority, wanted); err != nil {
			return fmt.Errorf("certificate %s: %w", wanted.Name, err)
		}
	}
	for _, name := range asked.Keys {
		if err := out.bareKey(name); err != nil {
			return fmt.Errorf("key %s: %w", name, err)
		}
	}
	return nil
}

type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

type writer struct {
	dir string
	now time.Time
}

func (w writer) authority() (signer, error) {
	key, err := newKey()
	if err != nil {
		return signer{}, err
	}
	template := w.template(pkix.Name{CommonName: "tka development stack"})
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return signer{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return signer{}, err
	}
	return signer{parsed, key}, w.pem("ca.crt", "CERTIFICATE", der, 0o644)
}

func (w writer) issue(by signer, wanted certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	template := w.template(pkix.Name{CommonName: wanted.CommonName, Organization: wanted.Organizations})
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(wanted.Hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range wanted.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		return err
	}
	if err := w.pem(wanted.Name+".crt", "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	return w.key(wanted.Name, key)
}

func (w writer) bareKey(name string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := w.pem(name+".pub", "PUBLIC KEY", public, 0o644); err != nil {
		return err
	}
	return w.key(name, key)
}

func (w writer) template(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject,
		NotBefore:             w.now.Add(-backdated),
		NotAfter:              w.now.Add(lifetime),
		BasicConstraintsValid: true,
	}
}

func (w writer) key(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return w.pem(name+".key", "PRIVATE KEY", der, 0o600)
}

func (w writer) pem(name, kind string, der []byte, mode os.FileMode) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(w.dir, name), text, mode)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

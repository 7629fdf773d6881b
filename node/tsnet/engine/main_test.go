package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// webCA stands for the authorities that the system trusts, and signs what a tailnet's certificates are signed by.
var webCA *authority

// What a process looks at once and then remembers is set before the first test: where it runs, and whom it trusts. No
// test speaks to a certificate authority.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "engine-test-")
	if err == nil {
		roots := filepath.Join(dir, "roots.pem")
		if webCA, err = openAuthority(fileCA(filepath.Join(dir, "web")), "web", time.Now()); err == nil {
			err = os.WriteFile(roots, []byte(webCA.pem), 0o600)
		}
		os.Setenv("SSL_CERT_FILE", roots)
		os.Setenv("SSL_CERT_DIR", dir)
		os.Setenv("TS_DEBUG_ACME_DIRECTORY_URL", "http://127.0.0.1:1")
		pretendKubernetes()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// issuedByWeb is a certificate for name, with its chain, and its key, both PEM.
func issuedByWeb(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	leaf, err := webCA.issue([]string{name}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range leaf.Certificate {
		certificate = append(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block})...)
	}
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

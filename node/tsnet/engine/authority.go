package main

// The node's own CA. Made once and kept with the node's state, so that whoever pinned it keeps trusting the node. It has
// no name constraints: the node's names and addresses change in its life, and whoever trusts it does so for this one
// server.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

const (
	caFile     = "own-ca.pem"
	caLifetime = 10 * 365 * 24 * time.Hour
	leafLife   = 30 * 24 * time.Hour
	clockSkew  = time.Hour
)

// authority is the node's own CA.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string // the certificate
}

// openAuthority takes the CA from its keeper, or makes it there.
func openAuthority(keeper caKeeper, name string, now time.Time) (*authority, error) {
	text, err := keeper.load()
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(keeper, name, now)
	}
	if err != nil {
		return nil, err
	}
	ca, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to have a new CA made", keeper, err)
	}
	if ca.certificate.NotAfter.Before(now.Add(leafLife)) {
		return makeAuthority(keeper, name, now)
	}
	return ca, nil
}

func parseAuthority(text []byte) (*authority, error) {
	ca := &authority{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			ca.certificate = certificate
			ca.pem = string(pem.EncodeToMemory(block))
		case "EC PRIVATE KEY":
			key, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("malformed private key")
			}
			ca.key = key
		}
	}
	if ca.certificate == nil || ca.key == nil || !ca.key.PublicKey.Equal(ca.certificate.PublicKey) {
		return nil, errors.New("not a certificate and its key")
	}
	return ca, nil
}

func makeAuthority(keeper caKeeper, name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		// Two CAs of one name must not be taken for each other: the year and day tell them apart for a reader.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s own CA %s", name, now.UTC().Format(time.DateOnly))},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
	if err := keeper.save(text); err != nil {
		return nil, err
	}
	return parseAuthority(text)
}

// fileCA is a CA in a file of this path.
type fileCA string

func (path fileCA) load() ([]byte, error) { return os.ReadFile(string(path)) }

func (path fileCA) save(text []byte) error { return writeWhole(string(path), text) }

func (path fileCA) String() string { return string(path) }

// writeWhole leaves either the old file or the new one, whole, mode 0600.
func writeWhole(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(text); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// issue makes a server certificate for names and addresses.
func (ca *authority) issue(names []string, addresses []netip.Addr, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     names,
	}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	// 127 bits: positive, and within the 20 octets of RFC 5280.
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(1))
}

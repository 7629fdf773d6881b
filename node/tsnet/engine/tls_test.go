package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestTheCAIsKeptAndPrivate(t *testing.T) {
	dir := t.TempDir()
	first, err := openAuthority(fileCA(filepath.Join(dir, caFile)), "tka", now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openAuthority(fileCA(filepath.Join(dir, caFile)), "tka", now.Add(caLifetime/2))
	if err != nil || again.pem != first.pem {
		t.Fatalf("another CA after a restart (%v)", err)
	}
	info, err := os.Stat(filepath.Join(dir, caFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	ca := first.certificate
	if !ca.IsCA || ca.MaxPathLen != 0 || !ca.MaxPathLenZero || ca.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("a CA that may more than sign leaves: %+v", ca)
	}
	if late, err := openAuthority(fileCA(filepath.Join(dir, caFile)), "tka", now.Add(caLifetime)); err != nil || late.pem == first.pem {
		t.Errorf("an expired CA goes on (%v)", err)
	}
}

func TestADamagedCAFileIsReportedAndNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, caFile)
	if err := os.WriteFile(path, []byte("-----BEGIN NOTHING"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAuthority(fileCA(filepath.Join(dir, caFile)), "tka", now); err == nil {
		t.Error("opened")
	}
	if text, _ := os.ReadFile(path); string(text) != "-----BEGIN NOTHING" {
		t.Error("replaced")
	}
}

type namesOf struct {
	dnsName   string
	addresses []netip.Addr
	domains   []string
}

func ownCertificates(t *testing.T, names *namesOf, clock *time.Time) *certificates {
	ca, err := openAuthority(fileCA(filepath.Join(t.TempDir(), caFile)), "tka", *clock)
	if err != nil {
		t.Fatal(err)
	}
	return &certificates{
		ca: ca, hostname: "tka",
		names: func() (string, []netip.Addr, []string) { return names.dnsName, names.addresses, names.domains },
		fromTailnet: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, errors.New("from the tailnet: " + hello.ServerName)
		},
		now: func() time.Time { return *clock },
	}
}

func TestTheOwnLeafCoversNamesAndAddresses(t *testing.T) {
	clock := now
	names := &namesOf{dnsName: "tka-1.tail.test.", addresses: []netip.Addr{netip.MustParseAddr("100.64.0.9"), netip.MustParseAddr("fd7a::9")}}
	c := ownCertificates(t, names, &clock)
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.certificate)
	certificate, err := c.get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tka", "tka-1", "tka-1.tail.test", "100.64.0.9", "fd7a::9"} {
		if _, err := certificate.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: clock}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := certificate.Leaf.VerifyHostname("other.tail.test"); err == nil {
		t.Error("covers another's name")
	}
}

func TestTheOwnLeafIsMadeAnewWhenItMust(t *testing.T) {
	clock := now
	names := &namesOf{dnsName: "tka.tail.test."}
	c := ownCertificates(t, names, &clock)
	leaf := func() *tls.Certificate {
		certificate, err := c.get(&tls.ClientHelloInfo{ServerName: "tka"})
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	first := leaf()
	clock = clock.Add(leafLife - leafRenewal - clockSkew)
	if leaf() != first {
		t.Error("made anew without need")
	}
	clock = now.Add(leafLife - leafRenewal + time.Second)
	second := leaf()
	if second == first {
		t.Error("not made anew before it expires")
	}
	names.addresses = []netip.Addr{netip.MustParseAddr("100.64.0.9")}
	if third := leaf(); third == second || third.Leaf.VerifyHostname("100.64.0.9") != nil {
		t.Error("not made anew for a new address")
	}
}

func TestNamesOfTheTailnetGetItsCertificates(t *testing.T) {
	clock := now
	domains := []string{"tka.tail.ts.net", "other.tail.ts.net"}
	c := ownCertificates(t, &namesOf{dnsName: "tka.tail.ts.net.", domains: domains}, &clock)
	for serverName, want := range map[string]string{
		"tka.tail.ts.net": "tka.tail.ts.net", "TKA.tail.ts.net": "tka.tail.ts.net", "tka": "tka.tail.ts.net",
		"other": "other.tail.ts.net", "": "tka.tail.ts.net",
	} {
		if _, err := c.get(&tls.ClientHelloInfo{ServerName: serverName}); err == nil || err.Error() != "from the tailnet: "+want {
			t.Errorf("%q: %v", serverName, err)
		}
	}
	if certificate, err := c.get(&tls.ClientHelloInfo{ServerName: "stranger.example"}); err != nil || certificate.Leaf == nil {
		t.Errorf("a name of nobody's: %v", err)
	}
}

func TestOnlyModernTLSAndHTTP11(t *testing.T) {
	config := (&certificates{}).config()
	if config.MinVersion != tls.VersionTLS12 || !slices.Equal(config.NextProtos, []string{"http/1.1"}) {
		t.Errorf("%+v", config)
	}
}

func TestTheExpiryIsOfWhatAClientWouldBeServed(t *testing.T) {
	clock := now
	names := &namesOf{}
	c := ownCertificates(t, names, &clock)
	if expiry := c.expiry(); !expiry.IsZero() {
		t.Errorf("%v before the node has a name", expiry)
	}
	names.dnsName = "tka.tail.test."
	first := c.expiry()
	if served, err := c.get(&tls.ClientHelloInfo{}); err != nil || !served.Leaf.NotAfter.Equal(first) {
		t.Errorf("%v, but another is served (%v)", first, err)
	}
	clock = clock.Add(leafLife)
	if later := c.expiry(); !later.After(clock) {
		t.Errorf("%v at %v: a leaf is made anew though nobody connects", later, clock)
	}
}

func TestTheTailnetsCertificateIsLookedAtOnceAnHour(t *testing.T) {
	clock := now
	c := ownCertificates(t, &namesOf{dnsName: "tka.tail.ts.net.", domains: []string{"tka.tail.ts.net"}}, &clock)
	asked := 0
	var failure error
	c.fromTailnet = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked++
		return &tls.Certificate{Leaf: &x509.Certificate{NotAfter: clock.Add(90 * 24 * time.Hour)}}, failure
	}
	first := c.expiry()
	clock = clock.Add(issuedLookEvery - time.Second)
	if c.expiry(); asked != 1 || !first.Equal(now.Add(90*24*time.Hour)) {
		t.Errorf("asked %d times, %v", asked, first)
	}
	clock = clock.Add(time.Second)
	if second := c.expiry(); asked != 2 || !second.After(first) {
		t.Errorf("asked %d times, %v", asked, second)
	}
	clock, failure = clock.Add(issuedLookEvery), errors.New("away")
	if third := c.expiry(); asked != 3 || third.IsZero() {
		t.Errorf("asked %d times; a failure takes away what is known: %v", asked, third)
	}
}

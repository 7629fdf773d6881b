package main

// TLS of the listeners that ask for it. Names that the tailnet issues certificates for get those (by ACME, through the
// client, which keeps and renews them); everything else gets a leaf of the node's own CA. Leaves live in memory and are
// made anew when names or addresses change, and before they expire.

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// leafRenewal is what a leaf must still have; one with less is made anew.
const leafRenewal = 10 * 24 * time.Hour

// issuedLookEvery is how often a certificate of the tailnet is looked at though nobody connects: often enough to have it renewed,
// seldom enough for the limits of whoever issues it.
const issuedLookEvery = time.Hour

// certificates answers handshakes.
type certificates struct {
	ca       *authority
	hostname string // the name asked for, good even before the tailnet has told another
	// names is the node's MagicDNS name, its addresses and the names the tailnet issues certificates for.
	names func() (dnsName string, addresses []netip.Addr, certDomains []string)
	// fromTailnet fetches the tailnet's certificate for the name in a hello.
	fromTailnet func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	now         func() time.Time

	mu       sync.Mutex
	leaf     *tls.Certificate
	leafKeys []string // what the leaf is for

	issuedExpiry   time.Time // of the tailnet's certificate when it was last looked at
	issuedLookedAt time.Time
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: c.get,
	}
}

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	dnsName, addresses, certDomains := c.names()
	if domain := chooseDomain(hello.ServerName, certDomains); domain != "" {
		asked := *hello
		asked.ServerName = domain
		return c.fromTailnet(&asked)
	}
	return c.own(dnsName, addresses)
}

// chooseDomain finds the tailnet's name that a client means; a bare host name means the full one, and a client that
// names nothing (it went by address) gets the first. Empty: none of them.
func chooseDomain(serverName string, certDomains []string) string {
	if serverName == "" && len(certDomains) > 0 {
		return certDomains[0]
	}
	for _, domain := range certDomains {
		host, _, _ := strings.Cut(domain, ".")
		if strings.EqualFold(serverName, domain) || strings.EqualFold(serverName, host) {
			return domain
		}
	}
	return ""
}

func (c *certificates) own(dnsName string, addresses []netip.Addr) (*tls.Certificate, error) {
	names := []string{c.hostname}
	if full := strings.TrimSuffix(dnsName, "."); full != "" {
		// The tailnet may have given another name than the one asked for; both lead here.
		host, _, _ := strings.Cut(full, ".")
		for _, name := range []string{full, host} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	keys := slices.Clone(names)
	for _, address := range addresses {
		keys = append(keys, address.String())
	}
	now := c.now()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaf == nil || !slices.Equal(keys, c.leafKeys) || c.leaf.Leaf.NotAfter.Before(now.Add(leafRenewal)) {
		leaf, err := c.ca.issue(names, addresses, now)
		if err != nil {
			return nil, err
		}
		c.leaf, c.leafKeys = leaf, keys
	}
	return c.leaf, nil
}

// expiry is the end of the certificate that a client would be served, made or fetched as if one had connected, so that it does
// not tell of one that nobody has asked for in a while. Zero before there is one.
func (c *certificates) expiry() time.Time {
	dnsName, addresses, certDomains := c.names()
	if dnsName == "" {
		return time.Time{}
	}
	if len(certDomains) == 0 {
		leaf, err := c.own(dnsName, addresses)
		if err != nil {
			return time.Time{}
		}
		return leaf.Leaf.NotAfter
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.issuedLookedAt.IsZero() && now.Sub(c.issuedLookedAt) < issuedLookEvery {
		return c.issuedExpiry
	}
	c.issuedLookedAt = now
	c.mu.Unlock()
	issued, err := c.fromTailnet(&tls.ClientHelloInfo{ServerName: certDomains[0]})
	c.mu.Lock()
	if err == nil && issued.Leaf != nil {
		c.issuedExpiry = issued.Leaf.NotAfter
	}
	return c.issuedExpiry
}

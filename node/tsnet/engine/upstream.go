package main

// Connections to the API server that requests are carried on, in pools that share nothing: what one session's bytes leave
// behind on a connection can never answer another's request. A pool that is not used for a while is given up. They carry the
// API server's CA and nothing else: no client certificate, no token but the request's own.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

const (
	dialUpstreamTimeout = 10 * time.Second
	// An answer may be as late as a webhook of the cluster makes it.
	answerTimeout  = 5 * time.Minute
	upgradeTimeout = time.Minute
	maxAnswerHead  = 64 << 10
	idleUpstream   = 30 * time.Second
	maxIdlePerPool = 64
	idlePool       = 5 * time.Minute
)

type upstream struct {
	proxy *httputil.ReverseProxy
	tls   *tls.Config

	mu     sync.Mutex
	pools  map[string]*pool
	closed bool
}

type pool struct {
	transport *http.Transport
	upgrades  *http.Transport // each on a connection of its own
	context   context.Context // of everything under way; ends with the pool
	cancel    context.CancelFunc

	// Of upstream's.
	inUse     int
	idleSince time.Time
}

func newUpstream(settings *settingsMessage, buffers *bufferPool) (*upstream, error) {
	server, err := url.Parse(settings.Server)
	if err != nil || server.Host == "" {
		return nil, errors.New("the server's URL is none")
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: settings.ServerName,
		// As a kubeconfig may ask for; the operator is warned of it.
		InsecureSkipVerify: settings.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if settings.CAPEM != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(settings.CAPEM)) {
			return nil, errors.New("the server's CA is no certificate")
		}
	}
	return &upstream{proxy: newForwarder(server, newAnswerRules(settings), buffers), tls: config, pools: map[string]*pool{}}, nil
}

func (u *upstream) newPool() *pool {
	p := &pool{transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialUpstreamTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        u.tls,
		TLSHandshakeTimeout:    dialUpstreamTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdlePerPool,
		IdleConnTimeout:        idleUpstream,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: maxAnswerHead,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
		// HTTP/2 was measured slower, and one connection would be shared by all requests of a session.
		Protocols: http1(),
	}}
	p.upgrades = p.transport.Clone()
	p.upgrades.MaxIdleConnsPerHost = -1
	p.upgrades.ResponseHeaderTimeout = upgradeTimeout
	p.context, p.cancel = context.WithCancel(context.Background())
	return p
}

// use returns a pool that must be released; nil after close.
func (u *upstream) use(name string) *pool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil
	}
	p := u.pools[name]
	if p == nil {
		u.sweep(time.Now())
		p = u.newPool()
		u.pools[name] = p
	}
	p.inUse++
	return p
}

func (u *upstream) release(p *pool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p.inUse--
	p.idleSince = time.Now()
}

// sweep must be called with mu held.
func (u *upstream) sweep(now time.Time) {
	for name, p := range u.pools {
		if p.inUse == 0 && now.Sub(p.idleSince) > idlePool {
			delete(u.pools, name)
			p.end()
		}
	}
}

// forget ends what the pool has open, in use or not.
func (u *upstream) forget(name string) {
	u.mu.Lock()
	p := u.pools[name]
	delete(u.pools, name)
	u.mu.Unlock()
	if p != nil {
		p.end()
	}
}

func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for name, p := range u.pools {
		delete(u.pools, name)
		p.end()
	}
}

func (p *pool) end() {
	p.cancel()
	p.transport.CloseIdleConnections()
}

package main

// Connections to the server that requests are forwarded to, in pools that share nothing: what one session's bytes leave
// behind on a connection can never answer another's request. A pool that is not used for a while is given up. They carry the
// server's CA and nothing else: no client certificate, no token but the request's own.

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"
)

const (
	dialUpstreamTimeout = 10 * time.Second
	idleUpstream        = 30 * time.Second
	maxIdlePerPool      = 64
	idlePool            = 5 * time.Minute
)

type upstream struct {
	server *url.URL
	// address is the server's, with its port.
	address string
	tls     *tls.Config // nil: without
	buffers *bufferPool

	mu     sync.Mutex
	pools  map[string]*pool
	closed bool
}

type pool struct {
	upstream *upstream
	context  context.Context // of every dial; ends with the pool
	cancel   context.CancelFunc

	// Of upstream's.
	inUse     int
	idleSince time.Time

	mu      sync.Mutex
	isOver  bool
	open    map[*serverConnection]struct{}
	idle    []*serverConnection // longest first
	isSwept bool                // will be
}

func newUpstream(settings *settingsMessage, buffers *bufferPool) (*upstream, error) {
	server, err := url.Parse(settings.Server)
	if err != nil || server.Host == "" {
		return nil, errors.New("the server's URL is none")
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// HTTP/2 was measured slower, and one connection would be shared by all requests of a session.
		NextProtos: []string{"http/1.1"},
		ServerName: settings.ServerName,
		// As a kubeconfig may ask for; the operator is warned of it.
		InsecureSkipVerify: settings.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if config.ServerName == "" {
		config.ServerName = server.Hostname()
	}
	if settings.CAPEM != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(settings.CAPEM)) {
			return nil, errors.New("the server's CA is no certificate")
		}
	}
	u := &upstream{server: server, buffers: buffers, pools: map[string]*pool{}}
	port := server.Port()
	switch {
	case server.Scheme == "https":
		u.tls = config
		port = cmp.Or(port, "443")
	default:
		port = cmp.Or(port, "80")
	}
	u.address = net.JoinHostPort(server.Hostname(), port)
	return u, nil
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
		p = &pool{upstream: u, open: map[*serverConnection]struct{}{}}
		p.context, p.cancel = context.WithCancel(context.Background())
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

// sweep must be called with mu held. The connections of what it gives up have been closed by their own idle time.
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isOver = true
	for connection := range p.open {
		connection.end()
	}
}

// take returns a connection that was used before and is open still; nil where there is none.
func (p *pool) take() *serverConnection {
	for {
		p.mu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		if time.Since(c.idleSince) < idleUpstream && c.isQuiet() {
			return c
		}
		p.discard(c)
	}
}

// put is for a connection whose exchange was whole.
func (p *pool) put(c *serverConnection) {
	c.isUsed, c.idleSince = true, time.Now()
	c.rest()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isOver || len(p.idle) >= maxIdlePerPool {
		delete(p.open, c)
		c.end()
		return
	}
	p.idle = append(p.idle, c)
	p.sweepLater()
}

// discard is for any other.
func (p *pool) discard(c *serverConnection) {
	c.end()
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
}

// sweepLater must be called with mu held.
func (p *pool) sweepLater() {
	if p.isSwept || len(p.idle) == 0 {
		return
	}
	p.isSwept = true
	time.AfterFunc(time.Until(p.idle[0].idleSince.Add(idleUpstream)), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.isSwept = false
		for len(p.idle) > 0 && time.Since(p.idle[0].idleSince) >= idleUpstream {
			delete(p.open, p.idle[0])
			p.idle[0].end()
			p.idle = p.idle[1:]
		}
		p.sweepLater()
	})
}

// dialError is for a request that the server cannot have seen.
type dialError struct{ error }

func (d dialError) Unwrap() error { return d.error }

// dial opens a connection to the server; ctx is of the pool's.
func (p *pool) dial(ctx context.Context) (*serverConnection, error) {
	dialer := &net.Dialer{Timeout: dialUpstreamTimeout, KeepAlive: 30 * time.Second}
	beneath, err := dialer.DialContext(ctx, "tcp", p.upstream.address)
	if err != nil {
		return nil, dialError{err}
	}
	connection := beneath
	var records *recordReader
	if p.upstream.tls != nil {
		ctx, cancel := context.WithTimeout(ctx, dialUpstreamTimeout)
		defer cancel()
		records = newRecordReader(beneath, p.upstream.buffers)
		secured := tls.Client(records, p.upstream.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			beneath.Close()
			return nil, dialError{err}
		}
		connection = secured
	}
	c := newServerConnection(connection, beneath, records)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isOver {
		beneath.Close()
		return nil, dialError{net.ErrClosed}
	}
	p.open[c] = struct{}{}
	return c, nil
}

package main

// Connections to the server that requests are forwarded to, in pools that share nothing: what one session's bytes leave
// behind on a connection can never answer another's request. A pool that is not used for a while is given up. They carry the
// server's CA and nothing else: no client certificate, no token but the request's own.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	dialUpstreamTimeout = 10 * time.Second
	// An answer may be as late as a webhook of the cluster makes it.
	answerTimeout      = 5 * time.Minute
	idleUpstream       = 30 * time.Second
	maxIdlePerPool     = 64
	maxAnswerHead      = 64 << 10
	upstreamBufferSize = 32 << 10
	idlePool           = 5 * time.Minute
)

type upstream struct {
	server *url.URL
	tls    *tls.Config

	mu     sync.Mutex
	pools  map[string]*pool
	closed bool
}

type pool struct {
	transport *http.Transport
	context   context.Context // of every request; ends with the pool
	cancel    context.CancelFunc
	inUse     int
	idleSince time.Time
}

func newUpstream(settings *settingsMessage) (*upstream, error) {
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
	if settings.CAPEM != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(settings.CAPEM)) {
			return nil, errors.New("the server's CA is no certificate")
		}
	}
	return &upstream{server: server, tls: config, pools: map[string]*pool{}}, nil
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
		p = &pool{transport: u.newTransport()}
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
	p.transport.CloseIdleConnections()
}

// dialError is for a request that the server cannot have seen.
type dialError struct{ error }

func (d dialError) Unwrap() error { return d.error }

func (u *upstream) newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialUpstreamTimeout, KeepAlive: 30 * time.Second}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, dialError{err}
		}
		return connection, nil
	}
	return &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			config := u.tls
			if config.ServerName == "" {
				config = config.Clone()
				config.ServerName, _, _ = net.SplitHostPort(address)
			}
			ctx, cancel := context.WithTimeout(ctx, dialUpstreamTimeout)
			defer cancel()
			secured := tls.Client(connection, config)
			if err := secured.HandshakeContext(ctx); err != nil {
				connection.Close()
				return nil, dialError{err}
			}
			return secured, nil
		},
		DisableCompression:     true, // what the caller asked for goes through as it is
		MaxIdleConnsPerHost:    maxIdlePerPool,
		IdleConnTimeout:        idleUpstream,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: maxAnswerHead,
		ReadBufferSize:         upstreamBufferSize,
		WriteBufferSize:        upstreamBufferSize,
	}
}

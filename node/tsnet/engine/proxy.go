package main

// An HTTP proxy on loopback into the tailnet, for programs on this machine that know nothing of it. Names and addresses of
// the tailnet are dialled through it; what is elsewhere is dialled by the system. Who does not know the user and the
// password gets nothing: loopback is open to everybody on the machine.
//
// CONNECT is spliced as it is, so that whatever upgrades inside TLS passes; plain http is asked in absolute form.

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

const (
	proxyHeadersWithin = 10 * time.Second
	proxyDialWithin    = 30 * time.Second
)

type forwardProxy struct {
	listener  net.Listener
	server    *http.Server
	transport *http.Transport
	forward   http.Handler
	expected  string // of Proxy-Authorization
	dial      dialFunc
	log       func(logLevel, string)
	buffers   bufferPool

	mu      sync.Mutex
	tunnels map[net.Conn]struct{}
}

// serveProxy listens on 127.0.0.1; port 0 is any that is free.
func serveProxy(port uint16, user, password string, dial dialFunc, log func(logLevel, string)) (*forwardProxy, error) {
	if user == "" || password == "" || strings.Contains(user, ":") {
		return nil, errors.New("a proxy needs a user without a colon, and a password")
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	p := &forwardProxy{
		listener: listener,
		expected: "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)),
		log:      log,
		tunnels:  map[net.Conn]struct{}{},
	}
	p.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, proxyDialWithin)
		defer cancel()
		return dial(ctx, network, address)
	}
	// Bodies pass as they are: asking for compression would change them.
	p.transport = &http.Transport{DialContext: p.dial, DisableCompression: true}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       forwardAsAsked,
		Transport:     p.transport,
		FlushInterval: -1, // watches
		ErrorHandler:  func(w http.ResponseWriter, r *http.Request, err error) { p.unreachable(w, r.URL.Host, err) },
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: proxyHeadersWithin}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *forwardProxy) address() string { return p.listener.Addr().String() }

func (p *forwardProxy) close() {
	_ = p.server.Close()
	p.transport.CloseIdleConnections()
	p.mu.Lock()
	defer p.mu.Unlock()
	for tunnel := range p.tunnels {
		tunnel.Close()
	}
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), []byte(p.expected)) != 1:
		w.Header().Set("Proxy-Authenticate", `Basic realm="tailnet"`)
		http.Error(w, "this proxy belongs to one program and its children", http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		p.forward.ServeHTTP(w, r)
	default:
		http.Error(w, "this is a proxy: CONNECT host:port, or http://host in absolute form", http.StatusBadRequest)
	}
}

func (p *forwardProxy) connect(w http.ResponseWriter, r *http.Request) {
	if _, _, err := net.SplitHostPort(r.Host); err != nil {
		http.Error(w, "CONNECT needs host:port", http.StatusBadRequest)
		return
	}
	outer, err := p.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		p.unreachable(w, r.Host, err)
		return
	}
	defer outer.Close()
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "CONNECT needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	inner, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer inner.Close()
	p.mu.Lock()
	p.tunnels[inner] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.tunnels, inner)
		p.mu.Unlock()
	}()
	if _, err := inner.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	// A client need not wait for the answer before it speaks; what came with its request has been read already.
	if early, _ := buffered.Reader.Peek(buffered.Reader.Buffered()); len(early) > 0 {
		if _, err := outer.Write(early); err != nil {
			return
		}
	}
	splice(halfClosing(outer), halfClosing(inner), outer, &p.buffers)
}

func (p *forwardProxy) unreachable(w http.ResponseWriter, host string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client has gone
	}
	p.log(logDebug, fmt.Sprintf("proxy: %s: %v", host, err))
	http.Error(w, fmt.Sprintf("cannot reach %s: %v", host, err), http.StatusBadGateway)
}

// forwardAsAsked undoes what a reverse proxy would do for its own site: this one stands on the client's side.
func forwardAsAsked(r *httputil.ProxyRequest) {
	r.Out.Host = r.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
}

package main

// The HTTP server of a listener that Node.js decides for. Requests for the Kubernetes API are put to Node.js and, if let through,
// carried to the API server from here (exchange.go, stream.go); every other request is carried to Node.js over the private socket
// (handed.go). A caller's connection belongs to the decision channel that it was opened on and ends with it: nothing is
// forwarded that Node.js cannot stop.

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Node.js's own limits for what it reads itself (node/http/server.ts).
	headTimeout = 10 * time.Second
	idleTimeout = 60 * time.Second
	bodyTimeout = 5 * time.Minute
	// The HTTP server adds 4 KiB.
	maxHead = 12 << 10
)

// callerConnection is one accepted connection, after TLS. It implements net.Conn for the HTTP server.
type callerConnection struct {
	halfCloser          // as the HTTP server reads and writes it
	beneath    net.Conn // without TLS
	id         uint32
	hand       *handOver
	channel    *decisions
	caller     *caller
	pinned     string

	isActive atomic.Bool // a request is under way
	isLast   atomic.Bool // it ends with the answer under way
	isEnding atomic.Bool // no further request of it is served
	once     sync.Once
	over     context.Context // ends with the connection, and what is under way on it with that
	setOver  context.CancelFunc
	served   chan struct{} // closed when the HTTP server has done with it: there is no further request
}

// serveDecided returns when the connection has ended.
func (h *handOver) serveDecided(peer halfCloser, c *caller) {
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	channel, err := h.decisionsOf(ctx, c.listener)
	if err != nil {
		h.log(logWarn, "a connection was closed, the decision channel is not available: "+err.Error())
		return
	}
	who := c.whoIs(ctx)
	connection := &callerConnection{
		halfCloser: peer, beneath: c.connection, hand: h, channel: channel, caller: c, pinned: pinOf(who), served: make(chan struct{}),
	}
	connection.over, connection.setOver = context.WithCancel(context.Background())
	defer connection.setOver()
	if !channel.register(connection) {
		return
	}
	channel.send(openedMessage{
		Type: "opened", Connection: connection.id, Source: endpointOf(c.source), Destination: endpointOf(c.destination),
		TLS: c.tls, Identity: who,
	})
	_ = channel.server.Serve(&singleListener{connection: connection})
	<-connection.over.Done()
	// Node.js takes a question about a connection that was closed for a broken engine, and ends the channel.
	<-connection.served
	channel.sendSoon(closedMessage{Type: "closed", Connection: connection.id})
	channel.unregister(connection)
}

// newCarrier returns the HTTP server of a channel.
func newCarrier() *http.Server {
	server := &http.Server{
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		// HTTP/1.1 alone: exec and port-forward upgrade connections, and a cut must end one request.
		Protocols: http1(),
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			connection, ok := c.(*callerConnection)
			if !ok {
				return ctx
			}
			ctx, cancel := context.WithCancel(context.WithValue(ctx, connectionKey{}, connection))
			context.AfterFunc(connection.over, cancel)
			return ctx
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if connection, ok := c.(*callerConnection); ok {
				connection.note(state)
			}
		},
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection, ok := r.Context().Value(connectionKey{}).(*callerConnection)
		if !ok {
			panic(http.ErrAbortHandler)
		}
		connection.serve(w, r)
	})
	return server
}

func http1() *http.Protocols {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return protocols
}

type connectionKey struct{}

func (c *callerConnection) serve(w http.ResponseWriter, r *http.Request) {
	if c.isEnding.Load() {
		panic(http.ErrAbortHandler) // it was sent before the end was known; the answer could not be
	}
	// The last answer's own time, which a cut makes short, is not this one's.
	_ = c.SetWriteDeadline(time.Now().Add(stalledAfter))
	defer func() {
		if reason := recover(); reason != nil {
			c.end() // the caller must see that the answer is not whole
			panic(reason)
		}
	}()
	switch {
	case r.URL.Host != "" || !strings.HasPrefix(r.RequestURI, "/"):
		// Of absolute form, or `*`: a server of its own site is asked by path.
		c.refuse(w, "the request target must be a path")
	case len(r.Header["Upgrade"]) > 0 && r.ContentLength != 0:
		c.refuse(w, "an upgrade request must not have a body")
	case c.channel.settings.Match.matches(r):
		c.exchange(w, r)
	default:
		c.hand.toNode.ServeHTTP(w, r)
	}
}

func (c *callerConnection) refuse(w http.ResponseWriter, why string) {
	// The server would wait for the body, before it answers and before it closes.
	_ = c.SetReadDeadline(time.Now().Add(lingerEnded))
	w.Header().Set("Connection", "close")
	http.Error(w, why, http.StatusBadRequest)
}

// note follows the server's states: a connection that is to end does so before its next request.
func (c *callerConnection) note(state http.ConnState) {
	c.isActive.Store(state == http.StateActive || state == http.StateHijacked)
	if state == http.StateClosed || state == http.StateHijacked {
		close(c.served)
	}
	if state == http.StateIdle && (c.isLast.Load() || c.channel.draining()) {
		_ = c.Close()
	}
}

// Close is the HTTP server's, after the last answer. It lets the peer close first: whoever closes first remembers the pair of
// addresses (timewait.go), a connection that is closed over unread bytes is reset, and what the peer has not yet read is lost with
// the engine.
func (c *callerConnection) Close() error {
	c.isEnding.Store(true)
	c.once.Do(func() {
		c.channel.unregister(c) // nothing depends on Node.js any more
		go func() {
			defer c.setOver()
			defer c.beneath.Close()
			_ = c.SetDeadline(time.Now().Add(lingerAfterNode))
			if c.CloseWrite() != nil {
				return
			}
			_, _ = io.Copy(io.Discard, io.LimitReader(c.beneath, 64<<20))
		}()
	})
	return nil
}

// end breaks the connection off, whatever is under way on it.
func (c *callerConnection) end() {
	c.isEnding.Store(true)
	_ = c.beneath.Close()
	c.once.Do(c.setOver)
}

func (c *callerConnection) endIfIdle() {
	if !c.isActive.Load() {
		c.end()
	}
}

// singleListener accepts one connection, and ends when that has ended.
type singleListener struct {
	connection *callerConnection
	isAccepted bool
}

func (l *singleListener) Accept() (net.Conn, error) {
	if l.isAccepted {
		<-l.connection.over.Done()
		return nil, net.ErrClosed
	}
	l.isAccepted = true
	return l.connection, nil
}

func (l *singleListener) Addr() net.Addr { return l.connection.LocalAddr() }
func (l *singleListener) Close() error   { return nil }

// decisionChannels has the channel of each listener, one at a time.
type decisionChannels struct {
	mu         sync.Mutex
	byListener map[string]*decisions
}

// decisionsOf returns the listener's channel, dialled again if the last one has ended.
func (h *handOver) decisionsOf(ctx context.Context, listener string) (*decisions, error) {
	h.channels.mu.Lock()
	defer h.channels.mu.Unlock()
	if channel := h.channels.byListener[listener]; channel != nil {
		select {
		case <-channel.broken:
		default:
			return channel, nil
		}
	}
	node, err := h.dial(ctx, decisionsPreamble{Nonce: h.nonce, Listener: listener, Decisions: true})
	if err != nil {
		return nil, err
	}
	channel, err := openDecisions(ctx, node, &h.buffers, h.log)
	if err != nil {
		return nil, err
	}
	if h.channels.byListener == nil {
		h.channels.byListener = map[string]*decisions{}
	}
	h.channels.byListener[listener] = channel
	return channel, nil
}

var errForeign = errors.New("the caller is no longer who it was when the connection was opened")

// dialNode connects to Node.js for one request of the connection, as the caller is known now.
func (c *callerConnection) dialNode(ctx context.Context) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	now := c.caller.whoIs(ctx)
	if pinOf(now) != c.pinned {
		c.hand.log(logWarn, "a connection was closed: "+errForeign.Error())
		return nil, errForeign
	}
	return c.hand.dial(ctx, preamble{
		Nonce: c.hand.nonce, Listener: c.caller.listener, TLS: c.caller.tls, Identity: now,
		Source: endpointOf(c.caller.source), Destination: endpointOf(c.caller.destination),
	})
}

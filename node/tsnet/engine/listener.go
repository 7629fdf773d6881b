package main

// From a tailnet connection to Node: TLS ended where asked for, the caller looked up, the unix socket dialled, the
// preamble written, the bytes spliced. Whatever fails on the way closes the connection; the caller sees no more.

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"tailscale.com/ipn"
)

const (
	handshakeTimeout = 10 * time.Second
	handOverTimeout  = 5 * time.Second
	socketBuffer     = 1 << 20 // of the unix socket; as far as the kernel allows
	// One peer cannot take every connection there is.
	maxConnections        = 4096
	maxConnectionsPerPeer = 256
)

// handOver is what listeners share: where connections go and what is said about them.
type handOver struct {
	socketPath string
	nonce      string
	tls        *tls.Config
	identify   func(ctx context.Context, source netip.AddrPort) identity
	log        func(logLevel, string)
	buffers    bufferPool

	channels decisionChannels
	toNode   http.Handler

	mu    sync.Mutex
	open  map[net.Conn]netip.Addr
	peers map[netip.Addr]int
	// Closed when the last connection has ended; nil while nobody waits for that.
	empty chan struct{}
}

func newHandOver(socketPath, nonce string, config *tls.Config,
	identify func(context.Context, netip.AddrPort) identity, log func(logLevel, string)) *handOver {
	h := &handOver{
		socketPath: socketPath, nonce: nonce, tls: config, identify: identify, log: log,
		open: map[net.Conn]netip.Addr{}, peers: map[netip.Addr]int{},
	}
	h.toNode = newToNode(&h.buffers)
	return h
}

// serve accepts until the listener is closed.
func (h *handOver) serve(listener net.Listener, request *listenRequest) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				h.log(logError, fmt.Sprintf("listener %s ended: %v", request.Listener, err))
			}
			return
		}
		go h.handle(connection, request)
	}
}

// drain gives peers time to take what Node has sent before it ended its sides: what the client still holds when it ends is
// lost, and the peer waits for it in vain.
func (h *handOver) drain(within time.Duration) {
	h.mu.Lock()
	empty := make(chan struct{})
	if len(h.open) == 0 {
		close(empty)
	} else {
		h.empty = empty
	}
	h.mu.Unlock()
	select {
	case <-empty:
	case <-time.After(within):
	}
}

// closeAll ends every connection, for the engine's own end.
func (h *handOver) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for connection := range h.open {
		connection.Close()
	}
}

// caller is one connection and what is known of it.
type caller struct {
	connection          net.Conn
	listener            string
	tls                 bool
	source, destination netip.AddrPort
	whoIs               func(context.Context) identity
}

func (h *handOver) handle(connection net.Conn, request *listenRequest) {
	defer connection.Close()
	source, destination := addrPort(connection.RemoteAddr()), addrPort(connection.LocalAddr())
	if !h.admit(connection, source.Addr()) {
		h.log(logWarn, fmt.Sprintf("too many connections: one from %s was closed", source.Addr()))
		return
	}
	defer h.release(connection)

	_, funnel := connection.(*ipn.FunnelConn)
	peer := halfClosing(connection)
	if request.TLS {
		secured := tls.Server(peer, h.tls)
		ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
		err := secured.HandshakeContext(ctx)
		cancel()
		if err != nil {
			// Scanners and clients that do not know the CA end here: not worth an operator's attention one by one.
			h.log(logDebug, fmt.Sprintf("TLS handshake with %s failed: %v", source.Addr(), err))
			return
		}
		peer = secured
	}

	c := &caller{connection: connection, listener: request.Listener, tls: request.TLS, source: source, destination: destination}
	c.whoIs = func(ctx context.Context) identity {
		who := h.identify(ctx, source)
		if funnel {
			who.Refusal = refusedFunnel
		}
		return who
	}
	if request.Decide {
		h.serveDecided(peer, c)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	h.pass(ctx, peer, c, c.whoIs(ctx))
}

// pass gives a connection to Node, and returns when it has ended.
func (h *handOver) pass(ctx context.Context, peer halfCloser, c *caller, who identity) {
	node, err := h.dial(ctx, preamble{
		Nonce: h.nonce, Listener: c.listener, TLS: c.tls, Identity: who,
		Source: endpointOf(c.source), Destination: endpointOf(c.destination),
	})
	if err != nil {
		h.log(logWarn, fmt.Sprintf("a connection could not be handed over: %v", err))
		return
	}
	var beneath net.Conn
	if c.tls {
		beneath = c.connection
	}
	splice(peer, node, beneath, &h.buffers)
}

// dial connects to Node and writes the preamble, of one kind or the other.
func (h *handOver) dial(ctx context.Context, first any) (*net.UnixConn, error) {
	encoded, err := encodePreamble(first)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", h.socketPath)
	if err != nil {
		return nil, err
	}
	node := connection.(*net.UnixConn) // what "unix" dials
	// The kernel may allow less; that is slower and nothing else.
	_ = node.SetReadBuffer(socketBuffer)
	_ = node.SetWriteBuffer(socketBuffer)
	deadline, _ := ctx.Deadline()
	_ = node.SetWriteDeadline(deadline)
	if _, err := node.Write(encoded); err != nil {
		node.Close()
		return nil, err
	}
	_ = node.SetWriteDeadline(time.Time{})
	return node, nil
}

func encodePreamble(first any) ([]byte, error) {
	text, err := encodeLine(first)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...), nil
}

func (h *handOver) admit(connection net.Conn, peer netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.open) >= maxConnections || h.peers[peer] >= maxConnectionsPerPeer {
		return false
	}
	h.open[connection] = peer
	h.peers[peer]++
	return true
}

func (h *handOver) release(connection net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	peer := h.open[connection]
	delete(h.open, connection)
	if h.peers[peer]--; h.peers[peer] == 0 {
		delete(h.peers, peer)
	}
	if len(h.open) == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
	}
}

func endpointOf(address netip.AddrPort) endpoint {
	return endpoint{address.Addr().String(), address.Port()}
}

// addrPort is the zero value for an address that is no IP address, which no node owns.
func addrPort(address net.Addr) netip.AddrPort {
	if tcp, ok := address.(*net.TCPAddr); ok {
		parsed := tcp.AddrPort()
		return netip.AddrPortFrom(parsed.Addr().Unmap(), parsed.Port())
	}
	parsed, _ := netip.ParseAddrPort(address.String())
	return parsed
}

func halfClosing(connection net.Conn) halfCloser {
	if closer, ok := connection.(halfCloser); ok {
		return closer
	}
	return fullCloser{connection}
}

// fullCloser is for a connection without half-close.
type fullCloser struct{ net.Conn }

func (f fullCloser) CloseWrite() error { return f.Close() }

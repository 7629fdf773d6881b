package main

// The tailnet node itself: Tailscale's client in this process, watched, with its listeners. One per engine.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/ipn"
	"tailscale.com/tsnet"
	"tailscale.com/types/logger"
)

const maxIdentify = 200 // nodes in one question; their answers fit a line of the pipe

const whoIsTimeout = 2 * time.Second

type tailnet struct {
	server       *tsnet.Server
	local        *local.Client
	home         *home
	capabilities []string
	callers      []string
	lost         []lostConnection
	send         func(message any)
	log          func(logLevel, string)
	redact       func(string) string
	handOver     *handOver
	certificates *certificates
	context      context.Context // of everything it does by itself
	stop         context.CancelFunc
	watching     sync.WaitGroup

	mu        sync.Mutex
	seen      observed
	sent      *state
	running   bool // has been Running in this life
	hints     hintState
	listeners map[string]net.Listener
	proxy     *forwardProxy // nil: none asked for
	spareKey  string        // an auth key for when the control server asks a node that has joined to log in again

	localConnections connectionSet

	looking sync.Mutex // one look at a time, so that an older answer never replaces a newer one
}

// startTailnet returns when the client runs; whether and when it joins is told by state messages.
func startTailnet(request *startRequest, home *home, send func(any), log func(logLevel, string), redact func(string) string) (*tailnet, error) {
	if err := checkControlURL(request.ControlURL); err != nil {
		return nil, err
	}
	ca, err := openAuthority(home.ca, request.Hostname, time.Now())
	if err != nil {
		return nil, fmt.Errorf("the node's own CA: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &tailnet{capabilities: request.Capabilities, callers: request.Callers, lost: lostFrom(request.Lost), send: send, log: log, redact: redact,
		home: home, context: ctx, stop: cancel, listeners: map[string]net.Listener{}}
	hasJoined, isResumed := home.hasJoined(), home.isPrepared()
	if hasJoined || isResumed {
		t.spareKey = request.AuthKey
	} else if request.mayJoin() {
		if err := home.prepare(request); err != nil {
			cancel()
			return nil, err
		}
	}
	t.seen = observed{
		gaveAuthKey: !hasJoined && request.mayJoin() && t.spareKey == "",
		controlURL:  request.ControlURL,
		caPEM:       ca.pem,
	}
	if t.seen.controlURL == "" {
		t.seen.controlURL = ipn.DefaultControlURL
	}
	clientLog := clientLogger(log)
	t.server = &tsnet.Server{
		Dir:           home.dir,
		Store:         home.state,
		Hostname:      request.Hostname,
		ControlURL:    request.ControlURL,
		Ephemeral:     request.Ephemeral,
		AdvertiseTags: request.Tags,
		Logf:          clientLog,
		UserLogf:      clientLog,
	}
	madeFrom := credentials(t.server, request, hasJoined, isResumed)
	if err := startClient(ctx, t.server, madeFrom); err != nil {
		cancel()
		return nil, err
	}
	if err := shortenTimeWait(t.server); err != nil {
		log(logWarn, fmt.Sprintf("connections that were ended here are remembered for longer than they should: %v", err))
	}
	if t.local, err = t.server.LocalClient(); err != nil {
		cancel()
		return nil, err
	}
	t.local.Dial = t.localConnections.dialer(t.local.Dial)
	t.certificates = &certificates{
		ca: ca, hostname: request.Hostname, names: t.names, fromTailnet: t.local.GetCertificate, now: time.Now,
	}
	t.handOver = newHandOver(request.SocketPath, request.Nonce, t.certificates.config(), t.identify, log)
	t.watching.Go(func() { t.watch(ctx) })
	t.watching.Go(func() { t.lookAgainNowAndThen(ctx) })
	t.watching.Go(func() { t.watchContact(ctx) })
	return t, nil
}

// clientLogger passes on what the client says at its usual verbosity.
func clientLogger(log func(logLevel, string)) logger.Logf {
	return func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !strings.Contains(text, "[v1]") && !strings.Contains(text, "[v2]") && !strings.Contains(text, "[v\x00") {
			log(logDebug, text)
		}
	}
}

// close ends listeners, connections and the client, which logs an ephemeral node out. It takes seconds when the control
// server does not answer: the caller bounds it. Connections have `drain` to end by themselves.
func (t *tailnet) close(drain time.Duration) {
	t.mu.Lock()
	for _, listener := range t.listeners {
		listener.Close()
	}
	clear(t.listeners)
	if t.proxy != nil {
		t.proxy.close()
	}
	t.mu.Unlock()
	t.handOver.drain(drain)
	t.handOver.closeAll()
	t.stop()
	t.watching.Wait()
	t.localConnections.closeAll()
	_ = t.server.Close()
}

func (t *tailnet) listen(request *listenRequest) error {
	listener, err := t.server.Listen("tcp", fmt.Sprintf(":%d", request.Port))
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.listeners[request.Listener]; taken {
		listener.Close()
		return fmt.Errorf("listener %q exists", request.Listener)
	}
	t.listeners[request.Listener] = listener
	go t.handOver.serve(listener, request)
	return nil
}

// unlisten is content when there is no such listener.
func (t *tailnet) unlisten(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if listener, ok := t.listeners[name]; ok {
		listener.Close()
		delete(t.listeners, name)
	}
}

// serveProxy returns where the proxy listens.
func (t *tailnet) serveProxy(request *proxyRequest) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.proxy != nil {
		return "", errors.New("there is a proxy already")
	}
	proxy, err := serveProxy(request.Port, request.User, request.Password, t.server.Dial, t.log)
	if err != nil {
		return "", err
	}
	t.proxy = proxy
	return proxy.address(), nil
}

// identify never fails: whom it cannot name is unknown, and is refused.
func (t *tailnet) identify(ctx context.Context, source netip.AddrPort) identity {
	if !source.Addr().IsValid() {
		return unknownIdentity()
	}
	ctx, cancel := context.WithTimeout(ctx, whoIsTimeout)
	defer cancel()
	address := source.String()
	if source.Port() == 0 {
		address = source.Addr().String()
	}
	who, err := t.local.WhoIsProto(ctx, "tcp", address)
	if err != nil {
		if !errors.Is(err, local.ErrPeerNotFound) {
			t.log(logWarn, fmt.Sprintf("WhoIs of %s failed: %v", source.Addr(), err))
		}
		return unknownIdentity()
	}
	return describe(who, source.Addr(), t.capabilities, time.Now())
}

// identifyNodes says who the nodes with these stable IDs are, each by an address of its own; one that is no peer is unknown. An error
// means that nobody can say, which must not be taken for their absence.
func (t *tailnet) identifyNodes(nodes []string) ([]identity, error) {
	ctx, cancel := context.WithTimeout(context.Background(), whoIsTimeout)
	defer cancel()
	status, err := t.local.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("the tailnet's peers cannot be listed: %w", err)
	}
	addresses := make(map[string]netip.Addr, len(status.Peer)+1)
	for _, peer := range status.Peer {
		if len(peer.TailscaleIPs) > 0 {
			addresses[string(peer.ID)] = peer.TailscaleIPs[0]
		}
	}
	identities := make([]identity, 0, len(nodes))
	for _, node := range nodes {
		found := t.identify(ctx, netip.AddrPortFrom(addresses[node], 0))
		if found.NodeID != node {
			// The address has changed hands between the two questions: as good as gone, and asked again at the next pass.
			found = unknownIdentity()
		}
		identities = append(identities, found)
	}
	if ctx.Err() != nil {
		return nil, errors.New("the tailnet's peers cannot be asked for in time")
	}
	return identities, nil
}

// whoIs takes ip or ip:port.
func (t *tailnet) whoIs(address string) (identity, error) {
	source, err := netip.ParseAddrPort(address)
	if err != nil {
		ip, err := netip.ParseAddr(address)
		if err != nil {
			return identity{}, errors.New("not an IP address, nor one with a port")
		}
		source = netip.AddrPortFrom(ip, 0)
	}
	return t.identify(context.Background(), netip.AddrPortFrom(source.Addr().Unmap(), source.Port())), nil
}

func (t *tailnet) names() (string, []netip.Addr, []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.dnsName, slices.Clone(t.seen.addresses), slices.Clone(t.seen.certDomains)
}

func checkControlURL(text string) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return fmt.Errorf("the control URL %.100q is not of the form https://host", text)
	}
	return nil
}

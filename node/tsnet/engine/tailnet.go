package main

// The tailnet node itself: Tailscale's client in this process, watched, with its listeners. One per engine.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/health"
	"tailscale.com/ipn"
	"tailscale.com/tsconst"
	"tailscale.com/tsnet"
)

const (
	whoIsTimeout = 2 * time.Second
	// A tailnet may hold this node alone; after this long without a peer it is believed to.
	// (headscale may send the first netmap up to 1.5 s before the peers.)
	peersWithin = 3 * time.Second
	// Changes that the notify bus does not tell (DNS settings, certificate domains) are seen this often.
	lookAgain = 15 * time.Second
	// At most this many hints a second about changed peers.
	hintEvery = 100 * time.Millisecond
)

type tailnet struct {
	server       *tsnet.Server
	local        *local.Client
	capabilities []string
	callers      []string
	send         func(message any)
	log          func(logLevel, string)
	redact       func(string) string
	handOver     *handOver
	context      context.Context // of everything it does by itself
	stop         context.CancelFunc
	watching     sync.WaitGroup

	mu        sync.Mutex
	seen      observed
	sent      *state
	running   bool // has been Running in this life
	hints     hintState
	listeners map[string]net.Listener

	localConnections connectionSet

	looking sync.Mutex // one look at a time, so that an older answer never replaces a newer one
}

type hintState int

const (
	hintNow   hintState = iota
	hintQuiet           // one was sent a moment ago
	hintAgain           // and something changed since
)

// startTailnet returns when the client runs; whether and when it joins is told by state messages.
func startTailnet(request *startRequest, send func(any), log func(logLevel, string), redact func(string) string) (*tailnet, error) {
	if err := checkControlURL(request.ControlURL); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(request.StateDir, 0o700); err != nil {
		return nil, err
	}
	ca, err := openAuthority(request.StateDir, request.Hostname, time.Now())
	if err != nil {
		return nil, fmt.Errorf("the node's own CA: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &tailnet{capabilities: request.Capabilities, callers: request.Callers, send: send, log: log, redact: redact,
		context: ctx, stop: cancel, listeners: map[string]net.Listener{}}
	t.seen = observed{
		gaveAuthKey: request.AuthKey != "",
		controlURL:  request.ControlURL,
		caPEM:       ca.pem,
	}
	if t.seen.controlURL == "" {
		t.seen.controlURL = ipn.DefaultControlURL
	}
	clientLog := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !strings.Contains(text, "[v1]") && !strings.Contains(text, "[v2]") && !strings.Contains(text, "[v\x00") {
			log(logDebug, text)
		}
	}
	t.server = &tsnet.Server{
		Dir:           request.StateDir,
		Hostname:      request.Hostname,
		ControlURL:    request.ControlURL,
		AuthKey:       request.AuthKey,
		Ephemeral:     request.Ephemeral,
		AdvertiseTags: request.Tags,
		Logf:          clientLog,
		UserLogf:      clientLog,
	}
	if t.local, err = t.server.LocalClient(); err != nil { // starts it
		cancel()
		return nil, err
	}
	t.local.Dial = t.localConnections.dialer(t.local.Dial)
	certificates := &certificates{
		ca: ca, hostname: request.Hostname, names: t.names, fromTailnet: t.local.GetCertificate, now: time.Now,
	}
	t.handOver = newHandOver(request.SocketPath, request.Nonce, certificates.config(), t.identify, log)
	t.watching.Go(func() { t.watch(ctx) })
	t.watching.Go(func() { t.lookAgainNowAndThen(ctx) })
	return t, nil
}

// close ends listeners, connections and the client, which logs an ephemeral node out. It takes seconds when the control
// server does not answer: the caller bounds it.
func (t *tailnet) close() {
	t.mu.Lock()
	for _, listener := range t.listeners {
		listener.Close()
	}
	clear(t.listeners)
	t.mu.Unlock()
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
	go t.handOver.serve(listener, request.Listener, request.TLS)
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

// watch follows the notify bus until ctx ends, and starts over when the client ends the watch (it does with a watcher
// that fell behind): then everything is looked at anew.
func (t *tailnet) watch(ctx context.Context) {
	const asked = ipn.NotifyInitialState | ipn.NotifyInitialHealthState | ipn.NotifyPeerChanges | ipn.NotifyPeerPatches
	for ctx.Err() == nil {
		watcher, err := t.local.WatchIPNBus(ctx, asked)
		if err == nil {
			for {
				var notify ipn.Notify
				if notify, err = watcher.Next(); err != nil {
					break
				}
				t.observe(ctx, &notify)
			}
			watcher.Close()
			t.hint()
		}
		if ctx.Err() == nil {
			t.log(logDebug, fmt.Sprintf("watch of the client's state starts over: %v", err))
			pause(ctx, 100*time.Millisecond)
		}
	}
}

func (t *tailnet) lookAgainNowAndThen(ctx context.Context) {
	for pause(ctx, lookAgain) {
		t.look(ctx)
	}
}

// observe folds a notification in. Peer patches alone (online, endpoints) change nothing that is told.
func (t *tailnet) observe(ctx context.Context, n *ipn.Notify) {
	peersChanged := len(n.PeersChanged) > 0 || len(n.PeersRemoved) > 0 || len(n.UserProfiles) > 0
	changed := n.State != nil || n.BrowseToURL != nil || n.ErrMessage != nil || n.Health != nil ||
		n.SelfChange != nil || n.LoginFinished != nil
	if peersChanged || n.SelfChange != nil {
		t.hint()
	}
	if !changed && !peersChanged {
		return
	}
	loginAgain := false
	t.mu.Lock()
	if n.State != nil {
		// A node that was in and must log in again (its key has expired) is asked to; tsnet does so only at its start.
		loginAgain = *n.State == ipn.NeedsLogin && t.running
		t.seen.keyExpired = t.seen.keyExpired || loginAgain
		t.seen.backend = *n.State
		if *n.State == ipn.Running {
			t.running = true
			t.seen.keyExpired = false
			t.seen.refused, t.seen.loginError, t.seen.authURL = "", "", ""
		}
		t.running = t.running && !loginAgain
	}
	if n.BrowseToURL != nil {
		t.seen.authURL = *n.BrowseToURL
	}
	if n.ErrMessage != nil && t.seen.backend != ipn.Running && !strings.Contains(*n.ErrMessage, "rate limited") {
		t.seen.refused = *n.ErrMessage
	}
	if n.Health != nil {
		t.seen.noteHealth(n.Health)
	}
	if len(n.PeersChanged) > 0 {
		t.seen.hasPeers = true
	}
	t.mu.Unlock()
	if loginAgain {
		if err := t.local.StartLoginInteractive(ctx); err != nil {
			t.log(logWarn, fmt.Sprintf("asking for a new login failed: %v", err))
		}
	}
	t.look(ctx)
}

func (o *observed) noteHealth(h *health.State) {
	o.health = nil
	o.loginError = ""
	for code, warning := range h.Warnings {
		if code != tsconst.HealthWarnableLoginState { // that one is the state's reason
			o.health = append(o.health, warning.Title+": "+warning.Text)
		}
		if code == tsconst.HealthWarnableLoginState {
			o.loginError = warning.Args[health.ArgError]
		}
	}
	if o.loginError == "" {
		o.refused = ""
	}
}

// look asks the client for what notifications do not carry, and sends the state if it changed.
func (t *tailnet) look(ctx context.Context) {
	t.looking.Lock()
	defer t.looking.Unlock()
	status, err := t.local.StatusWithoutPeers(ctx)
	if err != nil {
		if ctx.Err() == nil {
			t.log(logWarn, fmt.Sprintf("the client's status could not be read: %v", err))
		}
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.addresses = status.TailscaleIPs
	t.seen.certDomains = status.CertDomains
	if status.AuthURL != "" {
		t.seen.authURL = status.AuthURL
	}
	if self := status.Self; self != nil && self.ID != "" {
		t.seen.dnsName = self.DNSName
		t.seen.stableNodeID = string(self.ID)
		t.seen.keyExpiry = time.Time{}
		if self.KeyExpiry != nil {
			t.seen.keyExpiry = *self.KeyExpiry
		}
		if !t.seen.hasNetMap {
			t.seen.hasNetMap = true
			go t.awaitPeers(ctx)
		}
	}
	t.publishLocked()
}

// awaitPeers ends the wait for the first netmap's peers where there are none.
func (t *tailnet) awaitPeers(ctx context.Context) {
	if status, err := t.local.Status(ctx); err != nil || len(status.Peer) == 0 {
		if !pause(ctx, peersWithin) {
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.hasPeers = true
	t.publishLocked()
}

func (t *tailnet) publishLocked() {
	next := t.seen.state()
	if t.sent != nil && reflect.DeepEqual(*t.sent, next) {
		return
	}
	if next.Ready && (t.sent == nil || !t.sent.Ready) {
		go greetCallers(t.context, t.local, t.callers)
	}
	t.sent = &next
	told := next
	told.Reason = t.redact(told.Reason) // it quotes servers
	t.send(stateMessage{Type: "state", state: told})
}

// hint tells Node that peers may have changed: at once, and then once for all that changes in hintEvery.
func (t *tailnet) hint() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hintLocked()
}

func (t *tailnet) hintLocked() {
	if t.hints != hintNow {
		t.hints = hintAgain
		return
	}
	t.hints = hintQuiet
	t.send(peersMessage{Type: "peers"})
	time.AfterFunc(hintEvery, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		again := t.hints == hintAgain
		t.hints = hintNow
		if again {
			t.hintLocked()
		}
	})
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

// pause is false when ctx ended first.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

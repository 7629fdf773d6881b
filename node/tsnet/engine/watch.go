package main

// What the client reports, folded into a state and hints for Node. The notify bus says when something moved; what moved
// is then asked of the client, because a notification carries only part of it.

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"tailscale.com/health"
	"tailscale.com/ipn"
	"tailscale.com/tsconst"
	"tailscale.com/util/clientmetric"
)

const (
	// A tailnet may hold this node alone; after this long without a peer it is believed to.
	// (headscale may send the first netmap up to 1.5 s before the peers.)
	peersWithin = 3 * time.Second
	// Changes that the notify bus does not tell (DNS settings, certificate domains) are seen this often.
	lookAgain = 15 * time.Second
	// The least time between two hints about changed peers.
	hintEvery = 100 * time.Millisecond
)

type hintState int

const (
	hintNow   hintState = iota
	hintQuiet           // one was sent a moment ago
	hintAgain           // and something changed since
)

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
	loginAgain, key := false, ""
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
	isRefused := n.ErrMessage != nil && t.seen.backend != ipn.Running && !strings.Contains(*n.ErrMessage, "rate limited")
	if t.spareKey != "" && (t.seen.backend == ipn.NeedsLogin || isRefused && t.home.isPrepared()) {
		loginAgain, key = true, t.spareKey
		t.spareKey, t.seen.gaveAuthKey, t.seen.authURL = "", true, ""
		isRefused = false
	}
	if isRefused {
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
		t.loginAgain(ctx, key)
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
	t.seen.noteControl(messagesOfControl(), time.Now())
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
	go t.lookAtCertificate(ctx)
}

// lookAtCertificate runs beside a look: a tailnet's certificate may have to be issued first, which takes seconds.
func (t *tailnet) lookAtCertificate(ctx context.Context) {
	expiry := t.certificates.expiry()
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil || expiry.IsZero() || expiry.Equal(t.seen.certExpiry) {
		return
	}
	t.seen.certExpiry = expiry
	t.publishLocked()
}

// noteControl remembers when the count of the control server's messages last rose. The client keeps no such time; it gives up
// on a server that is silent for two minutes, and a server says something each minute.
func (o *observed) noteControl(messages int64, now time.Time) {
	if messages != o.controlMessages {
		o.controlMessages, o.controlHeard = messages, now
	}
}

func messagesOfControl() int64 {
	for _, metric := range clientmetric.Metrics() {
		if metric.Name() == "controlclient_map_response_message" {
			return metric.Value()
		}
	}
	return 0
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

func (t *tailnet) publish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.publishLocked()
}

func (t *tailnet) publishLocked() {
	t.seen.unsaved = t.home.problem()
	next := t.seen.state()
	t.seen.settled = t.seen.settled || next.Ready
	if t.sent != nil && reflect.DeepEqual(*t.sent, next) {
		return
	}
	if next.Ready && (t.sent == nil || !t.sent.Ready) {
		system := t.server.Sys()
		go rehandshake(t.context, t.local, system.Engine.Get(), t.callers, func(caller netip.Addr) {
			reset(caller, t.lost, system.Tun.Get().InjectOutbound)
		})
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

// pause is false when ctx ended first.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

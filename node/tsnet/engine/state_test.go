package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"tailscale.com/health"
	"tailscale.com/ipn"
)

func TestState(t *testing.T) {
	const control = "https://control.example"
	for _, test := range []struct {
		name   string
		seen   observed
		status status
		ready  bool
		reason string
		url    string
	}{
		{"nothing yet", observed{}, statusStarting, false, "", ""},
		{"logging in", observed{backend: ipn.NeedsLogin}, statusStarting, false, "", ""},
		{"running, no netmap", observed{backend: ipn.Running}, statusRunning, false, "waiting for the peers of this tailnet", ""},
		{"running, no peers yet", observed{backend: ipn.Running, hasNetMap: true}, statusRunning, false, "waiting for the peers of this tailnet", ""},
		{"running", observed{backend: ipn.Running, hasNetMap: true, hasPeers: true}, statusRunning, true, "", ""},
		{"a person is asked", observed{backend: ipn.NeedsLogin, authURL: control + "/a/1"}, statusNeedsLogin, false,
			"a person must approve this node, or give it an auth key", control + "/a/1"},
		{"the node's key has expired", observed{backend: ipn.NeedsLogin, keyExpired: true, hasNetMap: true, hasPeers: true}, statusNeedsLogin, false,
			"the node's key has expired", ""},
		{"an administrator is asked", observed{backend: ipn.NeedsMachineAuth}, statusNeedsLogin, false,
			"an administrator of the tailnet must approve this device", ""},
		{"control is away", observed{backend: ipn.NoState, loginError: "fetch control key: dial tcp: refused"}, statusStarting, false,
			"cannot log in at the control server https://control.example: fetch control key: dial tcp: refused", ""},
		{"control is overloaded", observed{backend: ipn.NeedsLogin, loginError: "register request: http 503: later"}, statusStarting, false,
			"cannot log in at the control server https://control.example: register request: http 503: later", ""},
		{"control asks for patience", observed{backend: ipn.NeedsLogin, loginError: "register request: http 429: later", gaveAuthKey: true}, statusStarting, false,
			"cannot log in at the control server https://control.example: register request: http 429: later", ""},
		{"the auth key is refused in words", observed{backend: ipn.NeedsLogin, gaveAuthKey: true, refused: "authkey expired", loginError: "authkey expired"}, statusFailed, false,
			"the auth key was refused by https://control.example: authkey expired; make a new one", ""},
		{"the auth key is refused by status", observed{backend: ipn.NoState, gaveAuthKey: true, loginError: "register request: http 401: invalid"}, statusFailed, false,
			"the auth key was refused by https://control.example: register request: http 401: invalid; make a new one", ""},
		{"a node without a key is refused", observed{backend: ipn.NeedsLogin, refused: "tag:x is not permitted"}, statusFailed, false,
			"this node was refused by https://control.example: tag:x is not permitted", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.seen.controlURL = control
			got := test.seen.state()
			if got.Status != test.status || got.Ready != test.ready || got.Reason != test.reason || got.AuthURL != test.url {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestStateNamesTheNode(t *testing.T) {
	got := observed{
		addresses: []netip.Addr{netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("fd7a::1")},
		dnsName:   "tka.tail.test.", stableNodeID: "n2", caPEM: "PEM",
		keyExpiry: time.Date(2027, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
	}.state()
	if !slices.Equal(got.Addresses, []string{"100.64.0.1", "fd7a::1"}) || got.DNSName != "tka.tail.test" ||
		got.KeyExpiry != "2027-01-02T02:04:05Z" || got.CAPEM != "PEM" {
		t.Errorf("%+v", got)
	}
	if got := (observed{caPEM: "PEM", certDomains: []string{"tka.tail.test"}}).state(); got.CAPEM != "" {
		t.Error("names its own CA though the tailnet has certificates")
	}
}

func TestHealth(t *testing.T) {
	seen := observed{refused: "no", loginError: "no"}
	seen.noteHealth(&health.State{Warnings: map[health.WarnableCode]health.UnhealthyState{
		"login-state": {Title: "Logged out", Text: "…", Args: health.Args{health.ArgError: "no"}},
		"no-derp":     {Title: "No relay", Text: "none answers"},
	}})
	if seen.loginError != "no" || seen.refused != "no" || !slices.Equal(seen.health, []string{"No relay: none answers"}) {
		t.Errorf("%+v", seen)
	}
	seen.noteHealth(&health.State{})
	if seen.loginError != "" || seen.refused != "" || len(seen.health) != 0 {
		t.Errorf("a login that works again: %+v", seen)
	}
}

func TestControlIsHeardWhenItsMessagesRise(t *testing.T) {
	seen := observed{}
	seen.noteControl(0, now)
	if told := seen.state().ControlHeard; told != "" {
		t.Errorf("%q before the first message", told)
	}
	seen.noteControl(3, now)
	seen.noteControl(3, now.Add(time.Minute))
	if told := seen.state().ControlHeard; told != now.Format(time.RFC3339) {
		t.Errorf("%q after a minute of silence", told)
	}
	seen.noteControl(4, now.Add(2*time.Minute))
	if told := seen.state().ControlHeard; told != now.Add(2*time.Minute).Format(time.RFC3339) {
		t.Errorf("%q after another message", told)
	}
}

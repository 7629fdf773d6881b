package main

// What the client reports, folded into the one state that Node sees. Pure: observations in, a state out.

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"tailscale.com/ipn"
)

// observed is everything known about the node at one moment.
type observed struct {
	backend     ipn.State
	hasNetMap   bool // the node's own entry has come from the control server
	hasPeers    bool // so have peers, or the time in which they would have come is over
	authURL     string
	keyExpired  bool
	refused     string // the control server's own words for refusing the last attempt to log in
	loginError  string // why the last attempt failed, on the way there or there; empty once one works
	gaveAuthKey bool
	controlURL  string

	addresses    []netip.Addr
	dnsName      string
	stableNodeID string
	certDomains  []string
	caPEM        string
	keyExpiry    time.Time
	controlHeard time.Time
	// How many messages of the control server came so far; controlHeard is when that last rose.
	controlMessages int64
	controlAway     time.Time // when contact with the control server was lost; zero: there is contact
	certExpiry      time.Time
	health          []string
	unsaved         string // why something of the node's own state is not saved
	settled         bool   // was ready before
}

func (o observed) state() state {
	s := state{
		Status:       statusStarting,
		Addresses:    []string{},
		DNSName:      strings.TrimSuffix(o.dnsName, "."),
		StableNodeID: o.stableNodeID,
		CertDomains:  append([]string{}, o.certDomains...),
		Health:       append([]string{}, o.health...),
	}
	if o.unsaved != "" {
		s.Health = append(s.Health, "State not saved: "+o.unsaved)
		s.Unsaved = brief(o.unsaved)
	}
	for _, address := range o.addresses {
		s.Addresses = append(s.Addresses, address.String())
	}
	slices.Sort(s.Health)
	if len(o.certDomains) == 0 {
		s.CAPEM = o.caPEM
	}
	s.KeyExpiry = moment(o.keyExpiry)
	s.ControlHeard = moment(o.controlHeard)
	if o.backend == ipn.Running {
		s.ControlAway = moment(o.controlAway)
	}
	s.CertExpiry = moment(o.certExpiry)

	switch o.backend {
	case ipn.Running:
		s.Status = statusRunning
		s.Ready = o.hasNetMap && o.hasPeers
		if !s.Ready {
			s.Reason = "waiting for the peers of this tailnet"
		} else if o.unsaved != "" && !o.settled {
			// Whoever comes to know a node that is lost with its process would have to learn another.
			s.Ready = false
			s.Reason = "the node's state is not saved: " + brief(o.unsaved)
		}
	case ipn.NeedsMachineAuth:
		s.Status = statusNeedsLogin
		s.Reason = "an administrator of the tailnet must approve this device"
	case ipn.NeedsLogin:
		s.needsLogin(o)
	case ipn.Stopped:
		s.Reason = "the client is stopped"
	default:
		if o.loginError != "" || o.refused != "" {
			s.needsLogin(o)
		}
	}
	return s
}

// needsLogin tells a key that is refused for good from a server that cannot be asked and from a person who is awaited.
func (s *state) needsLogin(o observed) {
	refused := o.refused
	if refused == "" && registerRefused.MatchString(o.loginError) {
		refused = o.loginError
	}
	switch {
	case refused != "" && o.gaveAuthKey:
		s.Status = statusFailed
		s.Reason = fmt.Sprintf("the auth key was refused by %s: %s; make a new one", o.controlURL, brief(refused))
	case refused != "":
		s.Status = statusFailed
		s.Reason = fmt.Sprintf("this node was refused by %s: %s", o.controlURL, brief(refused))
	case o.loginError != "":
		s.Reason = fmt.Sprintf("cannot log in at the control server %s: %s", o.controlURL, brief(o.loginError))
	case o.authURL != "":
		s.Status = statusNeedsLogin
		s.AuthURL = o.authURL
		s.Reason = "a person must approve this node, or give it an auth key"
		if o.keyExpired {
			s.Reason = "the node's key has expired: a person must approve it again, or give it an auth key"
		}
	case o.keyExpired:
		s.Status = statusNeedsLogin
		s.Reason = "the node's key has expired"
	}
}

// A 4xx from `register` is an answer, not an outage; the client reports it as `register request: http 401: …`. 429 passes.
var registerRefused = regexp.MustCompile(`^register request: http 4(0\d|1\d|2[0-8])\b`)

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return text
}

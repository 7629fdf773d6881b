package main

// Who is calling: WhoIs answers turned into what Node is told, with the callers that must be refused marked. The
// decision is a pure function of the answer and the address; a caller that is not surely one node of this tailnet,
// speaking for itself, is refused.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tailscale.com/client/tailscale/apitype"
	"tailscale.com/tailcfg"
)

const (
	maxRule  = 64 << 10  // one grant's text; more becomes a text that does not parse
	maxRules = 256 << 10 // all grants of one answer together
)

func unknownIdentity() identity {
	return identity{Tags: []string{}, Refusal: refusedUnknown, Capabilities: map[string][]string{}}
}

// describe turns a WhoIs answer for source into an identity. who may be nil.
func describe(who *apitype.WhoIsResponse, source netip.Addr, capabilities []string, now time.Time) identity {
	if who == nil || who.Node == nil || who.UserProfile == nil || who.Node.StableID == "" {
		return unknownIdentity()
	}
	node := who.Node
	answer := identity{
		NodeID:       string(node.StableID),
		NodeKey:      node.Key.String(),
		NodeName:     nodeName(node),
		Tags:         append([]string{}, node.Tags...),
		Refusal:      refuse(node, source, now),
		Capabilities: grants(who.CapMap, capabilities),
	}
	if !node.IsTagged() {
		answer.User = &identityUser{
			ID:          fmt.Sprint(int64(node.User)),
			LoginName:   who.UserProfile.LoginName,
			DisplayName: who.UserProfile.DisplayName,
		}
	}
	return answer
}

// pinOf is what must stay the same while a connection lasts: the node, its key, and whether a user (and which) or tags speak
// for it.
func pinOf(who identity) string {
	user := ""
	if who.User != nil {
		user = "user " + who.User.ID
	}
	return who.NodeID + "\n" + who.NodeKey + "\n" + user
}

// refuse names the first reason to turn node away, or none.
func refuse(node *tailcfg.Node, source netip.Addr, now time.Time) refusal {
	switch {
	case node.UnsignedPeerAPIOnly:
		// The control server's own Funnel relays: what they carry comes from the internet.
		return refusedFunnel
	case node.Sharer != 0, node.Hostinfo.Valid() && node.Hostinfo.ShareeNode(), node.IsJailed:
		return refusedShared
	case node.Expired, !node.KeyExpiry.IsZero() && !node.KeyExpiry.After(now):
		return refusedExpired
	case !ownsAddress(node, source):
		return refusedAddress
	case routesForOthers(node):
		return refusedRouter
	}
	return ""
}

func ownsAddress(node *tailcfg.Node, source netip.Addr) bool {
	source = source.Unmap()
	return slices.ContainsFunc(node.Addresses, func(own netip.Prefix) bool {
		return own.IsSingleIP() && own.Addr() == source
	})
}

// routesForOthers reports whether packets from addresses other than the node's own may come through it: a subnet
// router, an exit node, an app connector. Behind one of those, anyone on that network is indistinguishable.
func routesForOthers(node *tailcfg.Node) bool {
	if len(node.PrimaryRoutes) > 0 {
		return true
	}
	return slices.ContainsFunc(node.AllowedIPs, func(allowed netip.Prefix) bool {
		return !slices.Contains(node.Addresses, allowed)
	})
}

func nodeName(node *tailcfg.Node) string {
	if name := strings.TrimSuffix(node.Name, "."); name != "" {
		return name
	}
	if node.Hostinfo.Valid() {
		return node.Hostinfo.Hostname()
	}
	return ""
}

// grants keeps each rule's text, repeated keys and all, less the white space: parsing strictly is the reader's part. What is too
// large is replaced by a text that no JSON parser takes, so that it is dropped there, with a reason, and widens nothing.
func grants(granted tailcfg.PeerCapMap, capabilities []string) map[string][]string {
	answer := map[string][]string{}
	left := maxRules
	for _, capability := range capabilities {
		rules, ok := granted[tailcfg.PeerCapability(capability)]
		if !ok {
			continue
		}
		texts := make([]string, 0, len(rules))
		for i, rule := range rules {
			text := compact(string(rule))
			if len(text) > maxRule {
				text = fmt.Sprintf("!rule of %d bytes, more than %d", len(text), maxRule)
			}
			if len(text) > left {
				texts = append(texts, fmt.Sprintf("!%d more rules: more than %d bytes in all", len(rules)-i, maxRules))
				left = 0
				break
			}
			left -= len(text)
			texts = append(texts, text)
		}
		answer[capability] = texts
	}
	return answer
}

// compact is token for token what it was given.
func compact(text string) string {
	var compacted bytes.Buffer
	if err := json.Compact(&compacted, []byte(text)); err != nil {
		return "!not JSON"
	}
	return compacted.String()
}

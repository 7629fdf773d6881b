package main

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tailscale.com/client/tailscale/apitype"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// laptop is a node that nothing speaks against.
func laptop() *tailcfg.Node {
	own := prefixes("100.64.0.1/32", "fd7a:115c:a1e0::1/128")
	return &tailcfg.Node{
		ID: 1, StableID: "n1", User: 7, Name: "laptop.tail.test.", Key: key.NewNode().Public(),
		Addresses: own, AllowedIPs: slices.Clone(own),
		Hostinfo: (&tailcfg.Hostinfo{Hostname: "laptop"}).View(),
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*tailcfg.Node)
		source string
		want   refusal
	}{
		{"a plain node", func(*tailcfg.Node) {}, "100.64.0.1", ""},
		{"by its IPv6 address", func(*tailcfg.Node) {}, "fd7a:115c:a1e0::1", ""},
		{"by its IPv4 address in IPv6 form", func(*tailcfg.Node) {}, "::ffff:100.64.0.1", ""},
		{"a tagged node", func(n *tailcfg.Node) { n.Tags = []string{"tag:ci"} }, "100.64.0.1", ""},
		{"a key that expires later", func(n *tailcfg.Node) { n.KeyExpiry = now.Add(time.Second) }, "100.64.0.1", ""},
		{"routes that it advertises and nobody approved", func(n *tailcfg.Node) {
			n.Hostinfo = (&tailcfg.Hostinfo{RoutableIPs: prefixes("10.0.0.0/8")}).View()
		}, "100.64.0.1", ""},

		{"a Funnel relay", func(n *tailcfg.Node) { n.UnsignedPeerAPIOnly = true }, "100.64.0.1", refusedFunnel},
		{"shared by someone", func(n *tailcfg.Node) { n.Sharer = 9 }, "100.64.0.1", refusedShared},
		{"of a user shared to", func(n *tailcfg.Node) {
			n.Hostinfo = (&tailcfg.Hostinfo{ShareeNode: true}).View()
		}, "100.64.0.1", refusedShared},
		{"jailed", func(n *tailcfg.Node) { n.IsJailed = true }, "100.64.0.1", refusedShared},
		{"expired, says control", func(n *tailcfg.Node) { n.Expired = true }, "100.64.0.1", refusedExpired},
		{"expired, says the clock", func(n *tailcfg.Node) { n.KeyExpiry = now }, "100.64.0.1", refusedExpired},
		{"another's address", func(*tailcfg.Node) {}, "100.64.0.2", refusedAddress},
		{"a loopback address", func(*tailcfg.Node) {}, "127.0.0.1", refusedAddress},
		{"an address of its range", func(n *tailcfg.Node) {
			n.Addresses = prefixes("100.64.0.1/30")
			n.AllowedIPs = n.Addresses
		}, "100.64.0.1", refusedAddress},
		{"behind a subnet router", func(n *tailcfg.Node) {
			n.AllowedIPs = append(n.AllowedIPs, prefixes("10.0.0.0/8")...)
		}, "10.0.0.5", refusedAddress},
		{"a subnet router itself", func(n *tailcfg.Node) {
			n.AllowedIPs = append(n.AllowedIPs, prefixes("10.0.0.0/8")...)
		}, "100.64.0.1", refusedRouter},
		{"a router of one address", func(n *tailcfg.Node) {
			n.AllowedIPs = append(n.AllowedIPs, prefixes("10.0.0.5/32")...)
		}, "100.64.0.1", refusedRouter},
		{"a primary router", func(n *tailcfg.Node) { n.PrimaryRoutes = prefixes("10.0.0.0/8") }, "100.64.0.1", refusedRouter},
		{"an exit node", func(n *tailcfg.Node) {
			n.AllowedIPs = append(n.AllowedIPs, prefixes("0.0.0.0/0", "::/0")...)
		}, "100.64.0.1", refusedRouter},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := laptop()
			test.change(node)
			who := &apitype.WhoIsResponse{Node: node, UserProfile: &tailcfg.UserProfile{ID: 7, LoginName: "a@example.com"}}
			if got := describe(who, netip.MustParseAddr(test.source), nil, now).Refusal; got != test.want {
				t.Errorf("refusal %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnswersThatNameNobodyAreUnknown(t *testing.T) {
	source := netip.MustParseAddr("100.64.0.1")
	nameless := laptop()
	nameless.StableID = ""
	for name, who := range map[string]*apitype.WhoIsResponse{
		"none":         nil,
		"no node":      {UserProfile: &tailcfg.UserProfile{}},
		"no profile":   {Node: laptop()},
		"no stable ID": {Node: nameless, UserProfile: &tailcfg.UserProfile{}},
	} {
		got := describe(who, source, []string{"c"}, now)
		if got.Refusal != refusedUnknown || got.NodeID != "" || got.User != nil || len(got.Capabilities) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestIdentityOfUsersAndTags(t *testing.T) {
	profile := &tailcfg.UserProfile{ID: 1 << 60, LoginName: "alice@example.com", DisplayName: "Alice"}
	source := netip.MustParseAddr("100.64.0.1")

	node := laptop()
	node.User = 1 << 60
	got := describe(&apitype.WhoIsResponse{Node: node, UserProfile: profile}, source, nil, now)
	if got.User == nil || *got.User != (identityUser{"1152921504606846976", "alice@example.com", "Alice"}) {
		t.Errorf("user %+v", got.User)
	}
	if got.NodeID != "n1" || got.NodeKey != node.Key.String() || got.NodeName != "laptop.tail.test" {
		t.Errorf("node %+v", got)
	}

	// The profile of a tagged node is a placeholder that all tagged nodes share.
	node.Tags = []string{"tag:ci"}
	got = describe(&apitype.WhoIsResponse{Node: node, UserProfile: profile}, source, nil, now)
	if got.User != nil || !slices.Equal(got.Tags, []string{"tag:ci"}) {
		t.Errorf("tagged: %+v", got)
	}

	node.Name = ""
	if got = describe(&apitype.WhoIsResponse{Node: node, UserProfile: profile}, source, nil, now); got.NodeName != "laptop" {
		t.Errorf("name %q", got.NodeName)
	}
}

func TestGrants(t *testing.T) {
	const capability = "example.com/cap"
	of := func(rules ...string) []string {
		var raw []tailcfg.RawMessage
		for _, rule := range rules {
			raw = append(raw, tailcfg.RawMessage(rule))
		}
		granted := tailcfg.PeerCapMap{capability: raw, "example.com/other": {`{}`}}
		all := grants(granted, []string{capability, "example.com/absent"})
		if len(all) != 1 {
			t.Errorf("capabilities that were not asked for, or are not there: %v", all)
		}
		return all[capability]
	}
	large := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

	if got := of(`{"role": "view",  "role":"admin"}`, `null`, `[]`); !slices.Equal(got, []string{`{"role":"view","role":"admin"}`, `null`, `[]`}) {
		t.Errorf("texts changed: %q", got)
	}
	if got := of(large(maxRule)); got[0] != large(maxRule) {
		t.Error("a rule of the largest size was changed")
	}
	if got := of(large(maxRule+1), `{}`); json.Valid([]byte(got[0])) || len(got[0]) > 100 || got[1] != `{}` {
		t.Errorf("a rule over the size: %.100q", got)
	}

	var many []string
	for range 2 * maxRules / maxRule {
		many = append(many, large(maxRule))
	}
	got := of(many...)
	total := 0
	for _, text := range got {
		total += len(text)
	}
	if total > maxRules+100 || len(got) != maxRules/maxRule+1 || json.Valid([]byte(got[len(got)-1])) {
		t.Errorf("%d rules of %d bytes in all", len(got), total)
	}
}

func TestTheLargestIdentityFitsThePreambleAndALine(t *testing.T) {
	rule := `"` + strings.Repeat(`\"`, maxRule/2-1) + `"` // each byte takes two more when encoded again
	var raw []tailcfg.RawMessage
	for range 10 {
		raw = append(raw, tailcfg.RawMessage(rule))
	}
	who := describe(&apitype.WhoIsResponse{
		Node: laptop(), UserProfile: &tailcfg.UserProfile{}, CapMap: tailcfg.PeerCapMap{"c": raw},
	}, netip.MustParseAddr("100.64.0.1"), []string{"c"}, now)
	encoded, err := encodePreamble(preamble{Identity: who})
	if err != nil || len(encoded) > maxLine {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
}

package main

// The engine against a control server and another node, all in this process, spoken to as Node does.

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tailscale.com/ipn/ipnlocal"
	"tailscale.com/ipn/store/mem"
	"tailscale.com/net/netns"
	"tailscale.com/tailcfg"
	"tailscale.com/tsnet"
	"tailscale.com/tstest/integration"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
	"tailscale.com/types/logger"
)

const capability = "example.com/cap"

func startControl(t *testing.T, change func(*testcontrol.Server)) *testcontrol.Server {
	t.Helper()
	netns.SetEnabled(false)
	t.Cleanup(func() { netns.SetEnabled(true) })
	control := &testcontrol.Server{
		DERPMap:        integration.RunDERPAndSTUN(t, logger.Discard, "127.0.0.1"),
		MagicDNSDomain: "tail.test",
		Logf:           logger.Discard,
	}
	if change != nil {
		change(control)
	}
	control.HTTPTestServer = httptest.NewServer(control)
	t.Cleanup(control.HTTPTestServer.Close)
	return control
}

// startEngine is a conversation with an engine that has been told to join control, and the socket it hands over to.
func startEngine(t *testing.T, controlURL, authKey string) (*conversation, net.Listener) {
	t.Helper()
	return startEngineWith(t, controlURL, func(start *startRequest) { start.AuthKey = authKey })
}

func startEngineWith(t *testing.T, controlURL string, change func(*startRequest)) (*conversation, net.Listener) {
	t.Helper()
	c, node := tellEngine(t, controlURL, change)
	if got := c.answer(1); got["type"] != "done" {
		t.Fatal(got)
	}
	return c, node
}

// tellEngine does not wait for the answer to `start`, which has the id 1.
func tellEngine(t *testing.T, controlURL string, change func(*startRequest), prepare ...func(*conversation)) (*conversation, net.Listener) {
	t.Helper()
	node, err := net.Listen("unix", unixPath(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	c := converse(t)
	for _, prepare := range prepare {
		prepare(c)
	}
	c.say(fmt.Sprintf(`{"type":"hello","version":%d}`, protocolVersion))
	start := startRequest{
		Type: "start", ID: 1, Hostname: "tka", StateDir: t.TempDir(), ControlURL: controlURL,
		Tags: []string{}, Capabilities: []string{capability}, SocketPath: node.Addr().String(), Nonce: "n", Callers: []string{},
	}
	change(&start)
	line, _ := encodeLine(start)
	c.say(string(line))
	return c, node
}

func isState(fits func(state map[string]any) bool) func(map[string]any) bool {
	return func(message map[string]any) bool { return message["type"] == "state" && fits(message) }
}

func isReady(state map[string]any) bool { return state["ready"] == true }

// address is the first of a ready engine.
func address(ready map[string]any) string { return ready["addresses"].([]any)[0].(string) }

func (c *conversation) listen(id int, port uint16, tls bool) {
	c.t.Helper()
	line, _ := encodeLine(listenRequest{Type: "listen", ID: uint32(id), Listener: fmt.Sprint(port), Port: port, TLS: tls})
	c.say(string(line))
	if got := c.answer(float64(id)); got["type"] != "done" {
		c.t.Fatal(got)
	}
}

func (c *conversation) whoIs(id int, address string) identity {
	c.t.Helper()
	c.say(fmt.Sprintf(`{"type":"whoIs","id":%d,"address":%q}`, id, address))
	text, _ := json.Marshal(c.answer(float64(id)))
	var answer identityMessage
	if err := json.Unmarshal(text, &answer); err != nil || answer.Type != "identity" {
		c.t.Fatalf("%s", text)
	}
	return answer.Identity
}

func startPeer(t *testing.T, controlURL, name string) (*tsnet.Server, *tailcfg.Node) {
	t.Helper()
	peer := &tsnet.Server{Dir: t.TempDir(), ControlURL: controlURL, Hostname: name, Store: new(mem.Store), Ephemeral: true, UserLogf: logger.Discard}
	t.Cleanup(func() { peer.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	status, err := peer.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return peer, &tailcfg.Node{Key: status.Self.PublicKey, StableID: status.Self.ID}
}

func dial(t *testing.T, peer *tsnet.Server, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := peer.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func TestACallerArrivesWithItsIdentity(t *testing.T) {
	control := startControl(t, nil)
	control.SetGlobalAppCaps(tailcfg.PeerCapMap{capability: {`{"role": "view", "role": "admin"}`}, "example.com/other": {`{}`}})
	c, node := startEngine(t, control.HTTPTestServer.URL, "")
	ready := c.hear(isState(isReady)) // alone in its tailnet
	c.listen(2, 80, false)
	peer, known := startPeer(t, control.HTTPTestServer.URL, "laptop")
	c.hear(func(message map[string]any) bool { return message["type"] == "peers" })

	connection := dial(t, peer, net.JoinHostPort(address(ready), "80"))
	if _, err := connection.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	inner, first := receive(t, node)
	got := make([]byte, 8)
	if _, err := io.ReadFull(inner, got); err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := inner.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	inner.Close()
	if rest, err := io.ReadAll(connection); err != nil || string(rest) != "answer" {
		t.Fatalf("%q, %v", rest, err)
	}

	ip4, _ := peer.TailscaleIPs()
	who := first.Identity
	if who.NodeID != string(known.StableID) || who.NodeKey != known.Key.String() || who.NodeName != "laptop.tail.test" ||
		who.Refusal != "" || who.User == nil || who.User.ID == "" ||
		!slices.Equal(who.Capabilities[capability], []string{`{"role":"view","role":"admin"}`}) || len(who.Capabilities) != 1 {
		t.Errorf("%+v", who)
	}
	if first.Source.Address != ip4.String() || first.Destination.Address != address(ready) || first.Destination.Port != 80 {
		t.Errorf("from %v to %v", first.Source, first.Destination)
	}

	// The same by question; and what changes is told and seen.
	if again := c.whoIs(3, net.JoinHostPort(ip4.String(), "4711")); again.NodeKey != who.NodeKey || again.Refusal != "" {
		t.Errorf("%+v", again)
	}
	if stranger := c.whoIs(4, "100.99.98.97"); stranger.Refusal != refusedUnknown {
		t.Errorf("%+v", stranger)
	}
	id := 10
	for _, step := range []struct {
		want   refusal
		change func()
	}{
		{refusedRouter, func() { control.SetSubnetRoutes(known.Key, prefixes("10.0.0.0/8")) }},
		{"", func() { control.SetSubnetRoutes(known.Key, nil) }},
		{refusedFunnel, func() { control.SetUnsignedPeerAPIOnly(known.Key, true) }},
		{"", func() { control.SetUnsignedPeerAPIOnly(known.Key, false) }},
		{refusedShared, func() { control.SetJailed(selfKey(t, control), known.Key, true) }},
		{"", func() { control.SetJailed(selfKey(t, control), known.Key, false) }},
		{refusedExpired, func() {
			changed := control.Node(known.Key)
			changed.KeyExpiry = time.Now().Add(-time.Minute)
			control.UpdateNode(changed)
		}},
	} {
		step.change()
		for {
			c.hear(func(message map[string]any) bool { return message["type"] == "peers" })
			if id++; c.whoIs(id, ip4.String()).Refusal == step.want {
				break
			}
		}
	}
}

// selfKey finds the engine's node at control.
func selfKey(t *testing.T, control *testcontrol.Server) key.NodePublic {
	t.Helper()
	for _, node := range control.AllNodes() {
		if node.Hostinfo.Hostname() == "tka" {
			return node.Key
		}
	}
	t.Fatal("control does not know the engine")
	return key.NodePublic{}
}

func TestARefusedAuthKeyFailsForGood(t *testing.T) {
	control := startControl(t, func(s *testcontrol.Server) { s.RequireAuthKey = "tskey-right" })
	c, _ := startEngine(t, control.HTTPTestServer.URL, "tskey-wrong")
	got := c.hear(isState(func(state map[string]any) bool { return state["status"] == "Failed" }))
	want := fmt.Sprintf("the auth key was refused by %s: invalid authkey; make a new one", control.HTTPTestServer.URL)
	if got["reason"] != want || got["ready"] != false {
		t.Errorf("%v", got)
	}
}

func TestAnUnreachableControlServerIsNamed(t *testing.T) {
	c, _ := startEngine(t, "http://127.0.0.1:1", "tskey-any")
	got := c.hear(isState(func(state map[string]any) bool { return state["reason"] != nil }))
	if got["status"] != "Starting" || !bytes.Contains([]byte(got["reason"].(string)), []byte("http://127.0.0.1:1")) {
		t.Errorf("%v", got)
	}
}

func TestAPersonIsAskedAndThenItJoins(t *testing.T) {
	control := startControl(t, func(s *testcontrol.Server) { s.RequireAuth = true })
	c, _ := startEngine(t, control.HTTPTestServer.URL, "")
	got := c.hear(isState(func(state map[string]any) bool { return state["status"] == "NeedsLogin" }))
	url, _ := got["authUrl"].(string)
	if !control.CompleteAuth(url) {
		t.Fatalf("no such URL: %v", got)
	}
	if got := c.hear(isState(isReady)); got["authUrl"] != nil || got["reason"] != nil {
		t.Errorf("%v", got)
	}
}

func TestNothingIsLeftOfANodeThatWasKilled(t *testing.T) {
	control := startControl(t, nil)
	c, node := startEngine(t, control.HTTPTestServer.URL, "")
	c.hear(isState(isReady))
	c.service.forsaken()
	if _, err := os.Stat(filepath.Dir(node.Addr().String())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket's directory: %v", err)
	}
}

func TestTLSByTheOwnCA(t *testing.T) {
	control := startControl(t, nil)
	c, node := startEngine(t, control.HTTPTestServer.URL, "")
	ready := c.hear(isState(isReady))
	c.listen(2, 443, true)
	peer, _ := startPeer(t, control.HTTPTestServer.URL, "laptop")

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ready["caPem"].(string)))
	secured := tls.Client(dial(t, peer, net.JoinHostPort(address(ready), "443")), &tls.Config{RootCAs: roots, ServerName: "tka.tail.test"})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, first := receive(t, node); !first.TLS || first.Listener != "443" || first.Identity.NodeName != "laptop.tail.test" {
		t.Errorf("%+v", first)
	}
}

func TestTLSByTheTailnetsCertificate(t *testing.T) {
	control := startControl(t, func(s *testcontrol.Server) { s.DNSConfig = &tailcfg.DNSConfig{Proxied: true} })
	c, _ := startEngine(t, control.HTTPTestServer.URL, "")
	ready := c.hear(isState(isReady))
	if ready["caPem"] != nil || fmt.Sprint(ready["certDomains"]) != "[tka.tail.test]" {
		t.Fatalf("%v", ready)
	}
	issued := selfSigned(t, "tka.tail.test")
	tsnet.TestHooks.LocalBackend(c.service.running().server).ForTest().ConfigureCerts(
		func(string) (*ipnlocal.TLSCertKeyPair, error) { return issued, nil })
	c.listen(2, 443, true)
	peer, _ := startPeer(t, control.HTTPTestServer.URL, "laptop")

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(issued.CertPEM)
	secured := tls.Client(dial(t, peer, net.JoinHostPort(address(ready), "443")), &tls.Config{RootCAs: roots, ServerName: "tka.tail.test"})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
}

func selfSigned(t *testing.T, name string) *ipnlocal.TLSCertKeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &ipnlocal.TLSCertKeyPair{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tailscale.com/ipn"
)

// fakeListener hands out connections that a test gives it.
type fakeListener struct {
	connections chan net.Conn
	net.Listener
}

func (f fakeListener) Accept() (net.Conn, error) {
	if connection, ok := <-f.connections; ok {
		return connection, nil
	}
	return nil, net.ErrClosed
}

// handOverTo makes a hand-over to a unix socket whose connections it returns.
func handOverTo(t *testing.T, config *tls.Config) (*handOver, fakeListener, net.Listener, chan string) {
	t.Helper()
	node, err := net.Listen("unix", unixPath(t))
	if err != nil {
		t.Fatal(err)
	}
	logged := make(chan string, 16)
	identify := func(_ context.Context, source netip.AddrPort) identity {
		return identity{NodeID: "node of " + source.Addr().String(), Tags: []string{}, Capabilities: map[string][]string{"c": {`{"a":1,"a":2}`}}}
	}
	h := newHandOver(node.Addr().String(), "the nonce", config, identify, func(_ logLevel, text string) { logged <- text })
	listener := fakeListener{connections: make(chan net.Conn)}
	t.Cleanup(func() { close(listener.connections); h.closeAll(); node.Close() })
	return h, listener, node, logged
}

// receive reads a preamble as Node does.
func receive(t *testing.T, node net.Listener) (net.Conn, preamble) {
	t.Helper()
	_ = node.(*net.UnixListener).SetDeadline(time.Now().Add(5 * time.Second))
	connection, err := node.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	var length [4]byte
	if _, err := io.ReadFull(connection, length[:]); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(connection, text); err != nil {
		t.Fatal(err)
	}
	var first preamble
	if err := json.Unmarshal(text, &first); err != nil {
		t.Fatal(err)
	}
	return connection, first
}

func TestAConnectionArrivesWithItsPreamble(t *testing.T) {
	h, listener, node, _ := handOverTo(t, nil)
	go h.serve(listener, &listenRequest{Listener: "7", TLS: false})
	client, accepted := tcpPair(t)
	listener.connections <- accepted
	if _, err := client.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	connection, first := receive(t, node)
	source := client.LocalAddr().(*net.TCPAddr)
	if first.Nonce != "the nonce" || first.Listener != "7" || first.TLS || first.Source.Address != "127.0.0.1" ||
		int(first.Source.Port) != source.Port || first.Identity.NodeID != "node of 127.0.0.1" ||
		first.Identity.Capabilities["c"][0] != `{"a":1,"a":2}` {
		t.Errorf("%+v", first)
	}
	got := make([]byte, 16)
	if _, err := io.ReadFull(connection, got); err != nil || string(got) != "GET / HTTP/1.1\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	connection.Close()
	_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if rest, err := io.ReadAll(client); err != nil || len(rest) > 0 {
		t.Errorf("after Node closed: %q, %v", rest, err)
	}
}

func TestTLSIsEndedBeforeNode(t *testing.T) {
	clock := time.Now()
	c := ownCertificates(t, &namesOf{dnsName: "tka.tail.test."}, &clock)
	h, listener, node, logged := handOverTo(t, c.config())
	go h.serve(listener, &listenRequest{Listener: "443", TLS: true})

	client, accepted := tcpPair(t)
	listener.connections <- accepted
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.certificate)
	secured := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "tka.tail.test", NextProtos: []string{"h2", "http/1.1"}})
	if _, err := secured.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if protocol := secured.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
		t.Errorf("ALPN chose %q", protocol)
	}
	connection, first := receive(t, node)
	got := make([]byte, 5)
	if _, err := io.ReadFull(connection, got); err != nil || string(got) != "hello" || !first.TLS {
		t.Errorf("%q, %v, %+v", got, err, first)
	}

	// Plain bytes on the TLS port never reach Node.
	plain, accepted := tcpPair(t)
	listener.connections <- accepted
	_, _ = plain.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	select {
	case text := <-logged:
		if !strings.Contains(text, "TLS handshake") {
			t.Error(text)
		}
	case <-time.After(5 * time.Second):
		t.Error("no word of it")
	}
}

func TestFunnelIsRefusedWhateverWhoIsSays(t *testing.T) {
	h, listener, node, _ := handOverTo(t, nil)
	go h.serve(listener, &listenRequest{Listener: "1", TLS: false})
	_, accepted := tcpPair(t)
	listener.connections <- &ipn.FunnelConn{Conn: accepted}
	if _, first := receive(t, node); first.Identity.Refusal != refusedFunnel {
		t.Errorf("%+v", first.Identity)
	}
}

func TestWithoutNodeTheConnectionIsClosed(t *testing.T) {
	h, listener, node, logged := handOverTo(t, nil)
	node.Close()
	go h.serve(listener, &listenRequest{Listener: "1", TLS: false})
	client, accepted := tcpPair(t)
	listener.connections <- accepted
	_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("%v", err)
	}
	if text := <-logged; !strings.Contains(text, "could not be handed over") {
		t.Error(text)
	}
}

func TestOnePeerCannotTakeEveryConnection(t *testing.T) {
	h := newHandOver("", "", nil, nil, nil)
	greedy, other := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("100.64.0.2")
	var last net.Conn
	for i := range maxConnectionsPerPeer {
		last = &net.TCPConn{}
		if !h.admit(last, greedy) {
			t.Fatalf("connection %d was refused", i)
		}
	}
	if h.admit(&net.TCPConn{}, greedy) {
		t.Error("one more than its share")
	}
	if !h.admit(&net.TCPConn{}, other) {
		t.Error("another peer is refused for it")
	}
	h.release(last)
	if !h.admit(&net.TCPConn{}, greedy) {
		t.Error("refused although one of its own has ended")
	}
}

func TestTheEndWaitsForPeersToTakeWhatNodeHasSent(t *testing.T) {
	h, listener, node, _ := handOverTo(t, nil)
	go h.serve(listener, &listenRequest{Listener: "7", TLS: false})
	client, accepted := tcpPair(t)
	listener.connections <- accepted
	connection, _ := receive(t, node)
	sent := make([]byte, 8<<20)
	go func() {
		_, _ = connection.Write(sent)
		connection.Close()
	}()
	drained := make(chan struct{})
	go func() { h.drain(time.Minute); h.closeAll(); close(drained) }()
	select {
	case <-drained:
		t.Fatal("nobody has read anything yet")
	case <-time.After(50 * time.Millisecond):
	}
	if received, err := io.ReadAll(client); err != nil || len(received) != len(sent) {
		t.Fatalf("%d of %d bytes: %v", len(received), len(sent), err)
	}
	client.Close()
	<-drained
}

func TestTheEndDoesNotWaitForPeersThatTakeNothing(t *testing.T) {
	h, listener, node, _ := handOverTo(t, nil)
	h.drain(time.Minute)
	go h.serve(listener, &listenRequest{Listener: "7", TLS: false})
	_, accepted := tcpPair(t)
	listener.connections <- accepted
	receive(t, node)
	h.drain(time.Millisecond)
}

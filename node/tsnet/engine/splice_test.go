package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// tcpPair is a connection's two ends.
func tcpPair(t *testing.T) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	one, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); other.Close() })
	return one.(*net.TCPConn), other.(*net.TCPConn)
}

// spliced returns the peer's end and Node's end of a splice, and what closes when it is over.
func spliced(t *testing.T) (peer, node *net.TCPConn, over chan struct{}) {
	peer, peerInner := tcpPair(t)
	node, nodeInner := tcpPair(t)
	over = make(chan struct{})
	go func() {
		defer close(over)
		splice(peerInner, nodeInner, nil, &bufferPool{})
	}()
	return peer, node, over
}

func ends(t *testing.T, over chan struct{}) {
	t.Helper()
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Fatal("the splice goes on")
	}
}

func TestHalfCloseTravelsThrough(t *testing.T) {
	peer, node, over := spliced(t)
	if _, err := peer.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	peer.CloseWrite()
	if got, err := io.ReadAll(node); string(got) != "question" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := node.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	node.Close()
	if got, err := io.ReadAll(peer); string(got) != "answer" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	ends(t, over)
}

func TestBulkArrivesWholeBothWays(t *testing.T) {
	peer, node, over := spliced(t)
	sent := make([]byte, 5<<20+17)
	_, _ = rand.Read(sent)
	var both sync.WaitGroup
	for _, ends := range [][2]*net.TCPConn{{peer, node}, {node, peer}} {
		both.Go(func() { _, _ = ends[0].Write(sent); ends[0].CloseWrite() })
		both.Go(func() {
			if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
			}
		})
	}
	both.Wait()
	ends(t, over)
}

func TestAResetEndsBothSides(t *testing.T) {
	peer, node, over := spliced(t)
	_ = peer.SetLinger(0)
	peer.Close()
	ends(t, over)
	_ = node.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(node); err != nil && isTimeout(err) {
		t.Error("Node is not told") // an end or a reset, either would do
	}
}

func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	peer, node, _ := spliced(t)
	_ = peer.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	written := 0
	for {
		n, err := peer.Write(make([]byte, 1<<20))
		written += n
		if err != nil {
			break
		}
		if written > 256<<20 {
			t.Fatal("the writer is never held back")
		}
	}
	got, err := io.CopyN(io.Discard, node, int64(written))
	if err != nil {
		t.Fatalf("%d of %d bytes, %v", got, written, err)
	}
}

// countedBuffers tells each large buffer that is taken or given back.
type countedBuffers struct{ taken, given chan struct{} }

func (c countedBuffers) get() *[largeBuffer]byte {
	c.taken <- struct{}{}
	return new([largeBuffer]byte)
}
func (c countedBuffers) put(*[largeBuffer]byte) { c.given <- struct{}{} }

func TestAQuietConnectionGivesItsLargeBufferBackAndLives(t *testing.T) {
	from, fromInner := tcpPair(t)
	to, toInner := tcpPair(t)
	buffers := countedBuffers{make(chan struct{}, 8), make(chan struct{}, 8)}
	go func() { _ = copyAdaptive(toInner, fromInner, buffers) }()
	happens := func(what string, event chan struct{}) {
		t.Helper()
		select {
		case <-event:
		case <-time.After(5 * time.Second):
			t.Fatalf("the large buffer is not %s", what)
		}
	}

	_, _ = from.Write(make([]byte, smallBuffer))
	happens("taken", buffers.taken)
	happens("given back after a quiet second", buffers.given)
	_, _ = from.Write([]byte("still here"))
	got := make([]byte, smallBuffer+10)
	_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(to, got); err != nil || string(got[smallBuffer:]) != "still here" {
		t.Fatalf("%q, %v", got[smallBuffer:], err)
	}

	_, _ = from.Write(make([]byte, smallBuffer))
	happens("taken again", buffers.taken)
	_, _ = from.Write([]byte("short"))
	happens("given back after a short read", buffers.given)
}

func unixPath(t *testing.T) string { return filepath.Join(t.TempDir(), "s") }

// watchedEnds tells in which order the two ends of a connection came.
type watchedEnds struct {
	*net.TCPConn
	heard chan string
}

func (o watchedEnds) Read(p []byte) (int, error) {
	n, err := o.TCPConn.Read(p)
	if errors.Is(err, io.EOF) {
		o.heard <- "the peer's end"
	}
	return n, err
}

func (o watchedEnds) CloseWrite() error {
	o.heard <- "our end"
	return o.TCPConn.CloseWrite()
}

func TestAPeerThatHasItsAnswerClosesFirst(t *testing.T) {
	peer, peerInner := tcpPair(t)
	node, nodeInner := tcpPair(t)
	heard := make(chan string, 4)
	over := make(chan struct{})
	go func() {
		defer close(over)
		splice(watchedEnds{peerInner, heard}, nodeInner, nil, &bufferPool{})
	}()
	if _, err := node.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	node.CloseWrite()
	if _, err := io.ReadFull(peer, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	// Nothing has ended yet for the peer: there is time for it to be the first.
	_ = peer.SetReadDeadline(time.Now().Add(peerClosesFirst / 5))
	if n, err := peer.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	peer.Close()
	if first := <-heard; first != "the peer's end" {
		t.Fatalf("%s came first", first)
	}
	ends(t, over)
}

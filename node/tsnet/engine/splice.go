package main

// Two connections made one. Each direction ends on its own (half-close travels through; Node's own a moment later, so that a
// peer can close first); an error in either ends both.
// Back-pressure needs nothing: a slow writer is a reader that does not come back.
//
// Buffers grow with the traffic. A quiet direction waits with a small one; one that fills it gets 256 KiB from a pool
// (measured: with 32 KiB bulk transfers lose a quarter), and gives it back after a short read or a quiet second, so
// that a thousand idle connections cost megabytes and not hundreds of them.

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	smallBuffer = 4 << 10
	largeBuffer = 256 << 10
	quietAfter  = time.Second
	// How long a connection lives on after Node has finished writing. What Node half-closed looks the same here as what
	// it destroyed, and a peer that never closes would keep a dead one for ever.
	lingerAfterNode = time.Minute
	// How long a peer may take to end a connection that Node has ended, before it is ended from here. Whoever closes first
	// remembers the pair of addresses, and here nobody answers to it meanwhile (timewait.go): the peer's next connection from the
	// same port would wait a second.
	peerClosesFirst = 250 * time.Millisecond
	// How long a peer that has ended its TLS may take to end its connection.
	lingerEnded = time.Second
	// A peer that takes none of 256 KiB for this long is gone, or means harm.
	stalledAfter = 5 * time.Minute
)

type bufferSource interface {
	get() *[largeBuffer]byte
	put(*[largeBuffer]byte)
}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) get() *[largeBuffer]byte {
	if buffer, ok := b.pool.Get().(*[largeBuffer]byte); ok {
		return buffer
	}
	return new([largeBuffer]byte)
}

func (b *bufferPool) put(buffer *[largeBuffer]byte) { b.pool.Put(buffer) }

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// splice returns when both directions have ended; both connections are closed then. beneath is what carries the peer's TLS; nil
// where the end of peer is the end of its connection.
func splice(peer, node halfCloser, beneath net.Conn, buffers bufferSource) {
	closeBoth := func() {
		peer.Close()
		node.Close()
	}
	defer closeBoth()
	fromPeer, fromNode := make(chan struct{}), make(chan struct{})
	pass := func(to, from halfCloser, mayEnd func()) {
		if err := copyAdaptive(to, from, buffers); err != nil {
			closeBoth()
			return
		}
		mayEnd()
		_ = to.CloseWrite() // fails when the other direction has closed it already: nothing left to tell
	}
	go func() { pass(node, peer, func() {}); close(fromPeer) }()
	go func() {
		pass(peer, node, func() {
			if beneath != nil {
				return // the end of TLS is not yet the end of the connection
			}
			select {
			case <-fromPeer:
			case <-time.After(peerClosesFirst):
			}
		})
		close(fromNode)
	}()
	<-fromNode
	linger := time.AfterFunc(lingerAfterNode, closeBoth)
	defer linger.Stop()
	<-fromPeer
	if beneath != nil {
		letItClose(beneath)
	}
}

// letItClose waits for the peer's end of a connection, of which the end of its TLS has told.
func letItClose(connection net.Conn) {
	_ = connection.SetReadDeadline(time.Now().Add(lingerEnded))
	_, _ = io.Copy(io.Discard, connection)
}

type deadlineWriter interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

type deadlineReader interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// copyAdaptive copies until from ends; nil means that it ended in order.
func copyAdaptive(to deadlineWriter, from deadlineReader, buffers bufferSource) error {
	small := make([]byte, smallBuffer)
	var large *[largeBuffer]byte
	release := func() {
		if large != nil {
			buffers.put(large)
			large = nil
			// A deadline left behind would end a quiet connection.
			_ = from.SetReadDeadline(time.Time{})
		}
	}
	defer release()
	for {
		buffer := small
		if large != nil {
			buffer = large[:]
			_ = from.SetReadDeadline(time.Now().Add(quietAfter))
		}
		n, err := from.Read(buffer)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(stalledAfter))
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil && n < smallBuffer:
			release()
		case err == nil && large == nil:
			large = buffers.get()
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case large != nil && isTimeout(err):
			release()
		default:
			return err
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

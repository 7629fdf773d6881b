package main

// The asking half of an exchange: a connection to the server found or dialled, the request written on it with its body, the head of
// the answer read; and how that is stopped from outside, by a cut or by the caller's going.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// ask returns the head of the server's answer, and the connection that its body comes on.
func (x *exchange) ask(pool *pool) (*serverConnection, *http.Response, error) {
	if x.head.length == 0 {
		x.on.lookAhead(x.stop)
	}
	for {
		connection, err := x.connect(pool)
		if err != nil {
			return nil, nil, err
		}
		response, err := x.askOn(connection)
		if err == nil {
			return connection, response, nil
		}
		pool.discard(connection)
		// A server may end an idle connection just when it is used. Nothing else is asked twice.
		isRepeatable := x.head.length == 0 && (x.head.method == http.MethodGet || x.head.method == http.MethodHead || x.head.method == http.MethodOptions)
		if !connection.isUsed || connection.hasBegun || !isRepeatable || x.hasStopped() || errors.Is(err, errNotWritable) {
			return nil, nil, err
		}
	}
}

func (x *exchange) connect(pool *pool) (*serverConnection, error) {
	connection := pool.take()
	if connection == nil {
		ctx, cancel := context.WithCancel(pool.context)
		defer cancel()
		if !x.whenStopped(cancel) {
			return nil, dialError{context.Canceled}
		}
		var err error
		if connection, err = pool.dial(ctx); err != nil {
			return nil, err
		}
	}
	if !x.whenStopped(connection.end) {
		pool.discard(connection)
		return nil, dialError{context.Canceled}
	}
	return connection, nil
}

func (x *exchange) askOn(connection *serverConnection) (*http.Response, error) {
	connection.hasBegun = false
	server := x.on.channel.upstream.server
	head, err := connection.headOf(x.head.method, server.Host, x.head.length, x.isUnusual(), x.order)
	if err != nil {
		return nil, err
	}
	if x.head.length > 0 {
		x.sent = make(chan error, 1)
		_ = x.on.peer.SetReadDeadline(time.Now().Add(bodyTimeout))
		go func() { x.sent <- x.send(connection, head) }()
	} else {
		_ = connection.beneath.SetDeadline(time.Now().Add(answerTimeout))
		_, err := connection.Write(head)
		connection.forgetHead()
		if err != nil {
			return nil, err
		}
	}
	response, err := connection.answer(x.head.method)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.isAnswered = true
	_ = connection.beneath.SetReadDeadline(time.Time{})
	return response, err
}

// isUnusual: where a body is unusual, or an answer has none whatever its headers say, nobody may be sure where it ends.
func (x *exchange) isUnusual() bool {
	return x.head.method == http.MethodHead || (x.head.method == http.MethodGet && x.head.length > 0)
}

// send writes a request with its body. A server that answers before it has read all may have stopped reading.
func (x *exchange) send(connection *serverConnection, head []byte) error {
	buffer := x.on.buffers.get()
	defer x.on.buffers.put(buffer)
	body := requestBody{x}
	n := copy(buffer[:], head)
	connection.forgetHead()
	defer clear(buffer[:n]) // a pooled buffer is long-lived, and there is a credential in a head
	for {
		read, err := body.Read(buffer[n:])
		if err != nil && err != io.EOF {
			x.stop()
			return err
		}
		n += read
		_ = connection.beneath.SetWriteDeadline(time.Now().Add(stalledAfter))
		if n > 0 {
			if _, err := connection.Write(buffer[:n]); err != nil {
				return err
			}
		}
		n = 0
		if x.unsent.Load() == 0 {
			x.mu.Lock()
			defer x.mu.Unlock()
			if !x.isAnswered {
				_ = connection.beneath.SetReadDeadline(time.Now().Add(answerTimeout))
			}
			return nil
		}
	}
}

// isSent reports whether the whole request was.
func (x *exchange) isSent() bool {
	if x.head.length == 0 {
		return true
	}
	if x.unsent.Load() > 0 {
		return false
	}
	select {
	case err := <-x.sent:
		return err == nil
	case <-time.After(sentWithin):
		return false
	}
}

// stop ends what is under way with the server.
func (x *exchange) stop() {
	x.mu.Lock()
	x.isStopped = true
	stopping := x.stopping
	x.stopping = nil
	x.mu.Unlock()
	if stopping != nil {
		stopping()
	}
}

// whenStopped says how to stop from now on; false where it should have been already.
func (x *exchange) whenStopped(stopping func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopping = stopping
	return !x.isStopped
}

// release is false where the connection was stopped; after it nothing stops it.
func (x *exchange) release() bool { return x.whenStopped(nil) }

func (x *exchange) hasStopped() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.isStopped
}

// requestBody reads the caller's bytes, as many as it has announced.
type requestBody struct{ x *exchange }

func (b requestBody) Read(p []byte) (int, error) {
	x := b.x
	left := x.unsent.Load()
	if left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := x.on.in.Read(p)
	left -= int64(n)
	if left == 0 {
		x.on.lookAhead(x.stop) // first: who sees that nothing is left may go on to the next request
		err = nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		x.isGone.Store(true)
	}
	x.unsent.Store(left)
	return n, err
}

package main

// A caller's connection whose requests Node decides one by one: a plain head is asked about, and forwarded from here if Node
// says so; the rest of the connection goes to Node from the first head on that is not plain. One request at a time: what
// comes before the answer to the one before it is not heeded.

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// Node's own limits for what it reads itself (node/tailnet-server.ts).
	headTimeout = 10 * time.Second
	idleTimeout = 60 * time.Second
	bodyTimeout = 5 * time.Minute
	// A decision may wait for a token to be minted, which Node gives 10 s.
	decisionTimeout = 30 * time.Second
	// How long an answer may take until somebody looks whether the caller still waits for it. Most are there before.
	lookAfter = 50 * time.Millisecond
	// How long the caller is listened to after an answer that is the last, so that it is not lost on its way.
	lingerUnread = 500 * time.Millisecond
)

const requestTimedOut = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// decided is one connection.
type decided struct {
	id      uint32
	peer    halfCloser
	beneath net.Conn // of peer, without TLS
	in      intake
	cork    *cork // of peer, beneath TLS; nil without
	channel *decisions
	buffers *bufferPool
	// handOver passes everything that comes on peer, first included, to Node.
	handOver func(peer halfCloser)

	over chan struct{} // closed by end

	mu     sync.Mutex
	isIdle bool // between two requests
	isOver bool
	// look is when to look for what the caller does while an answer is under way; nil where nobody will.
	look *time.Timer
	// ahead is told when it sends or ends something; nil while nobody looks.
	ahead chan error
}

// serve returns when the connection has ended, or is Node's.
func (d *decided) serve() {
	limit := headTimeout
	for {
		if !d.waitIdle(limit) {
			return
		}
		limit = idleTimeout
		head, size, err := d.in.head(d.channel.settings.Prefix, func() {
			_ = d.peer.SetReadDeadline(time.Now().Add(headTimeout))
		})
		if err != nil {
			if isTimeout(err) {
				_, _ = io.WriteString(d.peer, requestTimedOut)
			}
			return
		}
		if size == 0 || d.channel.settings.isReadByNode(head) {
			d.passOn()
			return
		}
		if !d.decide(head, size) {
			return
		}
	}
}

// waitIdle waits for the next request to begin; false where none will.
func (d *decided) waitIdle(limit time.Duration) bool {
	d.mu.Lock()
	d.isIdle = true
	mayWait := !d.isOver && !d.channel.draining()
	d.mu.Unlock()
	if !mayWait {
		return false
	}
	err := d.waitAhead(limit)
	d.mu.Lock()
	d.isIdle = false
	isOver := d.isOver
	d.mu.Unlock()
	if errors.Is(err, io.EOF) {
		letItClose(d.beneath)
	}
	return err == nil && !isOver
}

// waitAhead waits for what the caller sends next, whether somebody looks for it already or not.
func (d *decided) waitAhead(limit time.Duration) error {
	d.mu.Lock()
	if d.look != nil {
		d.look.Stop()
		d.look = nil
	}
	ahead := d.ahead
	d.ahead = nil
	d.mu.Unlock()
	if ahead == nil && len(d.in.unread()) > 0 {
		return nil
	}
	_ = d.peer.SetReadDeadline(time.Now().Add(limit))
	if ahead == nil {
		return d.in.wait()
	}
	return <-ahead
}

// lookAhead begins, after a moment, to look for what the caller does while it waits for an answer: gone is called when it has
// gone. The intake must not be touched until waitAhead has returned.
func (d *decided) lookAhead(gone func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var look *time.Timer
	look = time.AfterFunc(lookAfter, func() {
		d.mu.Lock()
		if d.look != look {
			d.mu.Unlock()
			return
		}
		ahead := make(chan error, 1)
		d.look, d.ahead = nil, ahead
		_ = d.peer.SetReadDeadline(time.Time{})
		d.mu.Unlock()
		err := d.in.wait()
		ahead <- err // first: whoever is stopped asks why
		if err != nil {
			gone()
		}
	})
	d.look = look
}

// isAhead reports whether the caller has sent something already, which it should not have.
func (d *decided) isAhead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.look != nil {
		return len(d.in.unread()) > 0
	}
	return len(d.ahead) > 0
}

// decide asks Node; true where another request may follow.
func (d *decided) decide(head plainHead, size int) bool {
	q := d.channel.ask(d, head)
	defer d.channel.forgetQuestion(q)
	late := time.NewTimer(decisionTimeout)
	defer late.Stop()
	var answer any
	select {
	case answer = <-q.answers:
	case <-d.over:
	case <-d.channel.broken:
	case <-late.C:
	}
	if answer == nil || d.hasEnded() {
		d.channel.sendSoon(endedMessage{Request: q.id})
		return false
	}
	switch answer := answer.(type) {
	case *answerMessage:
		d.in.take(size)
		isWritten := writeAll(d.peer, answer.Answer)
		d.channel.sendSoon(endedMessage{Request: q.id, Status: answer.Status})
		if !isWritten {
			return false
		}
		if answer.Close || head.close || head.length > 0 {
			d.linger(head.length > 0)
			return false
		}
		return true
	case *forwardMessage:
		d.in.take(size)
		return newExchange(d, q, head, answer).run()
	}
	return false
}

// passOn gives the connection to Node, from the first byte that was not taken.
func (d *decided) passOn() {
	_ = d.peer.SetReadDeadline(time.Time{})
	d.channel.sendSoon(closedMessage{Type: "closed", Connection: d.id})
	d.channel.unregister(d)
	if !d.hasEnded() {
		d.handOver(restOf{d.peer, bytes.NewReader(bytes.Clone(d.in.unread()))})
	}
}

// linger ends this side, and reads away what still comes: a connection that is closed over unread bytes is reset, and the
// last bytes may be lost on their way.
func (d *decided) linger(isUnread bool) {
	// Nothing depends on Node any more.
	d.channel.unregister(d)
	limit := lingerAfterNode
	if isUnread {
		limit = lingerUnread
	}
	if d.peer.CloseWrite() != nil {
		return
	}
	var err error
	if !isUnread {
		err = d.waitAhead(limit)
	}
	if err == nil {
		_ = d.peer.SetReadDeadline(time.Now().Add(limit))
		_, err = io.Copy(io.Discard, io.LimitReader(d.peer, 64<<20))
	}
	if err == nil || errors.Is(err, io.EOF) {
		letItClose(d.beneath)
	}
}

// end breaks the connection off, whatever is under way on it.
func (d *decided) end() { d.endIf(func() bool { return true }) }

func (d *decided) endIfIdle() { d.endIf(func() bool { return d.isIdle }) }

func (d *decided) endIf(isSo func() bool) {
	d.mu.Lock()
	ends := !d.isOver && isSo()
	if ends {
		d.isOver = true
		close(d.over)
	}
	d.mu.Unlock()
	if ends {
		// TLS says farewell first, for which a peer that does not read takes seconds; others wait to be ended meanwhile.
		go func() {
			if d.cork != nil && d.cork.end() {
				d.beneath.Close()
			}
			d.peer.Close()
		}()
	}
}

func (d *decided) hasEnded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isOver
}

func writeAll(peer halfCloser, text string) bool {
	_ = peer.SetWriteDeadline(time.Now().Add(stalledAfter))
	_, err := io.WriteString(peer, text)
	return err == nil
}

package main

// One request that Node has decided to forward: its body sent on by its length, the answer streamed back, the slower side
// setting the pace. Whatever ends early (the caller, the server, a cut) ends the other side too; a connection to the server
// whose exchange was not whole is not used again, and an answer before the whole request is the last one on its connection.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cutWithin = 500 * time.Millisecond
	// How long the end of a request may take to be noticed after that of its answer.
	sentWithin = 50 * time.Millisecond
)

type exchange struct {
	on    *decided
	q     *question
	head  plainHead
	order *forwardMessage

	unsent   atomic.Int64 // what is left of the request's body
	sent     chan error   // of a request with a body
	received int64        // bytes of the answer's body, by the caller
	status   int
	isLast   bool        // the caller's connection ends with this
	isGone   atomic.Bool // the caller, in the middle of its request

	mu         sync.Mutex
	cut        *cutMessage
	isAnswered bool
	isStopped  bool
	stopping   func() // ends what is under way with the server
}

func newExchange(on *decided, q *question, head plainHead, order *forwardMessage) *exchange {
	x := &exchange{on: on, q: q, head: head, order: order, isLast: head.close || order.Close}
	x.unsent.Store(head.length)
	return x
}

// run returns whether another request may follow on the caller's connection.
func (x *exchange) run() bool {
	channel := x.on.channel
	pool := channel.upstream.use(x.order.Pool)
	if pool == nil {
		return false
	}
	defer channel.upstream.release(pool)
	x.q.whenCut(x.onCut)
	isWhole := x.forward(pool)
	channel.sendSoon(endedMessage{
		Request: x.q.id, Status: x.status,
		SentBytes: x.head.length - x.unsent.Load(), ReceivedBytes: x.received,
	})
	if !isWhole {
		return false
	}
	if x.isLast {
		x.on.linger(x.unsent.Load() > 0)
		return false
	}
	return true
}

// forward is false where the caller's connection must be broken off.
func (x *exchange) forward(pool *pool) bool {
	connection, response, err := x.ask(pool)
	if err != nil {
		return x.answerFailure(err)
	}
	defer func() {
		if connection != nil {
			pool.discard(connection)
		}
	}()
	if err := checkAnswer(response); err != nil {
		return x.answerFailure(err)
	}
	location, err := x.location(response)
	if err != nil {
		return false
	}
	x.status = response.StatusCode
	if x.order.TellBegun {
		x.on.channel.send(begunMessage{Type: "begun", Request: x.q.id, Status: x.status})
	}
	isWhole := newAnswer(x, response, location).write()
	if isWhole && !response.Close && !x.isUnusual() && x.isSent() && x.release() {
		pool.put(connection)
		connection = nil
	}
	return isWhole
}

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
		if !connection.isUsed || connection.hasBegun || !isRepeatable || x.hasStopped() {
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

// checkAnswer refuses what one reader might take for something else.
func checkAnswer(response *http.Response) error {
	if response.StatusCode < 200 {
		return fmt.Errorf("an answer of %d", response.StatusCode)
	}
	for _, values := range response.Header {
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return errors.New("a control character in a header")
			}
		}
	}
	return nil
}

// location asks Node what becomes of a redirect.
func (x *exchange) location(response *http.Response) (string, error) {
	values := response.Header.Values("Location")
	if len(values) == 0 {
		return "", nil
	}
	x.on.channel.send(movedMessage{Type: "moved", Request: x.q.id, Location: values[0]})
	answer, err := x.reply()
	if err != nil {
		return "", err
	}
	moved, ok := answer.(*locationMessage)
	if !ok {
		return "", fmt.Errorf("a %T instead of a location", answer)
	}
	return moved.Location, nil
}

// reply waits for Node's word in the middle of an exchange.
func (x *exchange) reply() (any, error) {
	late := time.NewTimer(decisionTimeout)
	defer late.Stop()
	select {
	case answer := <-x.q.answers:
		return answer, nil
	case <-x.on.channel.broken:
		return nil, errors.New("the decision channel ended")
	case <-late.C:
		return nil, errors.New("no reply in time")
	}
}

// answerFailure answers a request that has no answer of the server's: with the words of the cut, or with Node's.
func (x *exchange) answerFailure(err error) bool {
	if cut := x.cutBy(); cut != nil {
		return x.answerOwn(cut.Status, cut.Answer)
	}
	if x.isGone.Load() || x.on.isAhead() {
		return false
	}
	var dialling dialError
	x.on.channel.send(forwardFailedMessage{
		Type: "failed", Request: x.q.id, Sent: !errors.As(err, &dialling), Reason: failureOf(err),
	})
	reply, err := x.reply()
	answer, ok := reply.(*answerMessage)
	if err != nil || !ok {
		return false
	}
	return x.answerOwn(answer.Status, answer.Answer)
}

// failureOf is for a log: the error without the URL, which is the caller's.
func failureOf(err error) string {
	text := err.Error()
	if len(text) > 300 {
		text = text[:300]
	}
	return text
}

func (x *exchange) answerOwn(status int, text string) bool {
	x.status = status
	x.isLast = x.isLast || x.unsent.Load() > 0 || x.on.isAhead()
	x.armWrite()
	_, err := io.WriteString(x.on.peer, text)
	return err == nil
}

// onCut ends what is under way: the server's side at once, the caller's within cutWithin.
func (x *exchange) onCut(cut *cutMessage) {
	x.mu.Lock()
	x.cut = cut
	_ = x.on.peer.SetWriteDeadline(time.Now().Add(cutWithin))
	x.mu.Unlock()
	x.stop()
}

func (x *exchange) cutBy() *cutMessage {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cut
}

// armWrite gives the next write its time. A cut's own is not prolonged.
func (x *exchange) armWrite() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cut == nil {
		_ = x.on.peer.SetWriteDeadline(time.Now().Add(stalledAfter))
	}
}

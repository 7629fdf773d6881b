package main

// One request that Node has decided to forward: its body sent on by its length, the answer streamed back, the slower side
// setting the pace. Whatever ends early (the caller, the server, a cut) ends the other side too; a connection to the server
// whose exchange was not whole is not used again, and an answer before the whole request is the last one on its connection.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
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

// checkAnswer refuses what another reader might understand differently. net/http keeps names with spaces in them as they are.
func checkAnswer(response *http.Response) error {
	if response.StatusCode < 200 {
		return invalidAnswer{fmt.Errorf("an answer of %d", response.StatusCode)}
	}
	if len(response.Header["Location"]) > 1 {
		return invalidAnswer{errors.New("more than one Location")}
	}
	for name, values := range response.Header {
		if !isToken(name) {
			return invalidAnswer{errors.New("the name of a header is invalid")}
		}
		for _, value := range values {
			if !isWritable(value) {
				return invalidAnswer{errors.New("a control character in a header")}
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
		Type: "failed", Request: x.q.id, Sent: !errors.As(err, &dialling), Invalid: isInvalidAnswer(err), Reason: failureOf(err),
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

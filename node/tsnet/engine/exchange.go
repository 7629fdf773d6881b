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
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const cutWithin = 500 * time.Millisecond

type exchange struct {
	on    *decided
	q     *question
	head  plainHead
	order *forwardMessage

	cancel   context.CancelFunc
	unsent   atomic.Int64 // what is left of the request's body
	received int64        // bytes of the answer's body, by the caller
	status   int
	isLast   bool        // the caller's connection ends with this
	isGone   atomic.Bool // the caller, in the middle of its request

	mu  sync.Mutex
	cut *cutMessage
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
	ctx, cancel := context.WithCancel(pool.context)
	defer cancel()
	x.cancel = cancel
	x.q.whenCut(x.onCut)
	isWhole := x.forward(ctx, pool.transport)
	channel.sendSoon(endedMessage{
		Type: "ended", Request: x.q.id, Status: x.status,
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
func (x *exchange) forward(ctx context.Context, transport *http.Transport) bool {
	response, err := transport.RoundTrip(x.request(ctx))
	if err != nil {
		return x.answerFailure(err)
	}
	defer response.Body.Close()
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
	return newAnswer(x, response, location).write()
}

func (x *exchange) request(ctx context.Context) *http.Request {
	server := x.on.channel.upstream.server
	request := (&http.Request{
		Method: x.head.method,
		// Opaque goes on the wire as it is.
		URL:        &url.URL{Scheme: server.Scheme, Host: server.Host, Opaque: x.order.Path},
		Host:       server.Host,
		Header:     make(http.Header, len(x.order.Headers)/2+1),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}).WithContext(ctx)
	for i := 0; i+1 < len(x.order.Headers); i += 2 {
		name := http.CanonicalHeaderKey(x.order.Headers[i])
		request.Header[name] = append(request.Header[name], x.order.Headers[i+1])
	}
	if request.Header["User-Agent"] == nil {
		request.Header["User-Agent"] = []string{""} // else the transport names itself
	}
	if x.head.length > 0 {
		_ = x.on.peer.SetReadDeadline(time.Now().Add(bodyTimeout))
		request.ContentLength = x.head.length
		request.Body = requestBody{x}
	} else {
		x.on.lookAhead(x.cancel)
	}
	// Where a body is unusual, or an answer has none whatever its headers say, nobody may be sure where it ends.
	request.Close = x.head.method == http.MethodHead || (x.head.method == http.MethodGet && x.head.length > 0)
	return request
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
		x.on.lookAhead(x.cancel) // first: who sees that nothing is left may go on to the next request
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

func (b requestBody) Close() error { return nil }

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
	x.cancel()
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

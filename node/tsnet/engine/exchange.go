package main

// One request for the Kubernetes API: put to Node.js, and answered with its words or carried to the API server by httputil.ReverseProxy;
// what becomes of one that is upgraded is in stream.go.
// The slower side sets the pace. Whatever ends early (the caller, the API server, a cut) ends the other side too.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cutWithin = 500 * time.Millisecond
	// A decision may wait for a token to be minted, which Node.js gives 10 s.
	decisionTimeout = 30 * time.Second
)

var (
	errNotWritable = errors.New("a path that cannot be written")
	errEnded       = errors.New("the request has ended")
)

// exchange is the ResponseWriter of its answer.
type exchange struct {
	http.ResponseWriter
	on    *callerConnection
	in    *http.Request
	q     *question
	order *forwardMessage

	pool      *pool
	cancel    context.CancelFunc // of what is under way with the API server
	recording *recording         // of an upgrade
	stream    *stream            // once it is upgraded

	status   int
	received int64 // bytes of the answer's body, by the caller
	body     countedBody
	whole    []byte      // the body, where Node.js has read it
	isSent   atomic.Bool // the API server may have seen the request

	isCut chan struct{} // closed with cut

	mu  sync.Mutex
	cut *cutMessage
	far net.Conn // to the API server
}

type exchangeKey struct{}

func (c *callerConnection) exchange(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, on: c, in: r, isCut: make(chan struct{})}
	x.body = countedBody{ReadCloser: r.Body, x: x}
	x.armWrite()
	x.q = c.channel.ask(c, r)
	defer func() {
		c.channel.forgetQuestion(x.q)
		c.channel.sendSoon(endedMessage{Request: x.q.id, Status: x.status, SentBytes: x.body.read.Load(), ReceivedBytes: x.received})
	}()
	decision, err := x.reply()
	if read, ok := decision.(*readMessage); ok {
		x.readBody(read.Most)
		decision, err = x.reply()
	}
	if err != nil || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	switch decision := decision.(type) {
	case *answerMessage:
		x.answerOwn(decision.Status, decision.Answer)
	case *forwardMessage:
		x.order = decision
		x.forward()
	default:
		panic(http.ErrAbortHandler)
	}
}

// reply waits for Node.js.
func (x *exchange) reply() (any, error) {
	late := time.NewTimer(decisionTimeout)
	defer late.Stop()
	select {
	case answer := <-x.q.answers:
		return answer, nil
	case <-x.in.Context().Done():
	case <-x.on.over.Done():
	case <-x.on.channel.broken:
	case <-late.C:
	}
	return nil, errEnded
}

func (x *exchange) forward() {
	upstream := x.on.channel.upstream
	pool := upstream.use(x.order.Pool)
	if pool == nil {
		panic(http.ErrAbortHandler)
	}
	defer upstream.release(pool)
	ctx, cancel := context.WithCancel(context.WithValue(x.in.Context(), exchangeKey{}, x))
	defer cancel()
	defer context.AfterFunc(pool.context, cancel)()
	x.pool, x.cancel = pool, cancel
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { x.setFar(info.Conn) },
		WroteHeaders: func() { x.isSent.Store(true) },
	})
	x.q.whenCut(x.onCut)
	if order := x.q.recordOrder(); order != nil {
		x.record(order)
		defer x.recording.end()
	}
	request := x.in.WithContext(ctx)
	switch {
	case x.whole != nil:
		request.TransferEncoding = nil
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(x.whole)), int64(len(x.whole))
	case request.ContentLength != 0:
		_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(time.Now().Add(bodyTimeout))
		request.Body = &x.body
	}
	upstream.proxy.ServeHTTP(x, request)
}

// newForwarder returns the reverse proxy of all exchanges with one API server; each brings its pool.
func newForwarder(server *url.URL, rules answerRules, buffers *bufferPool) *httputil.ReverseProxy {
	of := func(ctx context.Context) *exchange {
		x, _ := ctx.Value(exchangeKey{}).(*exchange)
		return x
	}
	return &httputil.ReverseProxy{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) { return of(r.Context()).roundTrip(r) }),
		Rewrite: func(r *httputil.ProxyRequest) {
			x := of(r.In.Context())
			// Opaque is written as it is: the path that was decided about, to the byte.
			r.Out.URL = &url.URL{Scheme: server.Scheme, Host: server.Host, Opaque: asBytes(x.order.Path)}
			r.Out.Host = ""
			r.Out.Trailer = nil
			r.Out.Header = make(http.Header, len(x.order.Headers)/2)
			for i := 0; i+1 < len(x.order.Headers); i += 2 {
				r.Out.Header.Add(x.order.Headers[i], asBytes(x.order.Headers[i+1]))
			}
			// Not every server agrees about where such a body, or the answer to a HEAD, ends.
			r.Out.Close = r.In.Method == http.MethodHead || r.In.ContentLength != 0 && r.In.Method == http.MethodGet
		},
		ModifyResponse: func(response *http.Response) error { return of(response.Request.Context()).begin(response, rules) },
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { of(r.Context()).answerFailure(err) },
		FlushInterval:  -1,
		BufferPool:     pooledCopies{buffers},
		ErrorLog:       log.New(io.Discard, "", 0),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (x *exchange) roundTrip(r *http.Request) (*http.Response, error) {
	path := x.order.Path
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, " ") || !isWritable(path) {
		return nil, errNotWritable
	}
	if x.protocol() != "" {
		return x.pool.upgrades.RoundTrip(r)
	}
	return x.pool.transport.RoundTrip(r)
}

// answerFailure answers a request that has no answer of the API server's: with the words of the cut, or with Node.js's.
func (x *exchange) answerFailure(err error) {
	if cut := x.cutBy(); cut != nil {
		x.answerOwn(cut.Status, cut.Answer)
		return
	}
	if x.in.Context().Err() != nil || x.body.isBroken.Load() || x.stream != nil {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	isSent := x.isSent.Load()
	x.on.channel.send(forwardFailedMessage{
		Type: "failed", Request: x.q.id, Sent: isSent, Invalid: isSent && isInvalidAnswer(err), Reason: failureOf(err),
	})
	reply, err := x.reply()
	answer, ok := reply.(*answerMessage)
	if err != nil || !ok {
		panic(http.ErrAbortHandler)
	}
	x.answerOwn(answer.Status, answer.Answer)
}

// failureOf is for a log: the error without the URL, which is the caller's.
func failureOf(err error) string {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	text := err.Error()
	return text[:min(len(text), 300)]
}

// answerOwn writes an answer that Node.js has made whole, head and body.
func (x *exchange) answerOwn(status int, text string) {
	x.status = status
	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), x.in)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	header := x.Header()
	for name, values := range answer.Header {
		header[name] = values
	}
	if answer.Close || x.isUnread() || x.on.channel.draining() || x.order != nil && x.order.Close {
		header.Set("Connection", "close")
	}
	if x.isUnread() {
		// The server would wait for the rest of the body before it closes.
		_ = x.on.SetReadDeadline(time.Now().Add(lingerEnded))
	}
	x.armWrite()
	x.ResponseWriter.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(x.ResponseWriter, answer.Body)
}

// onCut ends what is under way: the API server's side at once, the caller's within cutWithin.
func (x *exchange) onCut(cut *cutMessage) {
	x.mu.Lock()
	x.cut = cut
	_ = x.on.SetWriteDeadline(time.Now().Add(cutWithin))
	x.mu.Unlock()
	close(x.isCut)
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
		_ = x.on.SetWriteDeadline(time.Now().Add(stalledAfter))
	}
}

// WriteHeader passes over interim answers, which are between the API server and this client of its.
func (x *exchange) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	header := x.Header()
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // the server would guess one
	}
	if x.isUnread() || x.on.channel.draining() {
		header.Set("Connection", "close")
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	n, err := x.ResponseWriter.Write(p)
	x.received += int64(n)
	return n, err
}

func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

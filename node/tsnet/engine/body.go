package main

// The body of a request: counted on its way to the API server, or read by Node.js before it decides.

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// readBody gives Node.js a body that it decides by.
func (x *exchange) readBody(most int64) {
	_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(time.Now().Add(bodyTimeout))
	whole, err := io.ReadAll(io.LimitReader(&x.body, most+1))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if int64(len(whole)) <= most {
		x.whole = whole
	}
	x.on.channel.send(bodyMessage{Type: "body", Request: x.q.id, Body: x.whole})
}

// isUnread reports whether the request's body has not been read to its end.
func (x *exchange) isUnread() bool { return x.in.ContentLength != 0 && !x.body.isOver.Load() }

// countedBody is the request's.
type countedBody struct {
	io.ReadCloser
	x        *exchange
	read     atomic.Int64
	isOver   atomic.Bool
	isBroken atomic.Bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		b.isOver.Store(true)
		// What is read from now on is the caller's going.
		_ = http.NewResponseController(b.x.ResponseWriter).SetReadDeadline(time.Time{})
	case err != nil:
		b.isBroken.Store(true)
	}
	return n, err
}

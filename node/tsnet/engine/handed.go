package main

// Requests that Node.js answers itself, carried over the private socket: a connection of their own each, with the caller's
// identity of that moment in front. An upgrade is spliced, so that whatever follows on its connection is Node.js's.

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// newToNode returns the reverse proxy to Node.js; connections are the requests' (connectionKey).
func newToNode(buffers *bufferPool) http.Handler {
	return &httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				connection, ok := ctx.Value(connectionKey{}).(*callerConnection)
				if !ok {
					return nil, errForeign
				}
				return connection.dialNode(ctx)
			},
			DisableCompression: true,
			// A connection has one caller, known at its start.
			DisableKeepAlives: true,
		},
		Rewrite: func(r *httputil.ProxyRequest) {
			in := r.In.URL
			r.Out.URL = &url.URL{Scheme: "http", Host: "node", Path: in.Path, RawPath: in.RawPath, RawQuery: in.RawQuery, ForceQuery: in.ForceQuery}
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
		BufferPool:    pooledCopies{buffers},
		ErrorLog:      log.New(io.Discard, "", 0),
		// Node.js refuses by closing: so does the caller's connection.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

type pooledCopies struct{ buffers *bufferPool }

func (p pooledCopies) Get() []byte       { return p.buffers.get()[:] }
func (p pooledCopies) Put(buffer []byte) { p.buffers.put((*[largeBuffer]byte)(buffer)) }

// handUpgrade gives an upgrade request, and the rest of its connection, to Node.js.
func (c *callerConnection) handUpgrade(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		http.Error(w, "an upgrade request must not have a body", http.StatusBadRequest)
		return
	}
	node, err := c.dialNode(r.Context())
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer node.Close()
	if _, err := node.Write(headOf(r)); err != nil {
		panic(http.ErrAbortHandler)
	}
	hijacked, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer hijacked.Close()
	first, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return
	}
	var beneath net.Conn
	if c.caller.tls {
		beneath = c.beneath
	}
	splice(restOf{c, bytes.NewReader(bytes.Clone(first))}, node, beneath, &c.hand.buffers)
}

// headOf writes a request's head as it was read.
func headOf(r *http.Request) []byte {
	var head bytes.Buffer
	lines := bufio.NewWriter(&head)
	_, _ = lines.WriteString(r.Method + " " + r.RequestURI + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n")
	_ = r.Header.Write(lines)
	_, _ = lines.WriteString("\r\n")
	_ = lines.Flush()
	return head.Bytes()
}

// restOf is a connection whose first bytes have been read already.
type restOf struct {
	halfCloser
	first *bytes.Reader
}

func (r restOf) Read(p []byte) (int, error) {
	if r.first.Len() > 0 {
		return r.first.Read(p)
	}
	return r.halfCloser.Read(p)
}

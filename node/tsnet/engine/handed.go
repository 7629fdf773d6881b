package main

// Requests that Node.js answers itself, carried over the private socket: a connection of their own each, with the caller's
// identity of that moment in front.

import (
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

package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
)

// serveConnection speaks HTTP on one connection until its end: each request is answered with what it was, as JSON.
func serveConnection(stream io.ReadWriteCloser) error {
	near, far := net.Pipe()
	go func() {
		_, _ = io.Copy(far, stream)
		_ = far.Close()
	}()
	single := &oneConnection{connection: near, closed: make(chan struct{})}
	server := http.Server{
		Handler: http.HandlerFunc(echo),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				_ = single.Close()
			}
		},
	}
	go func() { _ = server.Serve(single) }()
	_, err := io.Copy(stream, far)
	_ = stream.Close()
	_ = server.Close()
	return err
}

func echo(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	response.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(response).Encode(map[string]any{
		"method": request.Method,
		"url":    request.URL.String(),
		"body":   string(body),
	})
}

// oneConnection is a listener that has accepted already.
type oneConnection struct {
	connection net.Conn
	taken      sync.Once
	ended      sync.Once
	closed     chan struct{}
}

func (one *oneConnection) Accept() (net.Conn, error) {
	var first net.Conn
	one.taken.Do(func() { first = one.connection })
	if first != nil {
		return first, nil
	}
	<-one.closed
	return nil, net.ErrClosed
}

func (one *oneConnection) Close() error {
	one.ended.Do(func() { close(one.closed) })
	return nil
}

func (one *oneConnection) Addr() net.Addr { return one.connection.LocalAddr() }

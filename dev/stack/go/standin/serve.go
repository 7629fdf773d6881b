package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
)

// A pod's port is a server on loopback, the same for all of them: what a stream does to a real connection, a half-close
// above all, it does here.
type pods struct{ address string }

// servePods returns once the server listens; it serves as long as the program runs.
func servePods() (pods, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return pods{}, err
	}
	go func() { _ = http.Serve(listener, http.HandlerFunc(echo)) }()
	return pods{listener.Addr().String()}, nil
}

// serve speaks HTTP on one stream until the server ends it: each request is answered with what it was, as JSON.
func (p pods) serve(stream io.ReadWriteCloser) error {
	dialled, err := net.Dial("tcp", p.address)
	if err != nil {
		return err
	}
	connection := dialled.(*net.TCPConn) // what "tcp" dials
	defer connection.Close()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	_ = stream.Close()
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

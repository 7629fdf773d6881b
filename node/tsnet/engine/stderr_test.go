package main

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

type lockedBuffer struct {
	mu     sync.Mutex
	bytes  bytes.Buffer
	writes chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.writes <- struct{}{}:
	default:
	}
	return b.bytes.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func TestBytesThatComeOnAnIdleConnectionAreNotLogged(t *testing.T) {
	said := &lockedBuffer{writes: make(chan struct{}, 1)}
	log.SetOutput(unquotedLog{said})
	defer log.SetOutput(os.Stderr)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	isIdle := make(chan struct{})
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		request, err := http.ReadRequest(bufio.NewReader(connection))
		if err != nil {
			return
		}
		_ = request.Body.Close()
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-isIdle
		_, _ = io.WriteString(connection, "a-secret-of-another")
		<-t.Context().Done()
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	close(isIdle)
	select {
	case <-said.writes:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was logged")
	}
	if text := said.String(); strings.Contains(text, "secret") || !strings.Contains(text, "Unsolicited response") {
		t.Fatalf("logged: %q", text)
	}
}

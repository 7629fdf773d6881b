package main

import (
	"io"
	"net"
)

// forward resolves never: it ends with an error or with the process.
func forward(listen, target string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		from, err := listener.Accept()
		if err != nil {
			return err
		}
		go pass(from, target)
	}
}

func pass(from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{})
	go func() { copyThrough(to, from); close(done) }()
	copyThrough(from, to)
	<-done
}

// copyThrough passes the end on too, so that either direction may end first.
func copyThrough(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

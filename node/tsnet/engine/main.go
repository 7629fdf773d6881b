// The engine of node/tsnet: Tailscale's own client in userspace, driven by a Node process over stdin and stdout
// (protocol.go), handing accepted tailnet connections to it over a unix socket (listener.go). It reads what they carry only
// on listeners that Node decides for: requests for the Kubernetes API are forwarded if and as Node has decided (carrier.go), all
// others go to Node. It ends when its stdin ends, so that no engine outlives its parent, however that one died.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"tailscale.com/envknob"
)

const (
	exitBroken   = 1 // the control pipe broke
	exitUsage    = 2
	exitMismatch = 3 // another protocol version, or no greeting
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintf(os.Stderr, "%s is run by node/tsnet and takes no arguments (protocol %d)\n", os.Args[0], protocolVersion)
		os.Exit(exitUsage)
	}
	// A Ctrl-C or a service's stop reaches the whole process group; the parent decides what ends when, and the end of
	// stdin tells. A parent that was killed breaks stdout too, before this process has tidied up.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)

	log.SetOutput(unquotedLog{os.Stderr})

	// The client may keep the netmap on disk and start with it; who may do what must come from the control server.
	envknob.Setenv("TS_USE_CACHED_NETMAP", "false")

	broken := make(chan struct{})
	out := newPipe(os.Stdout, func(error) { close(broken) })
	exit := func(code int) {
		out.flush()
		os.Exit(code)
	}
	engine := newService(out, exit)
	out.send(helloMessage{Type: "hello", Version: protocolVersion})

	ended := make(chan error, 1)
	go func() { ended <- readLines(os.Stdin, engine.handle) }()
	code := 0
	select {
	case err := <-ended:
		if err != nil {
			code = exitBroken
		}
	case <-broken:
		code = exitBroken
	}
	engine.forsaken()
	exit(code)
}

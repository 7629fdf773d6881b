package main

// How long the node's network stack remembers a connection that it has ended first. A listener of tsnet is none to the stack, which
// asks for each new connection instead: what comes for a remembered pair of addresses is dropped without an answer. A caller with a
// network stack like this one takes its ports at random, and of many connections some take one that is remembered. The stack
// remembers for a minute unless told otherwise, and nobody waits that long.

import (
	"errors"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"tailscale.com/tsnet"
)

// A caller asks again after a second, and then finds it forgotten. Long enough for an acknowledgement that was lost to be asked for
// again; stray segments of the connection before are no danger, as WireGuard lets none in twice.
const timeWait = 500 * time.Millisecond

type protocolOptions interface {
	SetTransportProtocolOption(tcpip.TransportProtocolNumber, tcpip.SettableTransportProtocolOption) tcpip.Error
}

// shortenTimeWait wants a server that has started.
func shortenTimeWait(server *tsnet.Server) error {
	stack, ok := server.Sys().Netstack.Get().(protocolOptions)
	if !ok {
		return errors.New("the network stack takes no options")
	}
	option := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	if err := stack.SetTransportProtocolOption(tcp.ProtocolNumber, &option); err != nil {
		return errors.New(err.String())
	}
	return nil
}

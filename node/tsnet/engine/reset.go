package main

// Connections that ended with a former engine, ended for their callers too. A caller that only waits (a watch) sends nothing, so it
// would never learn that the other side has gone. This engine's stack answers what it does not know with a reset, as any does,
// but has to be sent something first: a bare acknowledgement outside of the caller's window, which it must answer with
// the number that it expects next (RFC 9293, 3.10.7.4), and a reset with that number is one it accepts. A caller without such a
// connection answers with a reset of its own. Packet filters let acknowledgements through.

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	// Packets are lost now and then.
	resetRounds = 3
	resetEvery  = 400 * time.Millisecond
)

// lostConnection is one that a former engine had open.
type lostConnection struct {
	source, destination netip.AddrPort
}

// lostFrom leaves out what is no pair of addresses of one family.
func lostFrom(told []lostMessage) (lost []lostConnection) {
	for _, pair := range told {
		source, sourceErr := netip.ParseAddr(pair.Source.Address)
		destination, destinationErr := netip.ParseAddr(pair.Destination.Address)
		source, destination = source.Unmap(), destination.Unmap()
		if sourceErr != nil || destinationErr != nil || source.Is4() != destination.Is4() {
			continue
		}
		lost = append(lost, lostConnection{netip.AddrPortFrom(source, pair.Source.Port), netip.AddrPortFrom(destination, pair.Destination.Port)})
	}
	return lost
}

// reset makes a caller's lost connections end; inject sends a packet to the tailnet.
func reset(caller netip.Addr, lost []lostConnection, inject func([]byte) error) {
	for range resetRounds {
		sent := 0
		for _, connection := range lost {
			if connection.source.Addr() != caller {
				continue
			}
			sent++
			// One of two opposite numbers is outside of any window.
			number := rand.Uint32()
			for _, sequence := range []uint32{number, number + 1<<31} {
				if inject(acknowledgement(connection, sequence)) != nil {
					return
				}
			}
		}
		if sent == 0 {
			return
		}
		time.Sleep(resetEvery)
	}
}

// acknowledgement is a packet without data, to the source of a connection, as from its destination.
func acknowledgement(connection lostConnection, sequence uint32) []byte {
	from, to := connection.destination, connection.source
	fromIP, toIP := tcpip.AddrFromSlice(from.Addr().AsSlice()), tcpip.AddrFromSlice(to.Addr().AsSlice())
	size := header.IPv6MinimumSize
	if from.Addr().Is4() {
		size = header.IPv4MinimumSize
	}
	packet := make([]byte, size+header.TCPMinimumSize)
	if from.Addr().Is4() {
		ip := header.IPv4(packet)
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(packet)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: fromIP, DstAddr: toIP,
		})
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(packet).Encode(&header.IPv6Fields{
			PayloadLength: header.TCPMinimumSize, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: fromIP, DstAddr: toIP,
		})
	}
	segment := header.TCP(packet[size:])
	segment.Encode(&header.TCPFields{
		SrcPort: from.Port(), DstPort: to.Port(), SeqNum: sequence, AckNum: sequence, DataOffset: header.TCPMinimumSize,
		Flags: header.TCPFlagAck, WindowSize: 1 << 15,
	})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, fromIP, toIP, header.TCPMinimumSize)
	segment.SetChecksum(^checksum.Checksum(segment, sum))
	return packet
}

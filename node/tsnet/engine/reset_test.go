package main

import (
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestALostConnectionIsToldOfByAcknowledgementsThatNoWindowHolds(t *testing.T) {
	for _, ends := range [][2]string{{"100.64.0.9", "100.64.0.1"}, {"fd7a:115c:a1e0::9", "fd7a:115c:a1e0::1"}} {
		lost := lostFrom([]lostMessage{
			{Source: endpoint{ends[0], 40000}, Destination: endpoint{ends[1], 443}},
			{Source: endpoint{"100.64.0.77", 40000}, Destination: endpoint{"100.64.0.1", 443}},
		})
		var packets [][]byte
		reset(netip.MustParseAddr(ends[0]), lost, func(packet []byte) error { packets = append(packets, packet); return nil })
		if len(packets) != 2*resetRounds {
			t.Fatalf("%d packets", len(packets))
		}
		for _, packet := range packets {
			source, destination, segment := parse(t, packet)
			if source != ends[1] || destination != ends[0] || segment.SourcePort() != 443 || segment.DestinationPort() != 40000 {
				t.Errorf("from %s:%d to %s:%d", source, segment.SourcePort(), destination, segment.DestinationPort())
			}
			if segment.Flags() != header.TCPFlagAck || len(segment.Payload()) != 0 {
				t.Errorf("flags %v", segment.Flags())
			}
		}
		_, _, first := parse(t, packets[0])
		_, _, second := parse(t, packets[1])
		if second.SequenceNumber()-first.SequenceNumber() != 1<<31 {
			t.Error("both may lie in one window")
		}
	}
}

// parse checks the checksums, without which a receiver drops it.
func parse(t *testing.T, packet []byte) (source, destination string, segment header.TCP) {
	t.Helper()
	var from, to tcpip.Address
	if header.IPVersion(packet) == 4 {
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || !ip.IsChecksumValid() {
			t.Fatal("an invalid IPv4 header")
		}
		from, to, segment = ip.SourceAddress(), ip.DestinationAddress(), header.TCP(ip.Payload())
	} else {
		ip := header.IPv6(packet)
		if !ip.IsValid(len(packet)) {
			t.Fatal("an invalid IPv6 header")
		}
		from, to, segment = ip.SourceAddress(), ip.DestinationAddress(), header.TCP(ip.Payload())
	}
	if !segment.IsChecksumValid(from, to, 0, 0) {
		t.Error("the checksum is wrong")
	}
	return from.String(), to.String(), segment
}

func TestWhatIsNoPairOfAddressesIsLeftOut(t *testing.T) {
	lost := lostFrom([]lostMessage{
		{Source: endpoint{"nowhere", 1}, Destination: endpoint{"100.64.0.1", 443}},
		{Source: endpoint{"100.64.0.9", 1}, Destination: endpoint{"fd7a::1", 443}},
	})
	if len(lost) != 0 {
		t.Error(lost)
	}
	began := time.Now()
	reset(netip.MustParseAddr("100.64.0.9"), lost, func([]byte) error { t.Error("a packet"); return nil })
	if time.Since(began) >= resetEvery {
		t.Error("it waited for nothing")
	}
}

package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tailscale.com/ipn"
)

func TestContactWithTheControlServer(t *testing.T) {
	type look struct {
		at       int // seconds
		isOpen   bool
		messages int64
		away     int // seconds at which contact was lost; -1: there is contact
	}
	for _, test := range []struct {
		name  string
		looks []look
	}{
		{"an open poll with a keep-alive each minute", []look{{1, true, 1, -1}, {60, true, 1, -1}, {61, true, 2, -1}, {120, true, 2, -1}, {121, true, 3, -1}}},
		{"a poll that is reopened", []look{{1, true, 1, -1}, {30, true, 1, -1}, {31, false, 1, -1}, {33, true, 2, -1}, {90, true, 2, -1}}},
		{"a server that ends the poll and does not return", []look{{1, true, 1, -1}, {50, true, 1, -1}, {55, false, 1, -1}, {56, false, 1, 50}, {900, false, 1, 50}}},
		{"a server that is stopped: the client ends the poll", []look{{1, true, 1, -1}, {120, true, 1, -1}, {121, false, 1, -1}, {126, false, 1, 1}}},
		{"a server that is stopped, and a client that does not notice", []look{{1, true, 1, -1}, {131, true, 1, -1}, {132, true, 1, 1}}},
		{"a server that returns", []look{{1, true, 1, -1}, {30, false, 1, 1}, {40, true, 2, -1}, {45, false, 2, -1}, {46, false, 2, 40}}},
		{"a poll that opens and ends between two looks", []look{{1, true, 1, -1}, {30, false, 1, 1}, {31, false, 2, -1}, {36, false, 2, -1}, {37, false, 2, 31}}},
		{"a start from a stored netmap without a control server", []look{{5, false, 0, -1}, {6, false, 0, 0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Unix(1_800_000_000, 0)
			contact := newContact(start)
			for _, look := range test.looks {
				got := contact.note(look.isOpen, look.messages, start.Add(time.Duration(look.at)*time.Second))
				want := time.Time{}
				if look.away >= 0 {
					want = start.Add(time.Duration(look.away) * time.Second)
				}
				if !got.Equal(want) {
					t.Errorf("at %d s: %v, not %v", look.at, got, want)
				}
			}
		})
	}
}

func TestOnlyARunningNodeMissesItsControlServer(t *testing.T) {
	away := time.Unix(1_800_000_000, 0)
	for backend, told := range map[ipn.State]string{ipn.Running: "2027-01-15T08:00:00Z", ipn.NeedsLogin: "", ipn.Starting: ""} {
		if got := (observed{backend: backend, controlAway: away}).state().ControlAway; got != told {
			t.Errorf("%v: %q", backend, got)
		}
	}
}

func TestAControlServerThatEndsIsToldAsAway(t *testing.T) {
	control := startControl(t, nil)
	road := startRoad(t, control.HTTPTestServer.Listener.Addr().String())
	c, _ := startEngine(t, "http://"+road.Addr().String(), "")
	c.hear(isState(isReady))
	before := time.Now().Add(-2 * time.Second)
	road.cut()
	got := c.hear(isState(func(state map[string]any) bool { return state["controlAway"] != nil }))
	since, err := time.Parse(time.RFC3339, fmt.Sprint(got["controlAway"]))
	if err != nil || since.Before(before) || since.After(time.Now()) {
		t.Errorf("away since %v (%v)", got["controlAway"], err)
	}
	if got["ready"] != true {
		t.Errorf("%v", got)
	}
}

// road carries connections to a control server until it is cut.
type road struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func startRoad(t *testing.T, to string) *road {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &road{Listener: listener}
	t.Cleanup(r.cut)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, near, far)
			r.mu.Unlock()
			go func() { _, _ = io.Copy(near, far); near.Close() }()
			go func() { _, _ = io.Copy(far, near); far.Close() }()
		}
	}()
	return r
}

func (r *road) cut() {
	r.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		conn.Close()
	}
}

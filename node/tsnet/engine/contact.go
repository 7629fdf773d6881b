package main

// Whether the control server is in contact: what it has said is confirmed while its map poll is open. A poll that ends is opened
// again within a second or two; one that is silent is given up by the client after two minutes, because a server sends a
// keep-alive each minute. Pure: the client's own figures in, the moment of the last contact out.

import (
	"context"
	"time"
)

const (
	lookForContact = time.Second
	// A poll that has ended for no longer than this is being reopened.
	reopenWithin = 5 * time.Second
	// The client's own watchdog is 120 s.
	silentWithin = 130 * time.Second
	// A poll that ended after a longer silence than this was dead for as long as it was silent.
	keepAliveWithin = 75 * time.Second
)

type contact struct {
	messages int64     // of the control server, so far
	heard    time.Time // when the last of them came
	open     time.Time // when the poll was last seen open
}

func newContact(now time.Time) contact { return contact{heard: now, open: now} }

// note takes one look at the client. It returns when contact was lost; zero: there is contact.
func (c *contact) note(isOpen bool, messages int64, now time.Time) time.Time {
	if messages != c.messages {
		c.messages, c.heard, c.open = messages, now, now
	}
	if isOpen {
		c.open = now
	}
	if isOpen && now.Sub(c.heard) <= silentWithin || !isOpen && now.Sub(c.open) <= reopenWithin {
		return time.Time{}
	}
	if c.open.Sub(c.heard) > keepAliveWithin {
		return c.heard
	}
	return c.open
}

func (t *tailnet) watchContact(ctx context.Context) {
	contact := newContact(time.Now())
	for pause(ctx, lookForContact) {
		away := contact.note(t.server.Sys().HealthTracker.Get().GetInPollNetMap(), messagesOfControl(), time.Now())
		t.mu.Lock()
		if !away.Equal(t.seen.controlAway) {
			t.seen.controlAway = away
			t.publishLocked()
		}
		t.mu.Unlock()
	}
}

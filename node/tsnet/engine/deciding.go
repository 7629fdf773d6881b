package main

// From an accepted connection to one whose requests Node decides: the listener's channel found or dialled, the caller told to
// Node, and what is not plain handed over.

import (
	"context"
	"sync"
)

// serveDecided is how handOver treats a listener that Node decides for.
func (h *handOver) serveDecided(peer halfCloser, corked *cork, c *caller) {
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	channel, err := h.decisionsOf(ctx, c.listener)
	if err != nil {
		h.log(logWarn, "a connection could not be decided about: "+err.Error())
		return
	}
	first := c.whoIs(ctx)
	d := &decided{cork: corked, over: make(chan struct{}), peer: peer, beneath: c.connection, in: intake{from: peer}, channel: channel, buffers: &h.buffers}
	d.handOver = func(rest halfCloser) {
		ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
		defer cancel()
		// It may be long since it was asked; and a connection belongs to whom it belonged at its start.
		now := c.whoIs(ctx)
		if pinOf(now) != pinOf(first) {
			h.log(logWarn, "a connection was closed: its caller is no longer who it was")
			return
		}
		h.pass(ctx, rest, c, now)
	}
	if !channel.register(d) {
		return
	}
	channel.send(openedMessage{
		Type: "opened", Connection: d.id, Source: endpointOf(c.source), Destination: endpointOf(c.destination),
		TLS: c.tls, Identity: first,
	})
	d.serve()
	// Once more than needed is no harm: Node ignores what it does not know.
	channel.sendSoon(closedMessage{Type: "closed", Connection: d.id})
	channel.unregister(d)
}

// decisionChannels has the channel of each listener, one at a time.
type decisionChannels struct {
	mu         sync.Mutex
	byListener map[string]*decisions
}

// decisionsOf returns the listener's channel, dialled anew if there is none that works.
func (h *handOver) decisionsOf(ctx context.Context, listener string) (*decisions, error) {
	h.channels.mu.Lock()
	defer h.channels.mu.Unlock()
	if channel := h.channels.byListener[listener]; channel != nil {
		select {
		case <-channel.broken:
		default:
			return channel, nil
		}
	}
	node, err := h.dial(ctx, decisionsPreamble{Nonce: h.nonce, Listener: listener, Decisions: true})
	if err != nil {
		return nil, err
	}
	channel, err := openDecisions(ctx, node, &h.buffers, h.log)
	if err != nil {
		return nil, err
	}
	if h.channels.byListener == nil {
		h.channels.byListener = map[string]*decisions{}
	}
	h.channels.byListener[listener] = channel
	return channel, nil
}

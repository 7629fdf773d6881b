package main

import (
	"context"
	"net"
	"sync"
)

// connectionSet closes what was dialled through it. The client's own API server waits up to 5 s for connections that were
// opened in reserve and never used, and would hold up the engine's end for as long.
type connectionSet struct {
	mu   sync.Mutex
	open map[*trackedConnection]struct{}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func (c *connectionSet) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tracked := &trackedConnection{Conn: connection, set: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open == nil {
			c.open = map[*trackedConnection]struct{}{}
		}
		c.open[tracked] = struct{}{}
		return tracked, nil
	}
}

func (c *connectionSet) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tracked := range c.open {
		tracked.Conn.Close()
	}
	clear(c.open)
}

type trackedConnection struct {
	net.Conn
	set *connectionSet
}

func (t *trackedConnection) Close() error {
	t.set.mu.Lock()
	delete(t.set.open, t)
	t.set.mu.Unlock()
	return t.Conn.Close()
}

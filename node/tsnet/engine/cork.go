package main

// A connection beneath TLS that can hold back what TLS writes, a record at a time, until a whole piece is there: the network stack
// below takes 64 KiB at once for little more than it takes 16.

import (
	"net"
	"sync"
	"sync/atomic"
)

type cork struct {
	halfCloser
	buffers *bufferPool
	// isFlushing: a write is under way that TLS does not know of, and does not end for its farewell.
	isFlushing, isEnding atomic.Bool

	mu       sync.Mutex
	isIn     bool
	held     *[recordBuffer]byte // of which so much is filled; nil where nothing is held
	heldSize int
	failed   error // nothing follows on what was lost
}

// Write is what TLS calls.
func (c *cork) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	if !c.isIn {
		return c.halfCloser.Write(p)
	}
	if c.heldSize+len(p) > recordBuffer {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > recordBuffer {
		return c.halfCloser.Write(p)
	}
	if c.held == nil {
		c.held = c.buffers.getRecords()
	}
	c.heldSize += copy(c.held[c.heldSize:], p)
	return len(p), nil
}

// together calls write, and passes on what it has written when it has returned.
func (c *cork) together(write func() error) error {
	c.mu.Lock()
	c.isIn = true
	c.mu.Unlock()
	err := write()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isIn = false
	if flushed := c.flush(); err == nil {
		err = flushed
	}
	return err
}

// end reports whether a write of what was held back is under way; none begins any more.
func (c *cork) end() bool {
	c.isEnding.Store(true)
	return c.isFlushing.Load()
}

// flush must be called with mu held.
func (c *cork) flush() error {
	if c.held == nil {
		return nil
	}
	c.isFlushing.Store(true)
	defer c.isFlushing.Store(false)
	if c.failed = net.ErrClosed; !c.isEnding.Load() {
		_, c.failed = c.halfCloser.Write(c.held[:c.heldSize])
	}
	c.buffers.putRecords(c.held)
	c.held, c.heldSize = nil, 0
	return c.failed
}

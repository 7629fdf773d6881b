package main

// The reading half of a bulk transfer: while one piece is being written, the next is read, and pieces grow as far as the
// writer is slower. What is quiet holds no large buffer.

import (
	"io"
	"sync"
)

const (
	pieceRoom = 16 // before a piece, for what frames it
	pieceTail = 16 // behind it
	// smallAnswer holds what most answers are, or one record of TLS.
	smallAnswer = 16<<10 + pieceRoom + pieceTail
	// Two pieces share one pooled buffer: one that is filled, one that is written.
	pieceSize = largeBuffer/2 - pieceRoom - pieceTail
)

// piece is a buffer with room for a frame, and how much of it is filled.
type piece struct {
	room []byte
	n    int
}

func (p *piece) bytes() []byte { return p.room[pieceRoom : pieceRoom+p.n] }

// readAhead reads from until it ends. It must be closed, after from.
type readAhead struct {
	buffers *bufferPool

	mu      sync.Mutex
	changed sync.Cond
	buffer  *[largeBuffer]byte // nil while there is nothing to hold
	filling piece
	writing piece
	err     error
	closed  bool
}

// newReadAhead takes the scratch.
func newReadAhead(from io.Reader, scratch *[smallAnswer]byte, buffers *bufferPool) *readAhead {
	r := &readAhead{buffers: buffers}
	r.changed.L = &r.mu
	go func() {
		r.fill(from, scratch[:])
		buffers.putSmall(scratch)
	}()
	return r
}

func (r *readAhead) fill(from io.Reader, scratch []byte) {
	for {
		n, err := from.Read(scratch)
		if !r.add(scratch[:n], err) || err != nil {
			return
		}
	}
}

// add waits for room; false where nobody wants more.
func (r *readAhead) add(read []byte, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.closed && r.buffer != nil && r.filling.n+len(read) > pieceSize {
		r.changed.Wait()
	}
	if r.closed {
		return false
	}
	if r.buffer == nil {
		r.buffer = r.buffers.get()
		r.filling = piece{room: r.buffer[:largeBuffer/2]}
		r.writing = piece{room: r.buffer[largeBuffer/2:]}
	}
	copy(r.filling.room[pieceRoom+r.filling.n:], read)
	r.filling.n += len(read)
	r.err = err
	r.changed.Broadcast()
	return true
}

// next waits for what has been read since; it is good until the next call. An error comes with the last piece, which may be
// empty.
func (r *readAhead) next() (*piece, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writing.n = 0
	for r.filling.n == 0 && r.err == nil {
		if r.buffer != nil {
			r.giveBack()
		}
		r.changed.Wait()
	}
	r.filling, r.writing = r.writing, r.filling
	r.changed.Broadcast()
	return &r.writing, r.err
}

func (r *readAhead) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.buffer != nil {
		r.giveBack()
	}
	r.changed.Broadcast()
}

// giveBack must be called with mu held, when nobody writes from the buffer.
func (r *readAhead) giveBack() {
	r.buffers.put(r.buffer)
	r.buffer, r.filling, r.writing = nil, piece{}, piece{}
}

package main

// As much of SPDY/3.1 as it takes to say a last word on an exec and to record one: its frames, and which stream is what. Control frames
// are read with the library that the API server and the kubelet read them with, so that a caller cannot be understood differently.
// Data frames are not compressed, so one of ours fits between any two.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/moby/spdystream/spdy"
)

// maxStreams: an exec has five.
const maxStreams = 100

const spdyHead = 8

func spdyLength(head []byte) (uint64, bool) {
	if len(head) < spdyHead {
		return 0, false
	}
	return uint64(head[5])<<16 | uint64(head[6])<<8 | uint64(head[7]), true
}

// maxControlFrame is more than a client says of a stream.
const maxControlFrame = 16 << 10

// spdyControls reads one direction's control frames with the library that the API server and the kubelet read them with.
type spdyControls struct {
	onFrame func(spdy.Frame) error

	frame  bytes.Buffer // incomplete
	whole  bytes.Buffer
	framer *spdy.Framer
}

func newSpdyControls(onFrame func(spdy.Frame) error) (*spdyControls, error) {
	c := &spdyControls{onFrame: onFrame}
	framer, err := spdy.NewFramerWithOptions(io.Discard, &c.whole, spdy.WithMaxControlFramePayloadSize(maxControlFrame),
		spdy.WithMaxHeaderFieldSize(maxControlFrame), spdy.WithMaxHeaderCount(100))
	c.framer = framer
	return c, err
}

func isSpdyControl(head []byte) bool { return head[0]&0x80 != 0 }

// streamOf is for the head of a data frame.
func streamOf(head []byte) spdy.StreamId {
	return spdy.StreamId(binary.BigEndian.Uint32(head) & 0x7fffffff)
}

func (c *spdyControls) take(p piece) error {
	if p.at == 0 {
		c.frame.Reset()
		c.frame.Write(p.head)
	}
	if c.frame.Len()+len(p.bytes) > spdyHead+maxControlFrame {
		return errors.New("a SPDY control frame that is too long")
	}
	c.frame.Write(p.bytes)
	if !p.isLast {
		return nil
	}
	c.whole.Write(c.frame.Bytes())
	frame, err := c.framer.ReadFrame()
	if err != nil {
		return errors.New("a SPDY control frame that cannot be read")
	}
	if c.whole.Len() > 0 {
		return errors.New("a SPDY control frame with more than its fields")
	}
	return c.onFrame(frame)
}

// spdyLastFrame is a data frame that ends its stream.
func spdyLastFrame(stream spdy.StreamId, payload []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(stream)&0x7fffffff)
	frame = binary.BigEndian.AppendUint32(frame, 0x01<<24|uint32(len(payload)))
	return append(frame, payload...)
}

// spdyStreams knows a caller's streams by the words that it opened them with.
type spdyStreams struct {
	controls *spdyControls

	mu   sync.Mutex
	byID map[spdy.StreamId]string
	// failing is the error stream, where the caller opened it first, as Kubernetes' clients do.
	failing spdy.StreamId
}

func newSpdyStreams() (*spdyStreams, error) {
	s := &spdyStreams{byID: map[spdy.StreamId]string{}}
	controls, err := newSpdyControls(s.note)
	s.controls = controls
	return s, err
}

func (s *spdyStreams) note(frame spdy.Frame) error {
	opened, ok := frame.(*spdy.SynStreamFrame)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := opened.Headers.Get("streamtype")
	if len(s.byID) == 0 && kind == "error" {
		s.failing = opened.StreamId
	}
	if _, isOpen := s.byID[opened.StreamId]; isOpen || len(s.byID) >= maxStreams {
		return errors.New("a SPDY stream that is opened twice, or one too many")
	}
	s.byID[opened.StreamId] = kind
	return nil
}

func (s *spdyStreams) is(id spdy.StreamId, kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] == kind
}

// errorStream is zero while it is not open, and where the first stream is another.
func (s *spdyStreams) errorStream() spdy.StreamId {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

func (s *spdyStreams) isEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID) == 0
}

package main

// Frames of upgraded connections, as their bytes pass: where one ends and the next begins, for a frame of ours between two of them and
// for a recording. Nothing is buffered or changed. Here those of a websocket (RFC 6455, 5.2); SPDY's are in spdy.go.

import (
	"encoding/binary"
	"errors"
)

// frames follows one direction of a connection.
type frames struct {
	// lengthOf returns the length of the payload behind a head; false while the head is incomplete.
	lengthOf func(head []byte) (uint64, bool)
	// onPiece is given the payload of each frame in pieces, an empty frame's too. nil: payloads are skipped.
	onPiece func(piece) error

	head   []byte
	inside bool // the payload of the frame that head is of
	passed uint64
	left   uint64
}

type piece struct {
	head   []byte // of its frame
	at     uint64 // bytes of the payload before it
	bytes  []byte // must not be changed
	isLast bool   // of its frame
}

// isBetween reports whether a whole number of frames has passed.
func (f *frames) isBetween() bool { return len(f.head) == 0 }

func (f *frames) push(bytes []byte) error {
	for {
		for !f.inside {
			if len(bytes) == 0 {
				return nil
			}
			f.head = append(f.head, bytes[0])
			bytes = bytes[1:]
			f.left, f.inside = f.lengthOf(f.head)
			f.passed = 0
		}
		if len(bytes) == 0 && f.left > 0 {
			return nil
		}
		n := min(f.left, uint64(len(bytes)))
		f.left -= n
		if f.onPiece != nil {
			if err := f.onPiece(piece{head: f.head, at: f.passed, bytes: bytes[:n], isLast: f.left == 0}); err != nil {
				return err
			}
		}
		f.passed += n
		bytes = bytes[n:]
		if f.left == 0 {
			f.inside, f.head = false, f.head[:0]
		}
	}
}

func websocketLength(head []byte) (uint64, bool) {
	if len(head) < 2 {
		return 0, false
	}
	short := head[1] & 0x7f
	length := 2
	switch short {
	case 126:
		length += 2
	case 127:
		length += 8
	}
	if head[1]&0x80 != 0 {
		length += 4
	}
	switch {
	case len(head) < length:
		return 0, false
	case short == 126:
		return uint64(binary.BigEndian.Uint16(head[2:])), true
	case short == 127:
		return binary.BigEndian.Uint64(head[2:]), true
	}
	return uint64(short), true
}

// websocketMessages reads the data messages of Kubernetes' protocols, whose first byte is a channel.
type websocketMessages struct {
	// wants reports whether a channel's bytes are looked at; those of others stay masked.
	wants func(channel byte) bool
	// onPiece is given messages in pieces.
	onPiece func(channel byte, isFirst bool, bytes []byte)

	inMessage bool
	channel   byte
}

func (m *websocketMessages) take(p piece) error {
	if p.head[0]&0x70 != 0 {
		return errors.New("a websocket frame of an extension") // none was offered
	}
	if p.head[0]&0x08 != 0 {
		return nil // a control frame
	}
	payload, at := p.bytes, p.at
	unmask := func(bytes []byte) []byte {
		if p.head[1]&0x80 == 0 {
			return bytes
		}
		mask := p.head[len(p.head)-4:]
		plain := make([]byte, len(bytes))
		for i := range bytes {
			plain[i] = bytes[i] ^ mask[(at+uint64(i))&3]
		}
		return plain
	}
	isFirst := !m.inMessage && len(payload) > 0
	if isFirst {
		m.channel, m.inMessage = unmask(payload[:1])[0], true
		payload, at = payload[1:], at+1
	}
	if m.inMessage && (isFirst || len(payload) > 0) && m.wants(m.channel) {
		m.onPiece(m.channel, isFirst, unmask(payload))
	}
	if p.isLast && p.head[0]&0x80 != 0 {
		m.inMessage = false
	}
	return nil
}

// websocketFrame is a whole, unmasked frame, as servers send them, of less than 64 KiB.
func websocketFrame(opcode byte, payload []byte) []byte {
	frame := []byte{0x80 | opcode, byte(len(payload))}
	if len(payload) > 125 {
		frame = []byte{0x80 | opcode, 126, byte(len(payload) >> 8), byte(len(payload))}
	}
	return append(frame, payload...)
}

const (
	websocketBinary = 0x2
	websocketClose  = 0x8
)

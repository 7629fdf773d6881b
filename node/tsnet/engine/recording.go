package main

// A recording in asciicast v2, of what an exec or attach puts on a terminal: output and the terminal's size, never input. Node.js decides
// what is recorded and has begun the file (node/proxy/recording.ts); events are appended here, where the bytes pass.
//
// Why not tailscale.com/k8s-operator/sessionrecording, which reads both protocols: its connections write to a recorder of
// Tailscale's alone; its SPDY reader takes one frame of each read and write, so that what follows it in the same segment waits for the next
// one, and fails at stdin without a terminal; and a stream cannot continue when its recording has failed.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	// Events that wait for the disk; each is at most what is read at a time.
	waitingEvents = 64
	// A disk that takes nothing for so long is as good as full. The stream waits meanwhile.
	slowDiskAfter = 10 * time.Second
	// Node.js cuts what must not continue unrecorded.
	cutExpected = 5 * time.Second
	maxResize   = 1 << 10
)

type failureKind string

const (
	unreadable failureKind = "unreadable"
	unwritable failureKind = "unwritable"
	diskFull   failureKind = "disk_full"
	diskSlow   failureKind = "disk_slow"
	tooLarge   failureKind = "too_large"
)

var errUnrecorded = errors.New("it could not be recorded")

type recording struct {
	isRequired bool // the stream ends with its recording
	onFailed   func(failureKind, string)
	startedAt  time.Time
	events     chan []byte
	written    chan struct{} // closed with the file

	isFailed atomic.Bool
	failed   chan struct{} // closed when it is

	mu      sync.Mutex
	left    int64             // bytes that it may still have
	tails   map[uint32][]byte // of each stream's output, where it ends within a character
	resize  []byte            // the message under way
	isEnded bool
}

// openRecording returns one that has failed where its file cannot be opened. onFailed is called once at most, by any goroutine.
func openRecording(order *recordMessage, onFailed func(failureKind, string)) *recording {
	r := &recording{
		isRequired: order.Required, onFailed: onFailed, startedAt: time.Now(), left: order.MaxBytes,
		events: make(chan []byte, waitingEvents), written: make(chan struct{}), failed: make(chan struct{}), tails: map[uint32][]byte{},
	}
	file, err := os.OpenFile(order.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		r.failWrite(err)
		close(r.written)
		return r
	}
	go r.write(file)
	return r
}

// record answers a request that must not run unrecorded with the words of its cut.
func (x *exchange) record(order *recordMessage) {
	x.recording = openRecording(order, func(kind failureKind, reason string) {
		x.on.channel.send(unrecordedMessage{Type: "unrecorded", Request: x.q.id, Failure: kind, Reason: reason})
	})
	if x.recording.err() != nil {
		x.awaitCut()
		x.cancel()
	}
}

func (x *exchange) awaitCut() {
	select {
	case <-x.isCut:
	case <-x.on.over.Done():
	case <-time.After(cutExpected):
	}
}

func (r *recording) write(file *os.File) {
	defer close(r.written)
	for event := range r.events {
		if r.isFailed.Load() {
			continue
		}
		if _, err := file.Write(event); err != nil {
			r.failWrite(err)
		}
	}
	if err := file.Close(); err != nil {
		r.failWrite(err)
	}
}

func (r *recording) failWrite(err error) {
	kind := unwritable
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = diskFull
	}
	r.fail(kind, err.Error())
}

func (r *recording) fail(kind failureKind, reason string) {
	if r.isFailed.CompareAndSwap(false, true) {
		close(r.failed)
		r.onFailed(kind, reason)
	}
}

// err is for a stream that must not continue.
func (r *recording) err() error {
	if r.isRequired && r.isFailed.Load() {
		return errUnrecorded
	}
	return nil
}

// end returns when everything is written, or the disk takes too long.
func (r *recording) end() {
	r.mu.Lock()
	if r.isEnded {
		r.mu.Unlock()
		return
	}
	for _, tail := range r.tails {
		if len(tail) > 0 {
			r.event("o", string(tail))
		}
	}
	r.isEnded = true
	close(r.events)
	r.mu.Unlock()
	select {
	case <-r.written:
	case <-time.After(slowDiskAfter):
		r.fail(diskSlow, "the disk is too slow")
	}
}

// output is of one of several streams; characters are kept whole.
func (r *recording) output(stream uint32, bytes []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := append(r.tails[stream], bytes...)
	whole := wholeCharacters(text)
	r.tails[stream] = append([]byte(nil), text[whole:]...)
	if whole > 0 {
		r.event("o", string(text[:whole]))
	}
}

// wholeCharacters is the length of text without a character whose end is missing.
func wholeCharacters(text []byte) int {
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

var terminalSize = regexp.MustCompile(`^\s*\{\s*"Width":\s*(\d{1,5}),\s*"Height":\s*(\d{1,5})\s*\}\s*$`)

// size is given the messages about the terminal's size, in pieces. Nothing else of what a caller sends is recorded.
func (r *recording) size(isFirst bool, bytes []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isFirst {
		r.resize = r.resize[:0]
	}
	if len(r.resize)+len(bytes) > maxResize {
		return
	}
	r.resize = append(r.resize, bytes...)
	if found := terminalSize.FindSubmatch(r.resize); found != nil {
		r.event("r", fmt.Sprintf("%sx%s", found[1], found[2]))
		r.resize = r.resize[:0]
	}
}

// event must be called with mu held.
func (r *recording) event(kind, text string) {
	if r.isEnded || r.isFailed.Load() {
		return
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	seconds := float64(time.Since(r.startedAt).Milliseconds()) / 1000
	if err := encoder.Encode([]any{seconds, kind, text}); err != nil {
		r.fail(unwritable, err.Error())
		return
	}
	if r.left -= int64(line.Len()); r.left < 0 {
		r.fail(tooLarge, "it has reached recording.maxMegabytes")
		return
	}
	select {
	case r.events <- line.Bytes():
		return
	default:
	}
	late := time.NewTimer(slowDiskAfter)
	defer late.Stop()
	select {
	case r.events <- line.Bytes():
	case <-r.failed:
	case <-late.C:
		r.fail(diskSlow, "the disk is too slow")
	}
}

// Channels of Kubernetes' websocket protocols.
const (
	channelStdout = 1
	channelStderr = 2
	channelError  = 3
	channelResize = 4
)

var readableProtocol = regexp.MustCompile(`^(v[1-5]\.)?channel\.k8s\.io$`)

// recordWebsocket lets both directions be read.
func (r *recording) recordWebsocket(subprotocol string, toCaller, fromCaller *frames) {
	if !readableProtocol.MatchString(subprotocol) {
		r.fail(unreadable, fmt.Sprintf("the subprotocol %.40q cannot be read", subprotocol))
		return
	}
	output := &websocketMessages{
		wants:   func(channel byte) bool { return channel == channelStdout || channel == channelStderr },
		onPiece: func(channel byte, _ bool, bytes []byte) { r.output(uint32(channel), bytes) },
	}
	input := &websocketMessages{
		wants:   func(channel byte) bool { return channel == channelResize },
		onPiece: func(_ byte, isFirst bool, bytes []byte) { r.size(isFirst, bytes) },
	}
	toCaller.onPiece, fromCaller.onPiece = r.orFail(output.take), r.orFail(input.take)
}

// recordSpdy learns from streams which of them is what.
func (r *recording) recordSpdy(protocol string, streams *spdyStreams, toCaller, fromCaller *frames) {
	// Without one the API server speaks the first.
	if protocol != "" && !readableProtocol.MatchString(protocol) {
		r.fail(unreadable, fmt.Sprintf("the protocol %.40q cannot be read", protocol))
		return
	}
	toCaller.onPiece = r.orFail(func(p piece) error {
		if id := streamOf(p.head); !isSpdyControl(p.head) && (streams.is(id, "stdout") || streams.is(id, "stderr")) {
			r.output(uint32(id), p.bytes)
		}
		return nil
	})
	fromCaller.onPiece = r.orFail(func(p piece) error {
		if isSpdyControl(p.head) {
			return streams.controls.take(p)
		}
		if streams.is(streamOf(p.head), "resize") {
			r.size(p.at == 0, p.bytes)
		}
		return nil
	})
}

// orFail makes what cannot be read a failure of the recording; the bytes pass or not by its err.
func (r *recording) orFail(take func(piece) error) func(piece) error {
	return func(p piece) error {
		if r.isFailed.Load() {
			return nil
		}
		if err := take(p); err != nil {
			r.fail(unreadable, err.Error())
		}
		return nil
	}
}

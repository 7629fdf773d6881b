package main

// An upgraded connection: exec, attach, port-forward, a watch over websocket. httputil.ReverseProxy changes protocols and joins the two
// sides; what passes between them passes through here, to be counted, recorded and ended.
//
// Both sides end together. A cut puts a last word where the protocol has a place for it, the error stream of Kubernetes'
// protocols for exec and attach, and only between two frames: the goroutine that writes to the caller writes that too, so that nothing
// comes behind it.

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// How long a caller may take to close its connection after the API server has.
	lingerStream    = 30 * time.Second
	maxClosingWords = 120
)

// switchedHeaders are those of a 101 that come back.
var switchedHeaders = []string{
	"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "X-Stream-Protocol-Version",
}

type stream struct {
	x    *exchange
	body io.ReadWriteCloser // to the API server
	far  net.Conn           // beneath body
	rest *bytes.Reader      // of the caller, read ahead of the 101

	protocol    string // Kubernetes' own
	isWebsocket bool
	spdy        *spdyStreams // nil where nothing is to be known of them
	toCaller    frames
	fromCaller  frames
	isBetween   bool // the caller has a whole number of frames

	mu       sync.Mutex
	isJoined bool
	isClosed bool
	written  chan struct{} // closed when nothing is written to the caller any more
}

// protocol is that of an upgrade; empty for any other request.
func (x *exchange) protocol() string {
	for i := 0; i+1 < len(x.order.Headers); i += 2 {
		if strings.EqualFold(x.order.Headers[i], "upgrade") {
			return x.order.Headers[i+1]
		}
	}
	return ""
}

func (x *exchange) setFar(connection net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.far = connection
}

// beginStream readies a 101.
func (x *exchange) beginStream(response *http.Response) error {
	protocol := x.protocol()
	body, ok := response.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(response.Header.Get("Upgrade"), protocol) {
		return invalidAnswer{errors.New("another protocol than was asked for")}
	}
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {protocol}}
	for _, name := range switchedHeaders {
		if values, ok := response.Header[name]; ok {
			header[name] = values
		}
	}
	if cookies, ok := response.Header["Set-Cookie"]; ok && x.order.WithCookies {
		header["Set-Cookie"] = cookies
	}
	for i := 0; i+1 < len(x.order.Added); i += 2 {
		header.Set(x.order.Added[i], x.order.Added[i+1])
	}
	s := &stream{x: x, body: body, isBetween: true, written: make(chan struct{}), isWebsocket: strings.EqualFold(protocol, "websocket")}
	x.mu.Lock()
	s.far = x.far
	x.mu.Unlock()
	if err := s.readFrames(response.Header); err != nil {
		return err
	}
	response.Header = header
	// Of its status line the code alone comes back: the rest is not checked.
	response.Status, response.ProtoMajor, response.ProtoMinor, response.Close = "", 1, 1, false
	response.Body = farSide{s}
	x.stream = s
	x.tellBegun(response.StatusCode)
	return nil
}

// readFrames says how they are read, as far as anything depends on them.
func (s *stream) readFrames(header http.Header) error {
	recording := s.x.recording
	if s.isWebsocket {
		s.protocol = header.Get("Sec-Websocket-Protocol")
		s.toCaller.lengthOf, s.fromCaller.lengthOf = websocketLength, websocketLength
		if recording != nil {
			recording.recordWebsocket(s.protocol, &s.toCaller, &s.fromCaller)
		}
		return nil
	}
	s.protocol = header.Get("X-Stream-Protocol-Version")
	s.toCaller.lengthOf, s.fromCaller.lengthOf = spdyLength, spdyLength
	// Earlier versions have words on the error stream that no client shows; port-forward has one for each connection.
	if recording == nil && s.protocol != "v4.channel.k8s.io" {
		return nil
	}
	streams, err := newSpdyStreams()
	if err != nil {
		return err
	}
	s.spdy = streams
	if recording != nil {
		recording.recordSpdy(s.protocol, streams, &s.toCaller, &s.fromCaller)
		return nil
	}
	s.fromCaller.onPiece = func(p piece) error {
		if isSpdyControl(p.head) && (streams.controls.take(p) != nil || !streams.isEmpty()) {
			s.fromCaller.onPiece = nil // all that has to be known, or can be
		}
		return nil
	}
	return nil
}

// lastWord is nil where there is no place for one.
func (s *stream) lastWord(cut *cutMessage) []byte {
	if !s.isBetween {
		return nil
	}
	if !s.isWebsocket {
		if s.spdy == nil || s.protocol != "v4.channel.k8s.io" || s.spdy.errorStream() == 0 {
			return nil
		}
		return spdyLastFrame(s.spdy.errorStream(), []byte(cut.LastWord))
	}
	reason := strings.ToValidUTF8(cut.Reason[:min(len(cut.Reason), maxClosingWords)], "")
	closing := websocketFrame(websocketClose, append([]byte{1008 >> 8, 1008 & 0xff}, reason...))
	if s.protocol != "v5.channel.k8s.io" && s.protocol != "v4.channel.k8s.io" {
		return closing
	}
	return append(websocketFrame(websocketBinary, append([]byte{channelError}, cut.LastWord...)), closing...)
}

// follow reads bytes before they pass; an error is for those that must not.
func (s *stream) follow(direction *frames, bytes []byte) error {
	if s.x.cutBy() != nil {
		return errEnded
	}
	if err := direction.push(bytes); err != nil {
		return err
	}
	if s.x.recording != nil {
		return s.x.recording.err()
	}
	return nil
}

// Hijack is httputil.ReverseProxy's.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	_, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	rest, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	x.stream.rest = bytes.NewReader(bytes.Clone(rest))
	return callerSide{x.on, x.stream}, buffered, nil
}

type callerSide struct {
	halfCloser
	s *stream
}

func (c callerSide) Read(p []byte) (int, error) {
	if c.s.rest.Len() > 0 {
		return c.s.rest.Read(p)
	}
	return c.halfCloser.Read(p)
}

func (c callerSide) Write(p []byte) (int, error) {
	if err := c.s.follow(&c.s.toCaller, p); err != nil {
		return 0, err
	}
	n, err := c.halfCloser.Write(p)
	c.s.x.received += int64(n)
	c.s.isBetween = err == nil && c.s.toCaller.isBetween()
	return n, err
}

func (c callerSide) SetWriteDeadline(time.Time) error {
	c.s.x.armWrite()
	return nil
}

// ReadFrom passes on what the API server sends, and the last word.
func (c callerSide) ReadFrom(io.Reader) (int64, error) {
	if !c.s.join() {
		return 0, errEnded
	}
	defer close(c.s.written)
	err := copyAdaptive(c, farSide{c.s}, c.s.x.on.channel.buffers)
	if c.s.x.recording != nil && c.s.x.recording.err() != nil {
		c.s.x.awaitCut()
	}
	if cut := c.s.x.cutBy(); cut != nil {
		_ = c.halfCloser.SetWriteDeadline(time.Now().Add(cutWithin))
		_, _ = c.halfCloser.Write(c.s.lastWord(cut))
		return 0, errEnded
	}
	return 0, err
}

func (s *stream) join() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isJoined = !s.isClosed
	return s.isJoined
}

// CloseWrite is for a stream that the API server has ended.
func (c callerSide) CloseWrite() error {
	time.AfterFunc(lingerStream, c.s.x.on.end)
	return c.halfCloser.CloseWrite()
}

// Close returns when nothing is written to the caller any more.
func (c callerSide) Close() error {
	c.s.mu.Lock()
	c.s.isClosed = true
	isJoined := c.s.isJoined
	c.s.mu.Unlock()
	c.s.body.Close()
	if isJoined {
		_ = c.halfCloser.SetWriteDeadline(time.Now().Add(cutWithin))
		<-c.s.written
	}
	if c.s.x.cutBy() != nil {
		time.AfterFunc(cutWithin, c.s.x.on.end)
	}
	return c.s.x.on.Close()
}

// farSide is the body of a 101.
type farSide struct{ s *stream }

func (f farSide) Read(p []byte) (int, error) { return f.s.body.Read(p) }

func (f farSide) Write(p []byte) (int, error) {
	if err := f.s.follow(&f.s.fromCaller, p); err != nil {
		return 0, err
	}
	n, err := f.s.body.Write(p)
	f.s.x.body.read.Add(int64(n))
	return n, err
}

// ReadFrom passes on what the caller sends.
func (f farSide) ReadFrom(io.Reader) (int64, error) {
	return 0, copyAdaptive(f, callerSide{f.s.x.on, f.s}, f.s.x.on.channel.buffers)
}

func (f farSide) CloseWrite() error {
	if closer, ok := f.s.body.(interface{ CloseWrite() error }); ok {
		return closer.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (f farSide) Close() error                       { return f.s.body.Close() }
func (f farSide) SetReadDeadline(t time.Time) error  { return f.s.far.SetReadDeadline(t) }
func (f farSide) SetWriteDeadline(t time.Time) error { return f.s.far.SetWriteDeadline(t) }

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/spdystream/spdy"
)

// recordedExec is an exec that Node.js wants recorded in a file.
func recordedExec(t *testing.T, protocol, subprotocol string, order recordMessage) (*fixture, *wire, net.Conn) {
	t.Helper()
	f, far := startUpgrades(t, switching(protocol, subprotocol))
	f.decide = func(c *fakeChannel, ask askMessage) {
		order.Request = ask.Request
		c.send("record", order)
		forwardUpgrade(c, ask)
	}
	w := f.dial(asking(protocol))
	_ = w.head("GET")
	return f, w, <-far
}

func castFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.cast")
	if err := os.WriteFile(path, []byte("the header\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventsIn are the kinds and texts of the events behind the header.
func eventsIn(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != "the header" {
		t.Errorf("%q", lines[0])
	}
	var events []string
	for _, line := range lines[1:] {
		var event []any
		if err := json.Unmarshal([]byte(line), &event); err != nil || len(event) != 3 {
			t.Fatalf("%q: %v", line, err)
		}
		if seconds, ok := event[0].(float64); !ok || seconds < 0 || seconds > 60 {
			t.Errorf("at %v", event[0])
		}
		events = append(events, fmt.Sprintf("%v %v", event[1], event[2]))
	}
	return events
}

// masked is a frame as clients send it.
func masked(opcode byte, payload string) string {
	frame := websocketFrame(opcode, []byte(payload))
	head := len(frame) - len(payload)
	frame[1] |= 0x80
	mask := []byte{0x11, 0x22, 0x33, 0x44}
	body := bytes.Clone(frame[head:])
	for i := range body {
		body[i] ^= mask[i&3]
	}
	return string(frame[:head]) + string(mask) + string(body)
}

func pass(t *testing.T, to io.Writer, from io.Reader, text string) {
	t.Helper()
	go func() { _, _ = io.WriteString(to, text) }()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("%q %v", got, err)
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
}

const plenty = 1 << 30

func TestWhatATerminalShowsIsRecordedAndNothingThatIsTyped(t *testing.T) {
	secret := "hunter2"
	stdout := func(text string) string { return string(websocketFrame(websocketBinary, []byte("\x01"+text))) }
	for protocol, c := range map[string]struct{ fromCaller, toCaller string }{
		webSocket: {
			masked(websocketBinary, "\x00"+secret) + masked(websocketBinary, `{"Width":1,`) +
				masked(websocketBinary, "\x04"+`{"Width":120,"Height":40}`) +
				masked(websocketBinary, "\x04"+`{"Width":80,"Height":24,"x":"`+secret+`"}`) +
				masked(websocketBinary, "\x04"+strings.Repeat(secret, 1000)) + masked(websocketBinary, "\x09"+secret) +
				// A message whose first frame is empty, and which another continues.
				"\x02\x80\x00\x00\x00\x00" + masked(0, "\x00"+secret) + masked(9, secret),
			stdout("out <1>") + string(websocketFrame(websocketBinary, []byte("\x02err"))) + string(websocketFrame(9, []byte("ping"))) +
				string(websocketFrame(websocketBinary, []byte("\x03status"))),
		},
		"SPDY/3.1": {
			string(spdyOpening(t, "error", "stdin", "stdout", "stderr", "resize")) + string(spdyData(3, secret)) +
				string(spdyData(9, `{"Width":120,"Height":40}`+"\n")) + string(spdyData(9, `{"Width":80,"Height":24,"x":"`+secret+`"}`)),
			string(spdyData(5, "out <1>")) + string(spdyData(7, "err")) + string(spdyData(1, "status")),
		},
	} {
		for _, step := range []int{1, 7, 100_000} {
			path := castFile(t)
			f, w, far := recordedExec(t, protocol, "v4.channel.k8s.io", recordMessage{Path: path, MaxBytes: plenty, Required: true})
			for at := 0; at < len(c.fromCaller); at += step {
				pass(t, w.Conn, far, c.fromCaller[at:min(len(c.fromCaller), at+step)])
			}
			for at := 0; at < len(c.toCaller); at += step {
				pass(t, far, w.lines, c.toCaller[at:min(len(c.toCaller), at+step)])
			}
			far.Close()
			w.rest()
			w.Close()
			f.endedWith()
			got := eventsIn(t, path)
			output := ""
			for _, event := range got {
				if text, ok := strings.CutPrefix(event, "o "); ok {
					output += text
				}
			}
			if got[0] != "r 120x40" || output != "out <1>err" {
				t.Errorf("%s: %q", protocol, got)
			}
			if text, _ := os.ReadFile(path); strings.Contains(string(text), secret) {
				t.Errorf("%s: what was typed is in %q", protocol, text)
			}
		}
	}
}

func TestTextInSeveralBytesIsWholeWhereverItIsCut(t *testing.T) {
	text := "grün €uro 🦀\r\n\x1b[31mrot\x1b[0m"
	for cut := range len(text) {
		path := castFile(t)
		r := openRecording(&recordMessage{Path: path, MaxBytes: plenty}, func(kind failureKind, reason string) { t.Error(kind, reason) })
		r.output(1, []byte(text[:cut]))
		r.output(2, nil)
		r.output(1, []byte(text[cut:]))
		r.end()
		got := ""
		for _, event := range eventsIn(t, path) {
			got += strings.TrimPrefix(event, "o ")
		}
		if got != text {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
}

func TestWhatIsLeftOfACharacterIsRecordedAtTheEnd(t *testing.T) {
	path := castFile(t)
	r := openRecording(&recordMessage{Path: path, MaxBytes: plenty}, func(kind failureKind, reason string) { t.Error(kind, reason) })
	r.output(1, []byte("a\xe2\x82"))
	r.end()
	r.end()
	want(t, eventsIn(t, path), "o a", "o \ufffd\ufffd")
}

// What a recording cannot read ends a stream that must be recorded, before it passes, and any other continues unrecorded.
func TestARecordingThatFails(t *testing.T) {
	extension := "\xc2\x01x"
	syn := string(spdyOpening(t, "error"))
	output := string(websocketFrame(websocketBinary, []byte("\x01"+strings.Repeat("x", 100))))
	for title, c := range map[string]struct {
		protocol, subprotocol string
		fromCaller, toCaller  string
		order                 recordMessage
		failure               failureKind
	}{
		"a frame of an extension from the caller": {webSocket, "v5.channel.k8s.io", extension, "", recordMessage{MaxBytes: plenty}, unreadable},
		"a frame of an extension to the caller":   {webSocket, "v5.channel.k8s.io", "", extension, recordMessage{MaxBytes: plenty}, unreadable},
		"a protocol that was not offered":         {webSocket, "base64.channel.k8s.io", "x", "", recordMessage{MaxBytes: plenty}, unreadable},
		"a protocol of SPDY that is another":      {"SPDY/3.1", "portforward.k8s.io", "x", "", recordMessage{MaxBytes: plenty}, unreadable},
		"headers that cannot be inflated": {
			"SPDY/3.1", "v4.channel.k8s.io", syn[:20] + strings.Repeat("x", len(syn)-20), "", recordMessage{MaxBytes: plenty}, unreadable,
		},
		"a control frame with more in it": {
			"SPDY/3.1", "v4.channel.k8s.io", "\x80\x03\x00\x06\x00\x00\x00\x08\x00\x00\x00\x01more", "", recordMessage{MaxBytes: plenty}, unreadable,
		},
		"a control frame that is too long": {
			"SPDY/3.1", "v4.channel.k8s.io", "\x80\x03\x00\x01\x00\x00\x50\x00" + strings.Repeat("x", 0x5000), "", recordMessage{MaxBytes: plenty}, unreadable,
		},
		"a bound that is reached":  {webSocket, "v5.channel.k8s.io", "", output, recordMessage{MaxBytes: 50}, tooLarge},
		"a disk that is full":      {webSocket, "v5.channel.k8s.io", "", output, recordMessage{Path: "/dev/full", MaxBytes: plenty}, diskFull},
		"a file that is not there": {webSocket, "v5.channel.k8s.io", "", output, recordMessage{Path: "/nowhere/x", MaxBytes: plenty}, unwritable},
		"a directory in its place": {webSocket, "v5.channel.k8s.io", "", output, recordMessage{Path: "/tmp", MaxBytes: plenty}, unwritable},
		"a stream that is opened twice": {
			"SPDY/3.1", "v4.channel.k8s.io", string(twice(t)), "", recordMessage{MaxBytes: plenty}, unreadable,
		},
	} {
		for _, isRequired := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, required: %v", title, isRequired), func(t *testing.T) {
				order := c.order
				order.Required = isRequired
				if order.Path == "" {
					order.Path = castFile(t)
				}
				f, far := startUpgrades(t, switching(c.protocol, c.subprotocol))
				f.decide = func(channel *fakeChannel, ask askMessage) {
					order.Request = ask.Request
					channel.send("record", order)
					forwardUpgrade(channel, ask)
				}
				w := f.dial(asking(c.protocol))
				if order.Required && (c.order.Path == "/nowhere/x" || c.order.Path == "/tmp") {
					if failed := <-f.unrecorded; failed.Failure != c.failure {
						t.Errorf("%+v", failed)
					}
					f.cut()
					if response, body := w.answer("GET"); response.StatusCode != 401 || body != "cut" || len(f.connections()) > 0 {
						t.Errorf("%d %q, %d connections", response.StatusCode, body, len(f.connections()))
					}
					return
				}
				_ = w.head("GET")
				server := <-far
				if !isRequired {
					pass(t, w.Conn, server, c.fromCaller)
					pass(t, server, w.lines, c.toCaller)
					if failed := <-f.unrecorded; failed.Failure != c.failure {
						t.Errorf("%+v", failed)
					}
					pass(t, server, w.lines, "and on")
					return
				}
				w.send(c.fromCaller)
				_, _ = io.WriteString(server, c.toCaller)
				if failed := <-f.unrecorded; failed.Failure != c.failure || failed.Request != f.lastAsked() {
					t.Errorf("%+v", failed)
				}
				f.cut()
				rest := w.rest()
				if c.protocol == webSocket && c.failure == unreadable && !strings.HasSuffix(rest, "over") || strings.Contains(rest, extension) {
					t.Errorf("%q", rest)
				}
				gone(t, server)
				f.endedWith()
				if sent := f.connections()[0].text(); c.fromCaller != "" && strings.HasSuffix(sent, c.fromCaller) {
					t.Error("what could not be recorded has passed")
				}
			})
		}
	}
}

func twice(t *testing.T) []byte {
	t.Helper()
	var opening bytes.Buffer
	framer, err := spdy.NewFramer(&opening, &opening)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"error", "stdout"} {
		if err := framer.WriteFrame(&spdy.SynStreamFrame{StreamId: 1, Headers: map[string][]string{"streamtype": {kind}}}); err != nil {
			t.Fatal(err)
		}
	}
	return opening.Bytes()
}

// It is found out behind the back of whatever passes.
func TestADiskThatFailsEndsAStreamAlthoughNothingPassesAnyMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, w, far := recordedExec(t, webSocket, "v5.channel.k8s.io", recordMessage{Path: path, MaxBytes: plenty, Required: true})
	reader.Close()
	_, _ = far.Write(websocketFrame(websocketBinary, []byte("\x01output")))
	if failed := <-f.unrecorded; failed.Failure != unwritable {
		t.Errorf("%+v", failed)
	}
	f.cut()
	if rest := w.rest(); !strings.HasSuffix(rest, "over") {
		t.Errorf("%q", rest)
	}
	f.endedWith()
}

// A disk that takes its time holds the stream back, and nothing is lost.
func TestASlowDiskSetsThePaceOfAStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 1)
	release := make(chan struct{})
	go func() {
		reader, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		<-release
		lines := bufio.NewScanner(reader)
		lines.Buffer(nil, 4<<20)
		bytes := 0
		for lines.Scan() {
			var event [3]any
			if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
				t.Error(err)
			}
			bytes += len(fmt.Sprint(event[2]))
		}
		got <- bytes
	}()
	r := openRecording(&recordMessage{Path: path, MaxBytes: plenty}, func(kind failureKind, reason string) { t.Error(kind, reason) })
	written := make(chan struct{})
	block := bytes.Repeat([]byte("x"), 64<<10)
	go func() {
		for range 200 {
			r.output(1, block)
		}
		close(written)
	}()
	eventually(t, "it waits for the disk", func() bool { return len(r.events) == waitingEvents })
	close(release)
	<-written
	r.end()
	if bytes := <-got; bytes != 200*len(block) {
		t.Errorf("%d bytes", bytes)
	}
}

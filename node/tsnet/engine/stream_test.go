package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/spdystream/spdy"
)

const webSocket = "websocket"

func asking(protocol string) string {
	return head("GET", "/k8s/exec", "alice") + "Connection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n"
}

func switching(protocol, subprotocol string) string {
	field := map[bool]string{true: "Sec-Websocket-Protocol", false: "X-Stream-Protocol-Version"}[protocol == webSocket]
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n" + field + ": " + subprotocol + "\r\n\r\n"
}

// startUpgrades lets upgrades be forwarded to a server that answers so; the test gets its end of each.
func startUpgrades(t *testing.T, answer string) (*fixture, chan net.Conn) {
	t.Helper()
	far := make(chan net.Conn, 8)
	f := startFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(connection, answer)
		far <- connection
	})
	f.decide = forwardUpgrade
	return f, far
}

// forwardUpgrade decides as Node.js does.
func forwardUpgrade(c *fakeChannel, ask askMessage) {
	order := orderOf(ask)
	order.TellBegun, order.Close = true, true
	for i := 0; i < len(ask.Headers); i += 2 {
		if ask.Headers[i] == "Upgrade" {
			order.Headers = append(order.Headers, "connection", "Upgrade", "upgrade", ask.Headers[i+1])
		}
	}
	c.send("forward", order)
}

// upgraded is a caller whose upgrade has been granted, and the server's end.
func upgraded(t *testing.T, protocol, subprotocol string) (*fixture, *wire, net.Conn) {
	t.Helper()
	f, far := startUpgrades(t, switching(protocol, subprotocol))
	w := f.dial(asking(protocol))
	if response := w.head("GET"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response.StatusCode)
	}
	return f, w, <-far
}

func (f *fixture) cut() {
	f.t.Helper()
	(<-f.channels).send("cut", cutMessage{
		Request: f.lastAsked(), Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\ncut", LastWord: `{"why":"over"}`, Reason: "over",
	})
}

func (f *fixture) endedWith() endedMessage {
	f.t.Helper()
	select {
	case ended := <-f.ended:
		return ended
	case <-time.After(5 * time.Second):
		f.t.Fatal("the stream does not end")
		return endedMessage{}
	}
}

// gone fails where the server's end of a stream stays open.
func gone(t *testing.T, far net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, far); isTimeout(err) {
		t.Error("the server's side stays open")
	}
}

func TestAnUpgradeIsForwardedAsItWasDecided(t *testing.T) {
	f, far := startUpgrades(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n"+
		"Set-Cookie: a=b\r\nServer: x\r\nX-Other: y\r\n\r\nearly answer")
	w := f.dial(head("GET", "/k8s/exec?command=sh", "alice") + "X-Secret: no\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
	response := w.head("GET")
	for name, want := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Accept": "a", "X-Request-Id": "r", "Set-Cookie": "", "Server": "", "X-Other": "",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	connection := <-far
	want := "GET /exec?command=sh HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.server.URL, "http://") +
		"\r\nAuthorization: token of alice\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	got := make([]byte, 5)
	if _, err := io.ReadFull(connection, got); err != nil || string(got) != "early" {
		t.Errorf("%q %v", got, err)
	}
	if text := f.connections()[0].text(); text != want+"early" {
		t.Errorf("the server was sent %q", text)
	}
	_, _ = io.WriteString(connection, ", and more")
	connection.Close()
	if rest := w.rest(); rest != "early answer, and more" {
		t.Errorf("%q", rest)
	}
	w.Close()
	if ended := f.endedWith(); ended.Status != 101 || ended.SentBytes != 5 || ended.ReceivedBytes != 22 {
		t.Errorf("%+v", ended)
	}
}

func TestOfTheStatusLineOfAnUpgradeTheCodeAloneComesBack(t *testing.T) {
	head := strings.TrimPrefix(switching(webSocket, "v5.channel.k8s.io"), "HTTP/1.1 101 Switching Protocols")
	head = strings.Replace(head, "Connection: Upgrade", "Connection: Upgrade, close", 1)
	f, far := startUpgrades(t, "HTTP/1.0 101 Fine\rSet-Cookie: a=b"+head)
	w := f.dial(asking(webSocket))
	_ = (<-far).Close()
	got := w.rest()
	if !strings.HasPrefix(got, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n") || strings.Contains(got, "Cookie") {
		t.Errorf("%q", got)
	}
}

func TestBytesBeforeTheAnswerToAnUpgradeReachTheServerBehindIt(t *testing.T) {
	f, far := startUpgrades(t, "")
	w := f.dial(asking(webSocket) + "early")
	connection := <-far
	if text := f.connections()[0].text(); strings.Contains(text, "early") {
		t.Errorf("%q", text)
	}
	_, _ = io.WriteString(connection, switching(webSocket, "v5.channel.k8s.io"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(connection, got); err != nil || string(got) != "early" {
		t.Errorf("%q %v", got, err)
	}
	_ = w.head("GET")
}

func TestBulkPassesAnUpgradedConnectionBothWays(t *testing.T) {
	for _, protocol := range []string{webSocket, "SPDY/3.1"} {
		f, w, far := upgraded(t, protocol, "v4.channel.k8s.io")
		big := make([]byte, 5<<20)
		_, _ = rand.Read(big)
		var sent, got []byte
		done := make(chan struct{})
		go func() {
			sent, _ = io.ReadAll(far)
			_, _ = far.Write(big)
			far.Close()
			close(done)
		}()
		go func() {
			_, _ = w.Conn.Write(big)
			_ = w.Conn.(halfCloser).CloseWrite()
		}()
		got, err := io.ReadAll(w.lines)
		<-done
		if !bytes.Equal(sent, big) || !bytes.Equal(got, big) {
			t.Errorf("%s: %d and %d bytes of %d: %v", protocol, len(sent), len(got), len(big), err)
		}
		if ended := f.endedWith(); ended.SentBytes != int64(len(big)) || ended.ReceivedBytes != int64(len(big)) {
			t.Errorf("%+v", ended)
		}
	}
}

func TestAnAnswerThatGrantsNoUpgradeClosesTheConnection(t *testing.T) {
	follows := head("DELETE", "/k8s/smuggled", "alice") + "\r\n"
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nxyyzz":                              "xyyzz",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n":                         "xy",
		"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{}":                                             "{}",
		"HTTP/1.1 204 No Content\r\n\r\n":                                                                   "",
		switching("h2c", "") + "secret bytes":                                                               "invalid",
		strings.Replace(switching(webSocket, "x"), "Sec-Websocket-Protocol", "X(a)", 1):                     "invalid",
		strings.Replace(switching(webSocket, "x"), "Protocol: x", "Protocol : x", 1):                        "invalid",
		strings.Replace(switching(webSocket, "a\rSet-Cookie: b"), "Upgrade: web", "Upgrade: web", 1):        "invalid",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \x01\r\n\r\nrest of something": "invalid",
	} {
		f, far := startUpgrades(t, answer)
		w := f.dial(asking(webSocket) + follows)
		(<-far).Close()
		response, body := w.answer("GET")
		if body != want || !response.Close || response.Header.Get("Set-Cookie") != "" || (want != "invalid" && response.Header.Get("X-Protect") != "yes") {
			t.Errorf("%q: %d %v %q", answer, response.StatusCode, response.Header, body)
		}
		if rest := w.rest(); rest != "" {
			t.Errorf("%q: then %q", answer, rest)
		}
		w.Close()
		closes(t, f.connections()[0])
		if f.questions() != 1 || strings.Contains(f.connections()[0].text(), "smuggled") {
			t.Errorf("%q: what follows was read", answer)
		}
	}
}

func TestAnUpgradeHasAConnectionOfItsOwn(t *testing.T) {
	f, far := startUpgrades(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
	for range 2 {
		w := f.dial(asking(webSocket))
		if _, body := w.answer("GET"); body != "no" {
			t.Error(body)
		}
		gone(t, <-far)
	}
	if n := len(f.connections()); n != 2 {
		t.Errorf("%d connections to the server", n)
	}
}

func TestACallerThatGoesBeforeTheAnswerToItsUpgradeEndsIt(t *testing.T) {
	for _, leave := range []func(*wire){func(w *wire) { _ = w.Conn.(halfCloser).CloseWrite() }, func(w *wire) { w.Close() }} {
		f, far := startUpgrades(t, "")
		w := f.dial(asking(webSocket))
		connection := <-far
		leave(w)
		gone(t, connection)
		if ended := f.endedWith(); ended.Status != 0 {
			t.Errorf("%+v", ended)
		}
	}
}

func TestBothSidesOfAnUpgradedConnectionEndTogether(t *testing.T) {
	reset := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for _, end := range []func(net.Conn){func(c net.Conn) { c.Close() }, reset} {
		f, w, far := upgraded(t, webSocket, "v5.channel.k8s.io")
		end(w.Conn)
		gone(t, far)
		far.Close()
		f.endedWith()

		f, w, far = upgraded(t, webSocket, "v5.channel.k8s.io")
		end(far.(*recorded).Conn)
		w.rest()
		w.Close()
		f.endedWith()
	}
}

// spdyOpening is how a client opens its streams, in one compression context.
func spdyOpening(t *testing.T, kinds ...string) []byte {
	t.Helper()
	var opening bytes.Buffer
	framer, err := spdy.NewFramer(&opening, &opening)
	if err != nil {
		t.Fatal(err)
	}
	for i, kind := range kinds {
		frame := &spdy.SynStreamFrame{StreamId: spdy.StreamId(2*i + 1), Headers: http.Header{"streamtype": {kind}}}
		if err := framer.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}
	return opening.Bytes()
}

func spdyData(stream spdy.StreamId, text string) []byte {
	frame := spdyLastFrame(stream, []byte(text))
	frame[4] = 0
	return frame
}

// A cut says why where the protocol has a place for it, and only between two frames.
func TestTheLastWordOfAStreamThatIsCut(t *testing.T) {
	closing := "\x88\x06\x03\xf0over"
	status := `{"why":"over"}`
	framed := fmt.Sprintf("\x82%c\x03%s", len(status)+1, status)
	output := string(websocketFrame(websocketBinary, []byte("\x01output")))
	opening := string(spdyOpening(t, "error", "stdin", "stdout"))
	data := string(spdyData(5, "output"))
	last := string(spdyLastFrame(1, []byte(status)))
	settings := "\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x0a"
	for title, c := range map[string]struct{ protocol, subprotocol, fromCaller, toCaller, want string }{
		"exec over websocket":                  {webSocket, "v5.channel.k8s.io", "", output, framed + closing},
		"exec over the version before":         {webSocket, "v4.channel.k8s.io", "", output, framed + closing},
		"another protocol over websocket":      {webSocket, "v2.portforward.k8s.io", "", output, closing},
		"a watch, which chose no protocol":     {webSocket, "", "", output, closing},
		"inside a frame":                       {webSocket, "v5.channel.k8s.io", "", output[:5], ""},
		"inside the head of a frame":           {webSocket, "v5.channel.k8s.io", "", output + "\x82", ""},
		"exec over SPDY":                       {"SPDY/3.1", "v4.channel.k8s.io", opening, data, last},
		"exec over SPDY, settings first":       {"SPDY/3.1", "v4.channel.k8s.io", settings + opening, data, last},
		"port-forward over SPDY":               {"SPDY/3.1", "portforward.k8s.io", opening, data, ""},
		"SPDY of the version before":           {"SPDY/3.1", "v3.channel.k8s.io", opening, data, ""},
		"SPDY whose first stream is another":   {"SPDY/3.1", "v4.channel.k8s.io", string(spdyOpening(t, "stdout", "error")), data, ""},
		"SPDY whose first stream is malformed": {"SPDY/3.1", "v4.channel.k8s.io", "\x80\x03\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00ab", data, ""},
		"inside a frame of SPDY":               {"SPDY/3.1", "v4.channel.k8s.io", opening, data + data[:10], ""},
	} {
		t.Run(title, func(t *testing.T) {
			f, w, far := upgraded(t, c.protocol, c.subprotocol)
			w.send(c.fromCaller)
			if _, err := io.ReadFull(far, make([]byte, len(c.fromCaller))); err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(far, c.toCaller)
			if _, err := io.ReadFull(w.lines, make([]byte, len(c.toCaller))); err != nil {
				t.Fatal(err)
			}
			f.cut()
			if rest := w.rest(); rest != c.want {
				t.Errorf("%q", rest)
			}
			gone(t, far)
			f.endedWith()
		})
	}
}

func TestNothingComesBehindTheLastWord(t *testing.T) {
	f, w, far := upgraded(t, webSocket, "v5.channel.k8s.io")
	frame := websocketFrame(websocketBinary, bytes.Repeat([]byte("z"), 1000))
	go func() {
		for {
			if _, err := far.Write(frame); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			if _, err := w.Conn.Write(frame); err != nil {
				return
			}
		}
	}()
	_, _ = io.ReadFull(w.lines, make([]byte, 100_000))
	f.cut()
	if rest := w.rest(); !strings.HasSuffix(rest, "over") && !strings.HasSuffix(rest, "z") {
		t.Errorf("%q", rest[len(rest)-20:])
	}
	f.endedWith()
}

func TestACallerThatReadsNothingDoesNotOutliveACutOfItsStream(t *testing.T) {
	f, _, far := upgraded(t, webSocket, "v5.channel.k8s.io")
	frame := websocketFrame(websocketBinary, make([]byte, 60_000))
	written := make(chan struct{}, 1)
	go func() {
		for {
			if _, err := far.Write(frame); err != nil {
				return
			}
			select {
			case written <- struct{}{}:
			default:
			}
		}
	}()
	for isStalled := false; !isStalled; {
		select {
		case <-written:
		case <-time.After(300 * time.Millisecond):
			isStalled = true
		}
	}
	f.cut()
	at := time.Now()
	f.endedWith()
	gone(t, far)
	if took := time.Since(at); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestACutBeforeTheAnswerToAnUpgradeIsTheAnswer(t *testing.T) {
	f, far := startUpgrades(t, "")
	w := f.dial(asking(webSocket))
	connection := <-far
	f.cut()
	if response, body := w.answer("GET"); response.StatusCode != 401 || body != "cut" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
	gone(t, connection)
}

func TestAStreamEndsWithItsChannelAndWithItsPool(t *testing.T) {
	for _, end := range []func(*fakeChannel){
		func(c *fakeChannel) { c.conn.Close() },
		func(c *fakeChannel) { c.send("forget", forgetMessage{Pool: "alice"}) },
	} {
		f, w, far := upgraded(t, webSocket, "v5.channel.k8s.io")
		end(<-f.channels)
		w.rest()
		gone(t, far)
	}
}

func TestADrainLeavesStreamsToNode(t *testing.T) {
	f, w, far := upgraded(t, webSocket, "v5.channel.k8s.io")
	(<-f.channels).send("drain", drainMessage{})
	idle := f.dial("")
	_, _ = io.WriteString(far, "still here")
	got := make([]byte, 10)
	if _, err := io.ReadFull(w.lines, got); err != nil {
		t.Error(err)
	}
	idle.Close()
}

package main

// A listener that Node decides for, with a stand-in for Node at the other end of its socket and a real HTTP server behind.

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type fixture struct {
	t         *testing.T
	hand      *handOver
	listener  fakeListener
	server    *httptest.Server
	channels  chan *fakeChannel
	handed    chan net.Conn // to Node, after the preamble
	preambles chan preamble

	mu        sync.Mutex
	identity  identity
	upstreams []*recorded // connections to the server, oldest first
	// decide answers each question; nil: forwarded in a pool named by the bearer token.
	decide func(*fakeChannel, askMessage)
	asked  []askMessage
	ended  chan endedMessage
	// read is told of bodies that were asked for.
	read       func(*fakeChannel, bodyMessage)
	unrecorded chan unrecordedMessage
}

// recorded is a connection to the server, and what came on it.
type recorded struct {
	net.Conn
	mu     sync.Mutex
	bytes  strings.Builder
	closed chan struct{}
	once   sync.Once
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	r.bytes.Write(p[:n])
	r.mu.Unlock()
	if err != nil && !isTimeout(err) {
		r.once.Do(func() { close(r.closed) })
	}
	return n, err
}

// Close is the server's own. It is closed when the other side has closed as well.
func (r *recorded) Close() error {
	go func() {
		defer r.Conn.Close()
		_ = r.Conn.(*net.TCPConn).CloseWrite()
		_ = r.Conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, r.Conn); !isTimeout(err) {
			r.once.Do(func() { close(r.closed) })
		}
	}()
	return nil
}

func (r *recorded) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.String()
}

type recordingListener struct {
	net.Listener
	f *fixture
}

func (l recordingListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := &recorded{Conn: connection, closed: make(chan struct{})}
	l.f.mu.Lock()
	l.f.upstreams = append(l.f.upstreams, r)
	l.f.mu.Unlock()
	return r, nil
}

// fakeChannel is Node's end of a decision channel.
type fakeChannel struct {
	f    *fixture
	conn net.Conn
}

func (c *fakeChannel) send(kind string, message any) {
	if m, ok := message.(forwardMessage); ok {
		flag := map[bool]string{false: "0", true: "1"}
		fields := []string{"forward", fmt.Sprint(m.Request), flag[m.TellBegun], flag[m.Close], flag[m.WithCookies], m.Path, m.Pool, fmt.Sprint(len(m.Added))}
		fields = slices.Concat(fields, m.Added, m.Headers)
		_, _ = c.conn.Write([]byte(strings.Join(fields, "\x1f") + "\n"))
		return
	}
	text, err := json.Marshal(message)
	if err != nil {
		c.f.t.Error(err)
	}
	fields := strings.TrimPrefix(string(text), "{")
	line := fmt.Sprintf(`{"type":%q,%s`, kind, fields)
	_, _ = c.conn.Write([]byte(strings.Replace(line, ",}", "}", 1) + "\n"))
}

func startFixture(t *testing.T, handler http.HandlerFunc) *fixture {
	t.Helper()
	return start(t, handler, (*httptest.Server).Start)
}

func start(t *testing.T, handler http.HandlerFunc, begin func(*httptest.Server)) *fixture {
	t.Helper()
	return startFor(t, handler, begin, nil)
}

// startOverTLS is for callers that speak TLS.
func startOverTLS(t *testing.T, handler http.HandlerFunc) *fixture {
	t.Helper()
	certificates := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certificates.Close)
	return startFor(t, handler, (*httptest.Server).StartTLS, &tls.Config{Certificates: certificates.TLS.Certificates})
}

func startFor(t *testing.T, handler http.HandlerFunc, begin func(*httptest.Server), callers *tls.Config) *fixture {
	t.Helper()
	f := &fixture{
		t: t, channels: make(chan *fakeChannel, 8), handed: make(chan net.Conn, 8), preambles: make(chan preamble, 8),
		identity: identity{NodeID: "n1", NodeKey: "k1", Tags: []string{}, Capabilities: map[string][]string{}},
		ended:    make(chan endedMessage, 1024), unrecorded: make(chan unrecordedMessage, 8),
	}
	f.server = httptest.NewUnstartedServer(handler)
	f.server.Listener = recordingListener{f.server.Listener, f}
	begin(f.server)
	node, err := net.Listen("unix", unixPath(t))
	if err != nil {
		t.Fatal(err)
	}
	identify := func(context.Context, netip.AddrPort) identity {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.identity
	}
	f.hand = newHandOver(node.Addr().String(), "the nonce", callers, identify, func(_ logLevel, text string) { t.Log(text) })
	f.listener = fakeListener{connections: make(chan net.Conn)}
	go f.serveNode(node)
	go f.hand.serve(f.listener, &listenRequest{Listener: "7", Decide: true, TLS: callers != nil})
	t.Cleanup(func() {
		close(f.listener.connections)
		f.hand.closeAll()
		node.Close()
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

func (f *fixture) serveNode(node net.Listener) {
	for {
		connection, err := node.Accept()
		if err != nil {
			return
		}
		var length [4]byte
		if _, err := io.ReadFull(connection, length[:]); err != nil {
			f.t.Error(err)
			return
		}
		text := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(connection, text); err != nil {
			f.t.Error(err)
			return
		}
		if strings.Contains(string(text), `"decisions":true`) {
			go f.serveChannel(&fakeChannel{f: f, conn: connection})
			continue
		}
		var first preamble
		_ = json.Unmarshal(text, &first)
		f.preambles <- first
		f.handed <- connection
	}
}

func (f *fixture) serveChannel(c *fakeChannel) {
	c.send("settings", settingsMessage{
		Match: requestMatch{Paths: []string{"/k8s"}, BearerPrefix: "tka_"}, InsecureSkipVerify: true, Server: f.server.URL, Withheld: []string{"set-cookie", "connection"},
		WithheldPrefixes: []string{"access-control-"}, Added: []string{"x-protect", "yes"},
	})
	f.channels <- c
	closed := map[uint32]bool{}
	lines := bufio.NewScanner(c.conn)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\x1f")
		kind := struct {
			Type string `json:"type"`
		}{fields[0]}
		_ = json.Unmarshal(lines.Bytes(), &kind)
		switch kind.Type {
		case "ask":
			ask := askMessage{HasBody: fields[3] == "1", Version: fields[4], Method: fields[5], Target: fields[6], Headers: fields[7:]}
			_, _ = fmt.Sscan(fields[1]+" "+fields[2], &ask.Connection, &ask.Request)
			if closed[ask.Connection] {
				f.t.Error("a question about a connection that is closed")
			}
			f.mu.Lock()
			f.asked = append(f.asked, ask)
			decide := f.decide
			f.mu.Unlock()
			if decide == nil {
				decide = forwardAll
			}
			decide(c, ask)
		case "closed":
			var message closedMessage
			_ = json.Unmarshal(lines.Bytes(), &message)
			closed[message.Connection] = true
		case "ended":
			var ended endedMessage
			_, _ = fmt.Sscan(strings.Join(fields[1:], " "), &ended.Request, &ended.Status, &ended.SentBytes, &ended.ReceivedBytes)
			f.ended <- ended
		case "body":
			var body bodyMessage
			_ = json.Unmarshal(lines.Bytes(), &body)
			f.read(c, body)
		case "unrecorded":
			var unrecorded unrecordedMessage
			_ = json.Unmarshal(lines.Bytes(), &unrecorded)
			f.unrecorded <- unrecorded
		case "failed":
			var failed forwardFailedMessage
			_ = json.Unmarshal(lines.Bytes(), &failed)
			text := "HTTP/1.1 503 Away\r\ncontent-length: 4\r\n\r\naway"
			if failed.Sent {
				text = "HTTP/1.1 502 Away\r\ncontent-length: 4\r\n\r\nsent"
			}
			if failed.Invalid {
				text = "HTTP/1.1 502 Bad\r\ncontent-length: 7\r\n\r\ninvalid"
			}
			c.send("answer", answerMessage{Request: failed.Request, Status: 503, Answer: text})
		case "moved":
			var moved movedMessage
			_ = json.Unmarshal(lines.Bytes(), &moved)
			c.send("location", locationMessage{Request: moved.Request, Location: strings.Replace(moved.Location, "/", "/k8s/", 1)})
		}
	}
}

func orderOf(ask askMessage) forwardMessage {
	order := forwardMessage{Request: ask.Request, Path: strings.TrimPrefix(ask.Target, "/k8s"), Added: []string{"x-request-id", "r"}}
	for i := 0; i < len(ask.Headers); i += 2 {
		if ask.Headers[i] == "Authorization" {
			order.Pool = ask.Headers[i+1]
			order.Headers = []string{"authorization", "token of " + ask.Headers[i+1]}
		}
	}
	return order
}

func forwardAll(c *fakeChannel, ask askMessage) { c.send("forward", orderOf(ask)) }

// openChannel makes the channel be dialled.
func (f *fixture) openChannel() *fakeChannel {
	f.dial("").Close()
	return <-f.channels
}

func (f *fixture) lastAsked() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[len(f.asked)-1].Request
}

func (f *fixture) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fixture) connections() []*recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*recorded{}, f.upstreams...)
}

// dial is a caller that has sent text.
func (f *fixture) dial(text string) *wire {
	f.t.Helper()
	client, accepted := tcpPair(f.t)
	f.listener.connections <- accepted
	w := &wire{t: f.t, Conn: client, lines: bufio.NewReader(client)}
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	w.send(text)
	return w
}

// wire is the caller's end.
type wire struct {
	net.Conn
	t     *testing.T
	lines *bufio.Reader
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, text); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads one whole answer.
func (w *wire) answer(method string) (*http.Response, string) {
	w.t.Helper()
	response := w.head(method)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("%s, then %v", body, err)
	}
	return response, string(body)
}

func (w *wire) head(method string) *http.Response {
	w.t.Helper()
	response, err := http.ReadResponse(w.lines, &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

// rest is all that comes until the other side closes.
func (w *wire) rest() string {
	w.t.Helper()
	text, err := io.ReadAll(w.lines)
	if err != nil && isTimeout(err) {
		w.t.Fatal("the connection stays open")
	}
	return string(text)
}

func head(method, path, token string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: tka\r\nAuthorization: %s\r\n", method, path, token)
}

func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !isSo(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func closes(t *testing.T, r *recorded) {
	t.Helper()
	select {
	case <-r.closed:
	case <-time.After(5 * time.Second):
		t.Fatal("a connection to the server stays open")
	}
}

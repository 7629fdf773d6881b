package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Set-Cookie", "a=b")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header()["X-Kept"] = []string{"yes", "again"}
	w.Header().Set("Keep-Alive", "timeout=5")
	w.Header().Set("X-Hop", "secret")
	w.Header().Set("Connection", "X-Hop")
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), body)
}

func TestAPlainRequestIsForwardedAsItWasDecided(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial(head("POST", "/k8s/api%2Fx?a=%20", "alice") + "X-Secret: no\r\nContent-Length: 4\r\n\r\nbody")
	response, body := w.answer("POST")
	if body != "POST /api%2Fx?a=%20 token of alice body" {
		t.Error(body)
	}
	for name, want := range map[string]string{"Set-Cookie": "", "Access-Control-Allow-Origin": "", "X-Kept": "yes", "X-Hop": "", "Keep-Alive": "", "X-Protect": "yes", "X-Request-Id": "r", "Connection": ""} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if kept := response.Header["X-Kept"]; len(kept) != 2 {
		t.Errorf("%q", kept)
	}
	sent := f.connections()[0].text()
	want := "POST /api%2Fx?a=%20 HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.server.URL, "http://") +
		"\r\nContent-Length: 4\r\nAuthorization: token of alice\r\n\r\nbody"
	if sent != want {
		t.Errorf("the server was sent %q", sent)
	}
	if ended := <-f.ended; ended.Status != 200 || ended.SentBytes != 4 || ended.ReceivedBytes != int64(len(body)) {
		t.Errorf("%+v", ended)
	}
}

func TestCookiesComeBackWhereNodeSaysSo(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) {
		order := orderOf(ask)
		order.WithCookies = true
		c.send("forward", order)
	}
	response, _ := f.dial(head("GET", "/k8s/app", "alice") + "\r\n").answer("GET")
	if response.Header.Get("Set-Cookie") != "a=b" || response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(response.Header)
	}
}

func TestRequestsFollowEachOtherOnOneConnectionOfEachSide(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial("")
	for i, size := range []int{0, 5, 300_000, 0, 1} {
		path := fmt.Sprintf("/k8s/%d", i)
		w.send(head("PUT", path, "alice") + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
		want := fmt.Sprintf("PUT /%d token of alice %s", i, strings.Repeat("x", size))
		if _, body := w.answer("PUT"); body != want {
			t.Fatalf("request %d: %.100q", i, body)
		}
	}
	if n := len(f.connections()); n != 1 {
		t.Errorf("%d connections to the server", n)
	}
}

func TestPoolsNeverShareAConnection(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial("")
	for i := range 6 {
		w.send(head("GET", "/k8s/x", []string{"alice", "bob"}[i%2]) + "\r\n")
		w.answer("GET")
	}
	seen := f.connections()
	if len(seen) != 2 || strings.Contains(seen[0].text(), "bob") || strings.Contains(seen[1].text(), "alice") {
		t.Errorf("%d connections", len(seen))
	}
}

func TestAForgottenPoolLeavesNoConnection(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	w.answer("GET")
	(<-f.channels).send("forget", forgetMessage{Pool: "alice"})
	closes(t, f.connections()[0])
	w.send(head("GET", "/k8s/x", "alice") + "\r\n")
	w.answer("GET")
	if n := len(f.connections()); n != 2 {
		t.Errorf("%d connections to the server", n)
	}
}

// nodeAnswers plays Node.js for one request that is its own.
func (f *fixture) nodeAnswers(text string) (*http.Request, string) {
	f.t.Helper()
	node := <-f.handed
	defer node.Close()
	_ = node.SetDeadline(time.Now().Add(5 * time.Second))
	request, err := http.ReadRequest(bufio.NewReader(node))
	if err != nil {
		f.t.Fatal(err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		f.t.Error(err)
	}
	_, _ = io.WriteString(node, text)
	return request, string(body)
}

func TestARequestOfNodesOwnIsCarriedToItWithTheCallersIdentity(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial("")
	for _, target := range []string{"/api/v1alpha1/login?x=%2F", "/k8sx", "/%6b8s/x", "/a%2Fb/../c//d", "//k8s/x"} {
		w.send("POST " + target + " HTTP/1.1\r\nHost: tka\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
		request, body := f.nodeAnswers("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nx-b: 2\r\n\r\nok")
		if first := <-f.preambles; first.Listener != "7" || first.Nonce != "the nonce" || first.Identity.NodeID != "n1" {
			t.Errorf("%+v", first)
		}
		if request.Method != "POST" || request.RequestURI != target || request.Host != "tka" || request.Header.Get("X-A") != "1" || body != "{}" {
			t.Errorf("%s %s %v %q", request.Method, request.RequestURI, request.Header, body)
		}
		if response, body := w.answer("POST"); response.StatusCode != 202 || response.Header.Get("X-B") != "2" || body != "ok" {
			t.Errorf("%d %v %q", response.StatusCode, response.Header, body)
		}
	}
	if f.questions() != 0 {
		t.Error("it was asked about")
	}
}

func TestARequestThatHasMoreThanOneReadingIsNotCarried(t *testing.T) {
	follows := head("DELETE", "/k8s/smuggled", "alice") + "\r\n"
	for title, text := range map[string]string{
		"two lengths":              head("POST", "/k8s/x", "alice") + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nxx",
		"a length that is none":    head("POST", "/k8s/x", "alice") + "Content-Length: +2\r\n\r\nxx",
		"an unknown coding":        head("POST", "/k8s/x", "alice") + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"two codings":              head("POST", "/k8s/x", "alice") + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"a space before the colon": head("GET", "/k8s/x", "alice") + "X : y\r\n\r\n",
		"no host":                  "GET /k8s/x HTTP/1.1\r\n\r\n",
		"two hosts":                head("GET", "/k8s/x", "alice") + "Host: other\r\n\r\n",
		"a NUL":                    head("GET", "/k8s/x", "alice") + "X: a\x00b\r\n\r\n",
		"absolute form":            head("GET", "http://tka/k8s/x", "alice") + "\r\n",
		"a control character":      head("GET", "/k8s/x\x01", "alice") + "\r\n",
		"an upgrade with a body":   head("GET", "/k8s/x", "alice") + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nxx",
	} {
		f := startFixture(t, echo)
		w := f.dial(text + follows)
		if response := w.head("GET"); response.StatusCode < 400 || response.StatusCode > 501 {
			t.Errorf("%s: %d", title, response.StatusCode)
		}
		w.Close()
		for _, c := range f.connections() {
			if strings.Contains(c.text(), "smuggled") && title != "absolute form" {
				t.Errorf("%s: what follows was carried", title)
			}
		}
		if len(f.handed) > 0 {
			t.Errorf("%s: Node.js got it", title)
		}
	}
}

// A body that breaks its framing ends its connection: what follows is no request.
func TestWhatFollowsABodyThatBreaksItsFramingIsNotRead(t *testing.T) {
	follows := head("DELETE", "/k8s/smuggled", "alice") + "\r\n"
	for title, text := range map[string]string{
		"a chunk without its size":     "Transfer-Encoding: chunked\r\n\r\nxyz\r\n0\r\n\r\n",
		"a chunk's size with a sign":   "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
		"a chunk's size with a prefix": "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
		"a chunk's size too big":       "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("f", 17) + "\r\nabc",
		"a chunk longer than its size": "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		"a list of lengths":            "Content-Length: 3, 3\r\n\r\nabc",
		"a hexadecimal length":         "Content-Length: 0x3\r\n\r\nabc",
		"a negative length":            "Content-Length: -1\r\n\r\n",
		"a length of many digits":      "Content-Length: " + strings.Repeat("9", 30) + "\r\n\r\nabc",
		"a coding on top of chunks":    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"a vertical tab":               "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"a bare carriage return":       "X: a\rb\r\n\r\n",
		"an HTTP/2 preface":            "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f := startFixture(t, echo)
		w := f.dial(head("POST", "/k8s/x", "alice") + text + follows)
		w.rest()
		for _, c := range f.connections() {
			if strings.Contains(c.text(), "smuggled") {
				t.Errorf("%s: what follows was carried", title)
			}
		}
	}
}

// Whatever way a body's end was told, it is told anew to the API server.
func TestABodyOfUnknownLengthIsFramedAgain(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial(head("POST", "/k8s/x", "alice") + "Transfer-Encoding: chunked\r\nContent-Length: 90\r\n\r\n3;ext=1\r\nabc\r\n0\r\nTrailer: x\r\n\r\n" + head("GET", "/k8s/second", "alice") + "\r\n")
	if _, body := w.answer("POST"); body != "POST /x token of alice abc" {
		t.Error(body)
	}
	if _, body := w.answer("GET"); body != "GET /second token of alice " {
		t.Error(body)
	}
	if text := f.connections()[0].text(); strings.Contains(text, "ext=1") || strings.Contains(text, "Trailer") || strings.Contains(text, "90") {
		t.Errorf("%q", text)
	}
}

func TestAHeaderBeyondASCIIIsPutToNodeByteByByte(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) {
		order := orderOf(ask)
		for i := 0; i < len(ask.Headers); i += 2 {
			if ask.Headers[i] == "X-A" {
				order.Headers = append(order.Headers, "x-a", ask.Headers[i+1])
			}
		}
		c.send("forward", order)
	}
	w := f.dial(head("GET", "/k8s/x", "alice") + "X-A: a\xff\xc3\xa9\r\n\r\n")
	w.answer("GET")
	if text := f.connections()[0].text(); !strings.Contains(text, "X-A: a\xff\xc3\xa9\r\n") {
		t.Errorf("%q", text)
	}
}

func TestAConnectionIsNotHandedOverForAnother(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	w.answer("GET")
	f.mu.Lock()
	f.identity.NodeKey = "another"
	f.mu.Unlock()
	w.send("GET /api HTTP/1.1\r\nHost: tka\r\n\r\n")
	if rest := w.rest(); rest != "" || len(f.handed) > 0 {
		t.Errorf("%q", rest)
	}
}

func TestARefusalEndsTheConnectionWhereABodyIsLeft(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) {
		c.send("answer", answerMessage{Request: ask.Request, Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno"})
	}
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	w.answer("GET")
	w.send(head("POST", "/k8s/x", "alice") + "Content-Length: 5\r\n\r\n")
	if response, body := w.answer("POST"); response.StatusCode != 401 || body != "no" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	w.send("xxxxx" + head("GET", "/k8s/smuggled", "alice") + "\r\n")
	if rest := w.rest(); rest != "" || f.questions() != 2 || len(f.connections()) > 0 {
		t.Errorf("%q, %d questions", rest, f.questions())
	}
}

func TestRequestsThatDoNotWaitAreAskedAboutOneAfterAnother(t *testing.T) {
	release := make(chan struct{})
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, r.URL.Path)
	})
	w := f.dial(head("GET", "/k8s/first", "alice") + "\r\n" + head("GET", "/k8s/second", "alice") + "\r\n")
	eventually(t, "the first arrives", func() bool { return len(f.connections()) == 1 })
	if f.questions() != 1 {
		t.Errorf("%d questions", f.questions())
	}
	close(release)
	for _, want := range []string{"/first", "/second"} {
		if _, body := w.answer("GET"); body != want {
			t.Errorf("%q", body)
		}
	}
}

func TestAConnectionThatIsHungUpOnIsNotForwardedOn(t *testing.T) {
	f := startFixture(t, echo)
	asked := make(chan askMessage, 1)
	f.decide = func(_ *fakeChannel, ask askMessage) { asked <- ask }
	channel := f.openChannel()
	for range 50 {
		w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
		ask := <-asked
		channel.send("hangUp", hangUpMessage{Connection: ask.Connection})
		channel.send("forward", orderOf(ask))
		if rest := w.rest(); rest != "" {
			t.Errorf("%q", rest)
		}
		if ended := <-f.ended; ended.Status != 0 || len(f.connections()) > 0 {
			t.Errorf("%+v, %d connections", ended, len(f.connections()))
		}
	}
}

// A decision is used once.
func TestASecondDecisionIsNotHeeded(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) {
		for range 3 {
			c.send("forward", orderOf(ask))
		}
	}
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	w.answer("GET")
	<-f.ended
	channel := <-f.channels
	channel.send("forward", orderOf(f.asked[0]))
	w.send(head("GET", "/k8s/y", "alice") + "\r\n")
	w.answer("GET")
	if n := strings.Count(f.connections()[0].text(), "GET /"); n != 2 {
		t.Errorf("%d requests were forwarded", n)
	}
}

func TestTheEndOfTheChannelEndsWhatDependsOnIt(t *testing.T) {
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	idle := f.dial("")
	busy := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	_ = busy.head("GET")
	channel := <-f.channels
	channel.conn.Close()
	closes(t, f.connections()[0])
	if rest := idle.rest() + busy.rest(); strings.Contains(rest, "0\r\n\r\n") {
		t.Errorf("%q", rest)
	}
	// The next caller is decided about on a channel of its own.
	f.dial("")
	<-f.channels
}

func TestHangingUpAndDraining(t *testing.T) {
	release := make(chan struct{})
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "whole")
	})
	idle := f.dial("")
	channel := <-f.channels
	busy := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	gone := f.dial(head("GET", "/k8s/x", "bob") + "\r\n")
	eventually(t, "two are asked about", func() bool { return f.questions() == 2 })
	f.mu.Lock()
	for _, ask := range f.asked {
		if ask.Headers[3] == "bob" {
			channel.send("hangUp", hangUpMessage{Connection: ask.Connection})
		}
	}
	f.mu.Unlock()
	if rest := gone.rest(); rest != "" {
		t.Errorf("hung up on with %q", rest)
	}
	channel.send("drain", drainMessage{})
	if rest := idle.rest(); rest != "" {
		t.Errorf("the idle one got %q", rest)
	}
	close(release)
	if response, body := busy.answer("GET"); body != "whole" || !response.Close {
		t.Errorf("%q, closes: %v", body, response.Close)
	}
}

// Whoever closes first holds the pair of addresses for a while, and the caller's next connection may have the same.
func TestACallerMayCloseFirst(t *testing.T) {
	f := startOverTLS(t, echo)
	caller := dialTLS(t, f)
	_, _ = io.WriteString(caller, head("GET", "/k8s/x", "alice")+"Connection: close\r\n\r\n")
	// The end of TLS is there, and the connection still open: what is written does not fail.
	if rest, err := io.ReadAll(caller); err != nil || !strings.Contains(string(rest), "token of alice") {
		t.Errorf("%q %v", rest, err)
	}
	if _, err := caller.NetConn().Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

func TestALargeAnswerOverTLSArrivesAsItIs(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 200_000)
	f := startOverTLS(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, text) })
	caller := dialTLS(t, f)
	w := &wire{t: t, Conn: caller, lines: bufio.NewReader(caller)}
	for range 2 {
		_, _ = io.WriteString(caller, head("GET", "/k8s/large", "alice")+"\r\n")
		if _, body := w.answer("GET"); body != text {
			t.Errorf("%d bytes of %d", len(body), len(text))
		}
	}
}

// A caller that has stopped reading holds a write up; it must not hold up the end of its connection.
func TestACallerThatDoesNotReadIsEndedAtOnce(t *testing.T) {
	var written atomic.Int64
	f := startOverTLS(t, func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
			written.Add(1)
		}
	})
	caller := dialTLS(t, f)
	_, _ = io.WriteString(caller, head("GET", "/k8s/large", "alice")+"\r\n")
	channel := <-f.channels
	last := int64(-1)
	eventually(t, "a write waits for the caller", func() bool {
		time.Sleep(100 * time.Millisecond)
		now := written.Load()
		defer func() { last = now }()
		return now > 0 && now == last
	})
	f.mu.Lock()
	connection := f.asked[0].Connection
	f.mu.Unlock()
	channel.send("hangUp", hangUpMessage{Connection: connection})
	select {
	case ended := <-f.ended:
		if ended.Status != 200 {
			t.Errorf("%+v", ended)
		}
	case <-time.After(3 * time.Second): // TLS' farewell takes 5
		t.Error("its connection stays open")
	}
}

func dialTLS(t *testing.T, f *fixture) *tls.Conn {
	t.Helper()
	raw := f.dial("")
	caller := tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})
	_ = caller.SetDeadline(time.Now().Add(20 * time.Second))
	return caller
}

func TestTheDecisionTwinHasTheSameContract(t *testing.T) {
	compareTwins(t, "decisions_protocol.go", "../decisions-protocol.ts", `A connection to the same unix socket`, `longer than the request\.`)
}

func TestABodyThatNodeReadsIsForwardedAsItWasRead(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) { c.send("read", readMessage{Request: ask.Request, Most: 8}) }
	f.read = func(c *fakeChannel, message bodyMessage) {
		f.mu.Lock()
		order := orderOf(f.asked[len(f.asked)-1])
		f.mu.Unlock()
		if message.Body == nil {
			c.send("answer", answerMessage{Request: message.Request, Status: 413, Answer: "HTTP/1.1 413 No\r\ncontent-length: 4\r\n\r\nlong"})
			return
		}
		order.Headers = append(order.Headers, "x-read", string(message.Body))
		c.send("forward", order)
	}
	w := f.dial("")
	for _, framed := range []string{"Content-Length: 8\r\n\r\n12345678", "Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n"} {
		w.send(head("PATCH", "/k8s/x", "alice") + framed)
		if _, body := w.answer("PATCH"); body != "PATCH /x token of alice 12345678" {
			t.Error(body)
		}
		if ended := <-f.ended; ended.SentBytes != 8 {
			t.Errorf("%+v", ended)
		}
	}
	if text := f.connections()[0].text(); strings.Count(text, "Content-Length: 8\r\n") != 2 || strings.Count(text, "X-Read: 12345678\r\n") != 2 {
		t.Errorf("the server was sent %q", text)
	}
	w.send(head("PATCH", "/k8s/x", "alice") + "Content-Length: 9\r\n\r\n123456789")
	if response, body := w.answer("PATCH"); response.StatusCode != 413 || body != "long" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

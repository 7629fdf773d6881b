package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Set-Cookie", "a=b")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("X-Kept", "yes")
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Authorization"), body)
}

func TestAPlainRequestIsForwardedAsItWasDecided(t *testing.T) {
	f := startFixture(t, echo)
	w := f.dial(head("POST", "/k8s/api%2Fx?a=%20", "alice") + "X-Secret: no\r\nContent-Length: 4\r\n\r\nbody")
	response, body := w.answer("POST")
	if body != "POST /api%2Fx?a=%20 token of alice body" {
		t.Error(body)
	}
	for name, want := range map[string]string{"Set-Cookie": "", "Access-Control-Allow-Origin": "", "X-Kept": "yes", "X-Protect": "yes", "X-Request-Id": "r", "Connection": ""} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	sent := f.connections()[0].text()
	want := "POST /api%2Fx?a=%20 HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.server.URL, "http://") +
		"\r\nauthorization: token of alice\r\nContent-Length: 4\r\n\r\nbody"
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

// Each trick, first and after an ordinary request: Node gets the very bytes, and all that follows.
func TestWhatIsNotPlainGoesToNodeByteForByte(t *testing.T) {
	f := startFixture(t, echo)
	follows := head("DELETE", "/k8s/smuggled", "alice") + "\r\n"
	for title, text := range notPlain {
		for _, isFirst := range []bool{true, false} {
			w := f.dial("")
			if !isFirst {
				w.send(head("GET", "/k8s/x", "alice") + "\r\n")
				w.answer("GET")
			}
			asked := f.questions()
			w.send(text + follows)
			_ = w.Conn.(interface{ CloseWrite() error }).CloseWrite()
			node := <-f.handed
			if first := <-f.preambles; first.Listener != "7" || first.Nonce != "the nonce" || first.Identity.NodeID != "n1" {
				t.Errorf("%s: %+v", title, first)
			}
			_ = node.SetDeadline(time.Now().Add(5 * time.Second))
			got, err := io.ReadAll(node)
			if err != nil || string(got) != text+follows {
				t.Errorf("%s: Node got %.300q: %v", title, got, err)
			}
			if _, err := io.WriteString(node, "HTTP/1.1 400 Bad Request\r\n\r\n"); err != nil {
				t.Error(err)
			}
			node.Close()
			if rest := w.rest(); rest != "HTTP/1.1 400 Bad Request\r\n\r\n" {
				t.Errorf("%s: the caller got %q", title, rest)
			}
			if f.questions() != asked {
				t.Errorf("%s: was asked about", title)
			}
		}
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

func TestARequestThatDoesNotWaitIsNotAskedAbout(t *testing.T) {
	release := make(chan struct{})
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "first")
	})
	w := f.dial(head("GET", "/k8s/first", "alice") + "\r\n" + head("GET", "/k8s/second", "alice") + "\r\n")
	eventually(t, "the first arrives", func() bool { return len(f.connections()) == 1 })
	close(release)
	response, body := w.answer("GET")
	if body != "first" || !response.Close {
		t.Errorf("%q, closes: %v", body, response.Close)
	}
	if rest := w.rest(); rest != "" || f.questions() != 1 {
		t.Errorf("%q, %d questions", rest, f.questions())
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
	handed := f.dial("GET /api HTTP/1.1\r\nHost: tka\r\n\r\n")
	node := <-f.handed
	channel := <-f.channels
	channel.conn.Close()
	closes(t, f.connections()[0])
	if rest := idle.rest() + busy.rest(); strings.Contains(rest, "0\r\n\r\n") {
		t.Errorf("%q", rest)
	}
	// What is Node's own goes on, and the next caller is decided about anew.
	if _, err := io.WriteString(node, "still here"); err != nil {
		t.Error(err)
	}
	if text, err := handed.lines.Peek(10); string(text) != "still here" {
		t.Errorf("%q %v", text, err)
	}
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
func TestACallerThatEndsItsTLSMayCloseFirst(t *testing.T) {
	certificates := httptest.NewTLSServer(http.NotFoundHandler())
	defer certificates.Close()
	client, accepted := tcpPair(t)
	peer := tls.Server(accepted, certificates.TLS)
	d := &decided{over: make(chan struct{}), peer: peer, beneath: accepted, in: intake{from: peer}, channel: &decisions{}}
	served := make(chan struct{})
	go func() { d.serve(); close(served) }()
	secured := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := secured.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-served:
		t.Error("it is closed before the caller has closed it")
	case <-time.After(50 * time.Millisecond):
	}
	client.Close()
	select {
	case <-served:
	case <-time.After(5 * time.Second):
		t.Error("it stays open")
	}
}

func TestTheDecisionTwinHasTheSameContract(t *testing.T) {
	compareTwins(t, "decisions_protocol.go", "../decisions-protocol.ts", `A connection to the same unix socket`, `longer than the request\.`)
}

func TestARequestWhoseBodyNodeHasToReadIsHandedOverWhole(t *testing.T) {
	for _, path := range []string{"/k8s/x/ephemeralcontainers", "/k8s/x/ephemeral%63ontainers", "/k8s/x%2Fephemeralcontainers?a=b", "/k8s/%zz"} {
		f := startFixture(t, echo)
		text := head("PATCH", path, "alice") + "Content-Length: 2\r\n\r\n{}"
		w := f.dial(text)
		node := <-f.handed
		got := make([]byte, len(text))
		_ = node.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(node, got); err != nil || string(got) != text {
			t.Errorf("%s: %q: %v", path, got, err)
		}
		if f.questions() != 0 || len(f.connections()) != 0 {
			t.Errorf("%s: it was asked about, or forwarded", path)
		}
		w.Close()
	}
	f := startFixture(t, echo)
	w := f.dial(head("GET", "/k8s/x/ephemeralcontainers", "alice") + "\r\n")
	if _, body := w.answer("GET"); !strings.HasPrefix(body, "GET ") {
		t.Error(body)
	}
}

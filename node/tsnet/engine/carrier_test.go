package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Node ends the whole channel for a question about a connection that it was told is closed: everybody's requests with it.
func TestARequestSentAheadOfTheLastAnswerIsNotAskedAbout(t *testing.T) {
	f := startFixture(t, server)
	channel := f.openChannel()
	for range 20 {
		before := f.questions()
		w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n" + head("GET", "/k8s/after", "alice") + "\r\n")
		response := w.head("GET")
		w.send("G") // what comes after it, the end too, the server does not read before its next request
		halfClose(t, w)
		got := make([]byte, 3)
		_, _ = io.ReadFull(response.Body, got)
		channel.send("cut", cutMessage{Request: f.lastAsked(), InOrder: true, LastWord: "the last\n"})
		rest, err := io.ReadAll(response.Body)
		if string(rest) != "the last\n" || err != nil {
			t.Errorf("%q: %v", rest, err)
		}
		if rest := w.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		<-f.ended
		if asked := f.questions() - before; asked != 1 {
			t.Fatalf("%d requests were asked about, want 1", asked)
		}
	}
}

func TestARequestAfterACutOneHasItsOwnTimeForTheAnswer(t *testing.T) {
	f := startFixture(t, server)
	w := f.dial(head("GET", "/k8s/silent", "alice") + "\r\n")
	eventually(t, "it arrives", func() bool { return len(f.connections()) == 1 && f.connections()[0].text() != "" })
	cut := cutMessage{Request: f.lastAsked(), Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\ncut"}
	(<-f.channels).send("cut", cut)
	if _, body := w.answer("GET"); body != "cut" {
		t.Errorf("%q", body)
	}
	w.send("GET /api HTTP/1.1\r\nHost: tka\r\n\r\n")
	node := <-f.handed
	time.Sleep(cutWithin) // the time that the cut one had for its answer
	_, _ = io.WriteString(node, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnode")
	node.Close()
	if response, body := w.answer("GET"); response.StatusCode != http.StatusOK || body != "node" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

func halfClose(t *testing.T, w *wire) {
	t.Helper()
	if err := w.Conn.(halfCloser).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// Before it is decided about, nothing is said that would make the caller send its body.
func TestABodyIsNotAskedForBeforeItsRequestIsDecidedAbout(t *testing.T) {
	f := startFixture(t, echo)
	asked := make(chan askMessage, 1)
	f.decide = func(_ *fakeChannel, ask askMessage) { asked <- ask }
	channel := f.openChannel()
	expect := "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	w := f.dial(head("POST", "/k8s/x", "alice") + expect)
	ask := <-asked
	channel.send("answer", answerMessage{Request: ask.Request, Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno"})
	if text := w.rest(); !strings.HasPrefix(text, "HTTP/1.1 401 ") {
		t.Errorf("%q", text)
	}
	w = f.dial(head("POST", "/k8s/x", "alice") + expect)
	channel.send("forward", orderOf(<-asked))
	if response := w.head("POST"); response.StatusCode != http.StatusContinue {
		t.Errorf("%d", response.StatusCode)
	}
	w.send("abc")
	if _, body := w.answer("POST"); body != "POST /x token of alice abc" {
		t.Error(body)
	}
	if text := f.connections()[0].text(); strings.Contains(strings.ToLower(text), "expect") {
		t.Errorf("the server was sent %q", text)
	}
}

func TestWhatFollowsARefusedRequestWithALargeBodyIsNotRead(t *testing.T) {
	f := startFixture(t, echo)
	f.decide = func(c *fakeChannel, ask askMessage) {
		c.send("answer", answerMessage{Request: ask.Request, Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno"})
	}
	const size = 2_000_000
	w := f.dial(head("POST", "/k8s/x", "alice") + fmt.Sprintf("Content-Length: %d\r\n\r\n", size))
	go func() {
		_, _ = io.WriteString(w.Conn, strings.Repeat("x", size)+head("DELETE", "/k8s/smuggled", "alice")+"\r\n")
	}()
	if response, body := w.answer("POST"); response.StatusCode != 401 || body != "no" || !response.Close {
		t.Errorf("%d %q", response.StatusCode, body)
	}
	w.rest()
	if f.questions() != 1 || len(f.connections()) > 0 {
		t.Errorf("%d questions", f.questions())
	}
}

func TestWhatFollowsARequestDoesNotGetIntoItsAnswer(t *testing.T) {
	release := make(chan struct{})
	f := startFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half ")
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, "whole")
	})
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\nrubbish\r\n\r\n")
	response := w.head("GET")
	close(release)
	if body, err := io.ReadAll(response.Body); string(body) != "half whole" || err != nil {
		t.Errorf("%q %v", body, err)
	}
	if rest := w.rest(); !strings.HasPrefix(rest, "HTTP/1.1 400 ") {
		t.Errorf("then %q", rest)
	}
}

func TestALengthThatIsHeldExactlyIsForwardedDigitForDigit(t *testing.T) {
	f := startFixture(t, echo)
	f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 9007199254740991\r\n\r\nabc")
	eventually(t, "it arrives", func() bool {
		return len(f.connections()) == 1 && strings.Contains(f.connections()[0].text(), "Content-Length: 9007199254740991\r\n")
	})
}

// Whatever two sessions do at once, each answer is its own.
func TestEachAnswerIsItsOwnWhateverSessionsDoAtOnce(t *testing.T) {
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/early") {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		text := r.Header.Get("Authorization") + " " + r.RequestURI
		// The answer's size differs, so that a shifted one would not fit.
		_, _ = io.WriteString(w, text+" "+strings.Repeat("x", len(text)*7919%3000))
	})
	var group sync.WaitGroup
	for i := range 200 {
		session := []string{"alice", "bob"}[i%2]
		kind := []string{"get", "post", "early", "gone", "get"}[i%5]
		path := fmt.Sprintf("/%s/%d", kind, i)
		text := head("GET", "/k8s"+path, session) + "Connection: close\r\n\r\n"
		if kind == "post" || kind == "early" {
			text = head("POST", "/k8s"+path, session) + "Connection: close\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000)
		}
		w := f.dial("")
		group.Go(func() {
			_, _ = io.WriteString(w.Conn, text)
			if kind == "gone" {
				w.Close()
				return
			}
			if answer := w.rest(); !strings.Contains(answer, "token of "+session+" "+path+" ") {
				t.Errorf("%s %s: %.200q", session, path, answer)
			}
		})
	}
	group.Wait()
	for _, c := range f.connections() {
		if text := c.text(); strings.Contains(text, "token of alice") && strings.Contains(text, "token of bob") {
			t.Error("two sessions on one connection")
		}
	}
}

func TestARefusedRequestWhoseBodyDoesNotComeIsAnsweredAndClosed(t *testing.T) {
	f := startFixture(t, nil)
	for _, text := range []string{
		head("GET", "/k8s/exec", "alice") + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n",
		head("POST", "/k8s/exec", "alice") + "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n",
		head("POST", "http://other/k8s/exec", "alice") + "Content-Length: 3\r\n\r\n",
	} {
		w := f.dial(text)
		if response, _ := w.answer("GET"); response.StatusCode != http.StatusBadRequest || !response.Close {
			t.Errorf("%q: %d %v", text, response.StatusCode, response.Close)
		}
		w.rest()
		w.Close()
	}
	if f.questions() != 0 {
		t.Error("Node.js was asked")
	}
}

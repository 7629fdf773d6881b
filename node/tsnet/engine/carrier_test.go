package main

import (
	"io"
	"net/http"
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

package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestConnectionsThatTheServerHasEndedAreNotUsed(t *testing.T) {
	for title, begin := range map[string]func(*httptest.Server){
		"TCP": (*httptest.Server).Start,
		"TLS": (*httptest.Server).StartTLS,
	} {
		f := start(t, server, begin)
		w := f.dial("")
		for i := range 3 {
			// A POST must not be sent twice, so it has to find a connection that works.
			w.send(head("POST", "/k8s/x", "alice") + "Content-Length: 2\r\n\r\n{}")
			if response, body := w.answer("POST"); response.StatusCode != 200 || body != "after" {
				t.Errorf("%s: %d %q", title, response.StatusCode, body)
			}
			if n := len(f.connections()); n != i+1 {
				t.Errorf("%s: %d connections", title, n)
			}
			f.server.CloseClientConnections()
			closes(t, f.connections()[i])
		}
	}
}

// A server may end a connection just as a request arrives: one that changes nothing is asked again, any other is not.
func TestOnlyWhatChangesNothingIsAskedAgain(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "POST": 502, "DELETE": 502} {
		var requests atomic.Int64
		f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 2 {
				connection, _, _ := w.(http.Hijacker).Hijack()
				connection.Close()
				return
			}
			_, _ = io.WriteString(w, "here")
		})
		w := f.dial("")
		for _, status := range []int{200, want} {
			w.send(head(method, "/k8s/x", "alice") + "\r\n")
			if response, _ := w.answer(method); response.StatusCode != status {
				t.Errorf("%s: %d instead of %d", method, response.StatusCode, status)
			}
		}
		if wanted := map[bool]int64{true: 3, false: 2}[want == 200]; requests.Load() != wanted {
			t.Errorf("%s: %d requests", method, requests.Load())
		}
	}
}

func TestInterimAnswersArePassedOver(t *testing.T) {
	for interim, want := range map[int]int{1: 200, maxInterim: 200, maxInterim + 1: 502} {
		f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			defer connection.Close()
			_, _ = io.WriteString(connection, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", interim)+
				"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
		})
		w := f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 2\r\n\r\n{}")
		if response, _ := w.answer("POST"); response.StatusCode != want || response.Header.Get("Link") != "" {
			t.Errorf("%d: %d %v", interim, response.StatusCode, response.Header)
		}
	}
}

// A header that Node could not have read from a plain head ends the request, not the next one's meaning.
func TestAHeadIsNeverWrittenWithMoreInIt(t *testing.T) {
	c := newServerConnection(nil, nil, nil)
	for _, order := range []forwardMessage{
		{Path: "/x HTTP/1.1\r\nEvil: 1"},
		{Path: "/x y"},
		{Path: "/x", Headers: []string{"a", "b\r\nEvil: 1"}},
		{Path: "/x", Headers: []string{"a: b\r\nEvil", "1"}},
		{Path: "/x", Headers: []string{"", "1"}},
		{Path: "/x", Headers: []string{"a", "\x00"}},
	} {
		if head, err := c.headOf("GET", "h", 0, false, &order); err == nil {
			t.Errorf("%q", head)
		}
	}
	head, err := c.headOf("GET", "h", 0, true, &forwardMessage{Path: "/x", Headers: []string{"a", "b"}})
	if want := "GET /x HTTP/1.1\r\nHost: h\r\na: b\r\nConnection: close\r\n\r\n"; string(head) != want || err != nil {
		t.Errorf("%q %v", head, err)
	}
	if c.forgetHead(); bytes.Contains(c.head[:cap(c.head)], []byte("a: b")) {
		t.Error("what was written is remembered")
	}
}

func TestAnIdlePoolEndsItsConnections(t *testing.T) {
	f := startFixture(t, server)
	w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
	_, _ = w.answer("GET")
	f.hand.channels.mu.Lock()
	channel := f.hand.channels.byListener["7"]
	f.hand.channels.mu.Unlock()
	pool := channel.upstream.use("alice")
	defer channel.upstream.release(pool)
	eventually(t, "it is idle", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.idle) == 1
	})
	pool.mu.Lock()
	pool.idle[0].idleSince = time.Now().Add(-idleUpstream)
	pool.mu.Unlock()
	if c := pool.take(); c != nil {
		t.Error("it is used after its time")
	}
	closes(t, f.connections()[0])
	if len(pool.open) != 0 {
		t.Errorf("%d are open", len(pool.open))
	}
}

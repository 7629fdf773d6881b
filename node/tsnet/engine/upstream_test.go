package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
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
	for interim, want := range map[int]int{1: 200, 5: 200, 6: 200} {
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

// What Node.js answers can hold no more than one request.
func TestAHeadIsNeverWrittenWithMoreInIt(t *testing.T) {
	for _, order := range []forwardMessage{
		{Path: "/x y"},
		{Path: "x"},
		{Path: "//x"},
		{Path: "/x\x01"},
		{Path: "/x", Headers: []string{"a", "b\x00Evil: 1"}},
		{Path: "/x", Headers: []string{"a: b Evil", "1"}},
		{Path: "/x", Headers: []string{"", "1"}},
	} {
		f := startFixture(t, echo)
		f.decide = func(c *fakeChannel, ask askMessage) {
			order.Request, order.Pool = ask.Request, "alice"
			c.send("forward", order)
		}
		w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
		if response, _ := w.answer("GET"); response.StatusCode != 503 || len(f.connections()) > 0 && f.connections()[0].text() != "" {
			t.Errorf("%v: %d", order, response.StatusCode)
		}
	}
}

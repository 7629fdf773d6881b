package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pieces is a connection whose reads return one of them each.
type pieces struct {
	net.Conn
	left [][]byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func record(size int) []byte {
	return append([]byte{23, 3, 3, byte(size >> 8), byte(size)}, bytes.Repeat([]byte{'x'}, size)...)
}

func TestRecordsArriveAsTheyAreHoweverTheyAreCut(t *testing.T) {
	all := bytes.Join([][]byte{record(0), record(1), record(16 << 10), record(4096), record(60_000), record(7)}, nil)
	for _, size := range []int{1, 2, 5, 4096, 4101, 65536, len(all)} {
		var cut [][]byte
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			cut = append(cut, rest[:n])
			rest = rest[n:]
		}
		r := &recordReader{Conn: &pieces{left: cut}, buffers: &bufferPool{}}
		var got []byte
		room := make([]byte, 517)
		for {
			before := r.left
			n, err := r.Read(room)
			got = append(got, room[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if before > 0 && n > before {
				t.Fatalf("pieces of %d: %d bytes of a record with %d left", size, n, before)
			}
		}
		if !bytes.Equal(got, all) {
			t.Errorf("pieces of %d: %d bytes of %d", size, len(got), len(all))
		}
		r.rest()
		if r.buffer != nil || !r.isEmpty() {
			t.Errorf("pieces of %d: a buffer is held for nothing", size)
		}
	}
}

func TestOnlyAWholeRecordIsThere(t *testing.T) {
	room := make([]byte, 1024)
	for _, c := range []struct {
		title string
		first []byte
		want  bool
	}{
		{"nothing", record(10), false},
		{"half a header", append(record(10), 23, 3), false},
		{"a header", append(record(10), 23, 3, 3, 0, 9), false},
		{"half a record", append(record(10), record(9)[:13]...), false},
		{"a record", append(record(10), record(9)...), true},
		{"a record and half of one", append(append(record(10), record(9)...), 23), true},
	} {
		r := &recordReader{Conn: &pieces{left: [][]byte{c.first}}, buffers: &bufferPool{}}
		if n, err := r.Read(room); n != 15 || err != nil {
			t.Errorf("%s: %d %v", c.title, n, err)
		}
		if r.hasRecord() != c.want {
			t.Errorf("%s: %v", c.title, r.hasRecord())
		}
	}
	r := &recordReader{Conn: &pieces{left: [][]byte{append(record(10), record(9)...)}}, buffers: &bufferPool{}}
	if n, _ := r.Read(room[:6]); n != 6 || r.hasRecord() {
		t.Error("in the middle of a record, there is none more")
	}
}

// What a server flushes is passed on at once, though the record behind it is not whole.
func TestWhatHasArrivedWaitsForNothing(t *testing.T) {
	release := make(chan struct{})
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{\"a\":1}\n")
		w.(http.Flusher).Flush()
		<-release
	}, func(server *httptest.Server) {
		server.Listener = stallingListener{server.Listener}
		server.StartTLS()
	})
	defer close(release)
	w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n")
	got := make([]byte, 8)
	if _, err := io.ReadFull(w.head("GET").Body, got); err != nil || string(got) != "{\"a\":1}\n" {
		t.Errorf("%q: %v", got, err)
	}
}

// stallingListener's connections write the beginning of another record behind each application record.
type stallingListener struct{ net.Listener }

func (l stallingListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return &stalling{Conn: connection}, err
}

type stalling struct {
	net.Conn
	isCut bool
}

func (s *stalling) Write(p []byte) (int, error) {
	// The answer's record is the first of its size.
	if s.isCut || len(p) < 100 || p[0] != 23 || len(p) > 400 {
		return s.Conn.Write(p)
	}
	s.isCut = true
	if _, err := s.Conn.Write(append(bytes.Clone(p), 23, 3, 3, 1)); err != nil {
		return 0, err
	}
	return len(p), nil
}

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

// Go's own server sends the end of a large chunk as a record of its own, and what ends a chunk must not be waited behind.
func TestALargeEventIsPassedOnBeforeTheNext(t *testing.T) {
	release := make(chan struct{})
	event := "{\"a\":\"" + strings.Repeat("x", 10_000) + "\"}\n"
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		_, _ = w.Write([]byte(event))
		w.(http.Flusher).Flush()
		<-release
	}, func(server *httptest.Server) {
		server.Listener = burstListener{server.Listener}
		server.StartTLS()
	})
	defer close(release)
	w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n")
	got := make([]byte, len(event))
	if n, err := io.ReadFull(w.head("GET").Body, got); err != nil || string(got) != event {
		t.Errorf("%d bytes of %d: %v", n, len(got), err)
	}
}

// burstListener's connections hold large records back until a small one follows, so that all arrive at once.
type burstListener struct{ net.Listener }

func (l burstListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return &burst{Conn: connection}, err
}

type burst struct {
	net.Conn
	held []byte
}

func (b *burst) Write(p []byte) (int, error) {
	if p[0] == 23 && len(p) > 1100 {
		b.held = append(b.held, p...)
		return len(p), nil
	}
	_, err := b.Conn.Write(append(b.held, p...))
	b.held = nil
	return len(p), err
}

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
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
		r := newRecordReader(&pieces{left: cut}, &bufferPool{})
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
		r := newRecordReader(&pieces{left: [][]byte{c.first}}, &bufferPool{})
		if n, err := r.Read(room); n != 15 || err != nil {
			t.Errorf("%s: %d %v", c.title, n, err)
		}
		if r.hasRecord() != c.want {
			t.Errorf("%s: %v", c.title, r.hasRecord())
		}
	}
	r := newRecordReader(&pieces{left: [][]byte{append(record(10), record(9)...)}}, &bufferPool{})
	if n, _ := r.Read(room[:6]); n != 6 || r.hasRecord() {
		t.Error("in the middle of a record, there is none more")
	}
}

// betweenTries is a connection that calls between when a try has found nothing.
type betweenTries struct {
	syscall.RawConn
	between func()
}

func (b betweenTries) Read(try func(fd uintptr) bool) error {
	return b.RawConn.Read(func(fd uintptr) bool {
		is := try(fd)
		if !is {
			b.between()
		}
		return is
	})
}

func TestWhoWaitsHoldsNoBuffer(t *testing.T) {
	near, far := tcpPair(t)
	r := newRecordReader(near, &bufferPool{})
	waits := 0
	r.raw = betweenTries{r.raw, func() {
		if waits++; waits > 1 {
			return
		}
		if r.buffer != nil {
			t.Error("a buffer is held while nothing comes")
		}
		_, _ = far.Write(record(3))
	}}
	room := make([]byte, 100)
	if n, err := r.Read(room); n != 8 || err != nil || waits == 0 {
		t.Errorf("%d %v after %d waits", n, err, waits)
	}
	_ = near.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := r.Read(room); !isTimeout(err) || r.buffer != nil {
		t.Errorf("late: %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	far.Close()
	if n, err := r.Read(room); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d %v", n, err)
	}
	near.Close()
	if _, err := r.Read(room); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
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

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// taken is a connection that keeps what is written, write by write.
type taken struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
	err    error
}

func (t *taken) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes = append(t.writes, bytes.Clone(p))
	return len(p), t.err
}

func (t *taken) CloseWrite() error { return nil }

func TestACorkPassesOnWhatWasWrittenTogetherAtOnce(t *testing.T) {
	below := &taken{}
	c := &cork{halfCloser: below, buffers: &bufferPool{}}
	_, _ = c.Write([]byte("alone"))
	var want []byte
	err := c.together(func() error {
		for i := range 5 {
			piece := bytes.Repeat([]byte{byte('a' + i)}, 16<<10)
			want = append(want, piece...)
			if n, err := c.Write(piece); n != len(piece) || err != nil {
				t.Error(n, err)
			}
		}
		return nil
	})
	_, _ = c.Write([]byte("again"))
	sizes := []int{}
	for _, write := range below.writes {
		sizes = append(sizes, len(write))
	}
	if len(sizes) != 4 || sizes[1] != recordBuffer || sizes[2] != 16<<10 || err != nil {
		t.Errorf("%v: %v", sizes, err)
	}
	if !bytes.Equal(bytes.Join(below.writes, nil), []byte("alone"+string(want)+"again")) {
		t.Error("it is something else, or in another order")
	}
	if c.held != nil {
		t.Error("a buffer is held for nothing")
	}
}

func TestAnErrorOfWhatWasHeldBackIsNotLost(t *testing.T) {
	broken := errors.New("broken")
	below := &taken{err: broken}
	c := &cork{halfCloser: below, buffers: &bufferPool{}}
	if err := c.writeTogether("x"); !errors.Is(err, broken) {
		t.Error(err)
	}
	// TLS does not know of it, and would go on.
	if _, err := c.Write([]byte("farewell")); !errors.Is(err, broken) || len(below.writes) != 1 {
		t.Errorf("%v after %d writes", err, len(below.writes))
	}
}

func TestWhatIsHeldBackWhenItEndsIsNotWritten(t *testing.T) {
	below := &taken{}
	c := &cork{halfCloser: below, buffers: &bufferPool{}}
	if c.end() {
		t.Error("nothing is being written")
	}
	if err := c.writeTogether("x"); !errors.Is(err, net.ErrClosed) || len(below.writes) > 0 {
		t.Errorf("%v after %d writes", err, len(below.writes))
	}
}

func (c *cork) writeTogether(text string) error {
	return c.together(func() error {
		_, err := c.Write([]byte(text))
		return err
	})
}

func TestALargeAnswerOverTLSArrivesAsItIs(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 200_000)
	f := startOverTLS(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, text) })
	caller := dialTLS(t, f)
	for range 2 {
		_, _ = io.WriteString(caller, head("GET", "/k8s/large", "alice")+"\r\n")
		w := &wire{t: t, Conn: caller, lines: bufio.NewReader(caller)}
		if _, body := w.answer("GET"); body != text {
			t.Errorf("%d bytes of %d", len(body), len(text))
		}
	}
}

// A caller that has stopped reading holds a write up; it must not hold up the end of its connection.
func TestACallerThatDoesNotReadIsEndedAtOnce(t *testing.T) {
	f := startOverTLS(t, func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	caller := dialTLS(t, f)
	_, _ = io.WriteString(caller, head("GET", "/k8s/large", "alice")+"\r\n")
	channel := <-f.channels
	f.hand.channels.mu.Lock()
	decisions := f.hand.channels.byListener["7"]
	f.hand.channels.mu.Unlock()
	var on *decided
	seen := 0
	eventually(t, "a write waits for the caller", func() bool {
		decisions.mu.Lock()
		defer decisions.mu.Unlock()
		for _, on = range decisions.connections {
			if on.cork.isFlushing.Load() {
				seen++
			} else {
				seen = 0
			}
		}
		// It is one that waits, and not one after another.
		return seen > 50
	})
	channel.send("hangUp", hangUpMessage{Connection: on.id})
	select {
	case ended := <-f.ended:
		if ended.Status != 200 {
			t.Errorf("%+v", ended)
		}
	case <-time.After(3 * time.Second): // TLS' farewell takes 5
		t.Error("its connection goes on")
	}
}

func dialTLS(t *testing.T, f *fixture) *tls.Conn {
	t.Helper()
	raw := f.dial("")
	caller := tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})
	_ = caller.SetDeadline(time.Now().Add(20 * time.Second))
	return caller
}

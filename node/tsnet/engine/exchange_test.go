package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server answers by the path: what leaves a connection in a state that nobody should trust, and what does not.
func server(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/silent"):
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/endless"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/text"):
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "a line\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/half"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{\"half\":")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case strings.HasPrefix(r.URL.Path, "/early"):
		// Go's own server would wait for the rest of the body.
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
			_, _ = io.Copy(io.Discard, connection)
		}
	case strings.HasPrefix(r.URL.Path, "/moved"):
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	case strings.HasPrefix(r.URL.Path, "/nothing"):
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(r.URL.Path, "/unchanged"):
		w.WriteHeader(http.StatusNotModified)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "after")
	}
}

func TestAConnectionIsNeverUsedAgainAfterAnExchangeThatWasNotWhole(t *testing.T) {
	post := head("POST", "/k8s/sink", "alice") + "Content-Length: 100\r\n\r\nhalf"
	for title, spoil := range map[string]func(*fixture){
		"a caller that goes before the answer": func(f *fixture) {
			w := f.dial(head("GET", "/k8s/silent", "alice") + "\r\n")
			eventually(t, "it arrives", func() bool { return len(f.connections()) == 1 && f.connections()[0].text() != "" })
			w.Close()
		},
		"a caller that goes in the middle of the answer": func(f *fixture) {
			w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n")
			_ = w.head("GET")
			w.Close()
		},
		"a body that breaks off": func(f *fixture) {
			w := f.dial(post)
			eventually(t, "half arrives", func() bool {
				return len(f.connections()) == 1 && strings.HasSuffix(f.connections()[0].text(), "half")
			})
			w.Close()
		},
		"an answer before the whole body": func(f *fixture) {
			w := f.dial(strings.Replace(post, "/sink", "/early", 1))
			if response, body := w.answer("POST"); body != "early" || !response.Close {
				t.Errorf("%q, closes: %v", body, response.Close)
			}
			w.send(strings.Repeat("x", 96) + head("GET", "/k8s/smuggled", "alice") + "\r\n")
			if rest := w.rest(); rest != "" {
				t.Errorf("then %q", rest)
			}
		},
		"a cut": func(f *fixture) {
			w := f.dial(head("GET", "/k8s/half", "alice") + "\r\n")
			response := w.head("GET")
			(<-f.channels).send("cut", cutMessage{Request: f.asked[0].Request})
			if _, err := io.ReadAll(response.Body); err == nil {
				t.Error("it looks whole")
			}
		},
	} {
		t.Run(title, func(t *testing.T) {
			f := startFixture(t, server)
			spoil(f)
			closes(t, f.connections()[0])
			<-f.ended
			w := f.dial(head("GET", "/k8s/after", "alice") + "\r\n")
			if _, body := w.answer("GET"); body != "after" {
				t.Error(body)
			}
			seen := f.connections()
			if len(seen) != 2 || strings.Contains(seen[0].text(), "/after") || strings.Contains(seen[1].text(), "smuggled") {
				t.Errorf("%d connections", len(seen))
			}
		})
	}
}

// Over TLS the server hears of the cut before its connection is gone, and may end the answer by itself: a hundred times, because
// it does so now and then.
func TestAWatchThatIsCutEndsInOrderWithALastWord(t *testing.T) {
	f := start(t, server, (*httptest.Server).StartTLS)
	channel := f.openChannel()
	for i := range 100 {
		word := []string{"", "the last\n"}[i%2]
		w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n")
		response := w.head("GET")
		got := make([]byte, 3)
		_, _ = io.ReadFull(response.Body, got)
		channel.send("cut", cutMessage{Request: f.lastAsked(), InOrder: true, LastWord: word})
		channel.send("forget", forgetMessage{Pool: "alice"})
		rest, err := io.ReadAll(response.Body)
		if string(got)+string(rest) != "{}\n"+word || err != nil {
			t.Errorf("%s%s: %v", got, rest, err)
		}
		if rest := w.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
		w.Close()
	}
}

func TestAStreamThatIsCutInAnyOtherWayIsSeenToBe(t *testing.T) {
	f := start(t, server, (*httptest.Server).StartTLS)
	channel := f.openChannel()
	for range 50 {
		w := f.dial(head("GET", "/k8s/endless", "alice") + "\r\n")
		response := w.head("GET")
		channel.send("cut", cutMessage{Request: f.lastAsked()})
		if rest, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("%q looks whole", rest)
		}
		w.Close()
	}
}

func TestOnlyJSONThatIsCutBetweenTwoLinesHasALastWord(t *testing.T) {
	for _, path := range []string{"/k8s/half", "/k8s/text"} {
		f := startFixture(t, server)
		w := f.dial(head("GET", path, "alice") + "\r\n")
		response := w.head("GET")
		_, _ = io.ReadFull(response.Body, make([]byte, 7))
		(<-f.channels).send("cut", cutMessage{Request: f.asked[0].Request, InOrder: true, LastWord: "the last\n"})
		if rest, err := io.ReadAll(response.Body); err == nil || strings.Contains(string(rest), "last") {
			t.Errorf("%s: %q: %v", path, rest, err)
		}
	}
}

func TestACutBeforeTheAnswerIsTheAnswer(t *testing.T) {
	f := startFixture(t, server)
	w := f.dial(head("GET", "/k8s/silent", "alice") + "\r\n")
	eventually(t, "it arrives", func() bool { return len(f.connections()) == 1 && f.connections()[0].text() != "" })
	cut := cutMessage{Request: f.asked[0].Request, Status: 401, Answer: "HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\ncut"}
	(<-f.channels).send("cut", cut)
	if response, body := w.answer("GET"); response.StatusCode != 401 || body != "cut" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
	if ended := <-f.ended; ended.Status != 401 {
		t.Errorf("%+v", ended)
	}
	closes(t, f.connections()[0])
}

// Nothing is read ahead of a caller that does not read, beyond what buffers hold; and a cut does not wait for it.
func TestASlowCallerSetsThePace(t *testing.T) {
	var written atomic.Int64
	const total = 256 << 20
	for _, isLength := range []bool{true, false} {
		written.Store(0)
		f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
			if isLength {
				w.Header().Set("Content-Length", fmt.Sprint(total))
			}
			block := make([]byte, 64<<10)
			for written.Load() < total {
				n, err := w.Write(block)
				if err != nil {
					return
				}
				written.Add(int64(n))
			}
		})
		w := f.dial(head("GET", "/k8s/large", "alice") + "\r\n")
		_ = w.head("GET")
		last := int64(-1)
		eventually(t, "it stands still", func() bool {
			time.Sleep(50 * time.Millisecond)
			now := written.Load()
			defer func() { last = now }()
			return now == last
		})
		if last > total/4 {
			t.Errorf("%d bytes were taken from the server", last)
		}
		(<-f.channels).send("cut", cutMessage{Request: f.asked[0].Request})
		closes(t, f.connections()[0])
		if ended := <-f.ended; ended.Status != 200 || ended.ReceivedBytes > last {
			t.Errorf("%+v", ended)
		}
	}
}

func TestALargeAnswerArrivesAsItIs(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 500_000)
	for _, isLength := range []bool{true, false} {
		f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
			if isLength {
				w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			}
			for at := 0; at < len(text); at += 1 + at%70_000 {
				_, _ = io.WriteString(w, text[at:min(len(text), at+1+at%70_000)])
			}
		})
		w := f.dial("")
		for range 2 {
			w.send(head("GET", "/k8s/large", "alice") + "\r\n")
			if _, body := w.answer("GET"); body != text {
				t.Errorf("length %v: %d bytes of %d", isLength, len(body), len(text))
			}
		}
		if n := len(f.connections()); n != 1 {
			t.Errorf("%d connections to the server", n)
		}
	}
}

func TestAnswersWithoutABodyLeaveTheConnectionInOrder(t *testing.T) {
	f := startFixture(t, server)
	w := f.dial("")
	for _, request := range []struct{ method, path string }{{"HEAD", "/x"}, {"DELETE", "/nothing"}, {"GET", "/unchanged"}, {"GET", "/x"}} {
		w.send(head(request.method, "/k8s"+request.path, "alice") + "\r\n")
		if response, body := w.answer(request.method); response.Close || (body != "") != (request.method == "GET" && request.path == "/x") {
			t.Errorf("%v: %q", request, body)
		}
	}
}

func TestNodeWritesALocation(t *testing.T) {
	f := startFixture(t, server)
	w := f.dial(head("GET", "/k8s/moved", "alice") + "\r\n")
	if response, _ := w.answer("GET"); response.Header.Get("Location") != "/k8s/elsewhere" {
		t.Error(response.Header)
	}
}

// Without an answer Node answers, which knows whether the request may have done something.
func TestAServerThatGivesNoAnswer(t *testing.T) {
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		connection.Close()
	})
	w := f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 2\r\n\r\n{}")
	if response, body := w.answer("POST"); response.StatusCode != 502 || body != "sent" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
	f = startFixture(t, server)
	f.server.Listener.Close()
	w = f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 2\r\n\r\n{}")
	if response, body := w.answer("POST"); response.StatusCode != 503 || body != "away" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

// What breaks off before the length or the last chunk must be seen to.
func TestAnAnswerThatBreaksOffIsNotWhole(t *testing.T) {
	for _, header := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\n"+header+"\r\n\r\n4\r\nhalf\r\n")
			connection.Close()
		})
		w := f.dial(head("GET", "/k8s/x", "alice") + "\r\n")
		if body, err := io.ReadAll(w.head("GET").Body); err == nil {
			t.Errorf("%s: %q looks whole", header, body)
		}
	}
}

func TestEventsArriveAsTheyAreWritten(t *testing.T) {
	next := make(chan string)
	f := startFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		for event := range next {
			_, _ = io.WriteString(w, event)
			w.(http.Flusher).Flush()
		}
	})
	w := f.dial(head("GET", "/k8s/watch", "alice") + "\r\n")
	response := w.head("GET")
	for _, event := range []string{"{\"type\":\"ADDED\"}\n", "{\"type\":\"MODI", "FIED\"}\n"} {
		next <- event
		got := make([]byte, len(event))
		if _, err := io.ReadFull(response.Body, got); string(got) != event || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

func TestAServerThatDoesNotReadHoldsTheCallerBack(t *testing.T) {
	release := make(chan struct{})
	f := startFixture(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	w := f.dial(head("POST", "/k8s/x", "alice") + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<30))
	var sent atomic.Int64
	go func() {
		block := make([]byte, 64<<10)
		for {
			n, err := w.Conn.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	last := int64(-1)
	eventually(t, "it stands still", func() bool {
		time.Sleep(100 * time.Millisecond)
		now := sent.Load()
		defer func() { last = now }()
		return now > 0 && now == last
	})
	if last > 64<<20 {
		t.Errorf("%d bytes were taken from the caller", last)
	}
}

func TestABodyOfAnyMethodArrivesWhole(t *testing.T) {
	body := strings.Repeat("configmap", 120_000)
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, string(got) == body)
	})
	chunks := ""
	for at := 0; at < len(body); at += 100_000 {
		part := body[at:min(len(body), at+100_000)]
		chunks += fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, framed := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"} {
			w := f.dial("")
			go func() { _, _ = io.WriteString(w.Conn, head(method, "/k8s/x", "alice")+framed) }()
			if _, answer := w.answer(method); answer != "true" {
				t.Errorf("%s: %q", method, answer)
			}
			if ended := <-f.ended; ended.SentBytes != int64(len(body)) {
				t.Errorf("%+v", ended)
			}
		}
	}
}

func TestALongAnswerThatComesBeforeTheWholeBodyArrivesWhole(t *testing.T) {
	const size = 8_000_000
	f := startFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(connection, "HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		_, _ = io.Copy(io.Discard, connection)
	})
	w := f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 3000000\r\n\r\nhalf")
	if response, body := w.answer("POST"); response.StatusCode != 413 || len(body) != size || !response.Close {
		t.Errorf("%d, %d bytes", response.StatusCode, len(body))
	}
}

func TestAServerThatBreaksOffDuringAnUploadIsToldToTheCaller(t *testing.T) {
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 500))
		if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
			connection.(*recorded).Conn.Close()
			connection.(*recorded).once.Do(func() { close(connection.(*recorded).closed) })
		}
	})
	w := f.dial(head("POST", "/k8s/x", "alice") + "Content-Length: 3000000\r\n\r\n" + strings.Repeat("x", 1000))
	eventually(t, "the server breaks off", func() bool { return len(f.connections()) == 1 && isClosed(f.connections()[0]) })
	go func() { _, _ = io.WriteString(w.Conn, strings.Repeat("x", 2_999_000)) }()
	if response, body := w.answer("POST"); response.StatusCode != 502 || body != "sent" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

// What a server sends unasked, on a connection that it keeps, answers no other request.
func TestBytesThatTheServerSendsUnaskedAnswerNoRequest(t *testing.T) {
	smuggled := "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
	f := startFixture(t, answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"+smuggled))
	for range 20 {
		w := f.dial(head("GET", "/k8s/x", "alice") + "Connection: close\r\n\r\n")
		if _, body := w.answer("GET"); body != "first" {
			t.Error(body)
		}
	}
	f = startFixture(t, answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"+smuggled))
	w := f.dial("")
	for range 20 {
		w.send(head("HEAD", "/k8s/x", "alice") + "\r\n")
		if response, _ := w.answer("HEAD"); response.ContentLength != 60 {
			t.Errorf("%d", response.ContentLength)
		}
	}
}

func isClosed(r *recorded) bool {
	select {
	case <-r.closed:
		return true
	default:
		return false
	}
}

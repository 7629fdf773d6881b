package main

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWhatMayWaitGoesWithTheNextMessageAndLeavesNothingRunning(t *testing.T) {
	node, engine := net.Pipe()
	defer node.Close()
	defer engine.Close()
	o := &outbox{to: engine, failed: func(err error) { t.Error(err) }}
	lines := bufio.NewReader(node)
	for i := range 3 {
		o.sendSoon(endedMessage{Request: uint32(i), Status: 200, SentBytes: 1, ReceivedBytes: 2})
		go o.send(askMessage{Connection: 1, Request: 9, Version: "1.1", Method: "GET", Target: "/k8s", Headers: []string{"Host", "tka"}})
		for _, want := range []string{"ended\x1f" + string(rune('0'+i)) + "\x1f200\x1f1\x1f2\n", "ask\x1f1\x1f9\x1f0\x1f1.1\x1fGET\x1f/k8s\x1fHost\x1ftka\n"} {
			if got, err := lines.ReadString('\n'); got != want || err != nil {
				t.Fatalf("%q: %v", got, err)
			}
		}
		o.mu.Lock()
		if o.isDue || o.due.Stop() {
			t.Error("a timer is left, which would send what comes next by itself")
		}
		o.mu.Unlock()
	}
	o.sendSoon(other{})
	if got, err := lines.ReadString('\n'); !strings.HasPrefix(got, "{") || err != nil {
		t.Errorf("nothing followed, and it is not sent: %q %v", got, err)
	}
}

func TestQuestionsGatherWhileOneIsUnanswered(t *testing.T) {
	node, engine := tcpPair(t)
	o := &outbox{to: engine, failed: func(err error) { t.Error(err) }, gathersFor: time.Hour}
	ask := func(request uint32) {
		o.sendQuestion(askMessage{Connection: 1, Request: request, Method: "GET", Target: "/k8s"}, true)
	}
	_ = node.SetReadDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewReader(node)
	arrives := func(want uint32) {
		t.Helper()
		line, err := lines.ReadString('\n')
		if message := strings.Split(line, separator); err != nil || len(message) < 3 || message[2] != strconv.Itoa(int(want)) {
			t.Fatalf("%q: %v, and not question %d", line, err, want)
		}
	}
	ask(1)
	arrives(1)
	ask(2)
	ask(3)
	if !o.holdsQuestion || o.lines == nil {
		t.Error("Node is woken for a question that it cannot turn to yet")
	}
	o.answered()
	arrives(2)
	arrives(3)
	ask(4)
	o.send(other{}) // takes along what waits
	arrives(4)
	_, _ = lines.ReadString('\n')
	o.answered()
	ask(5)
	arrives(5)
	o.sendQuestion(askMessage{Connection: 1, Request: 6, Method: "GET", Target: "/k8s"}, false)
	arrives(6) // one of few
	o.gathersFor = time.Millisecond
	ask(7)
	arrives(7) // although nothing is answered
}

// other is any message that is JSON.
type other struct{}

func TestAFieldThatWouldBeTwoEndsTheChannel(t *testing.T) {
	for _, field := range []string{"a\x1fb", "a\nb"} {
		var failure error
		o := &outbox{failed: func(err error) { failure = err }}
		o.send(askMessage{Connection: 1, Request: 2, Method: "GET", Target: field})
		if failure == nil || len(o.lines) > 0 {
			t.Errorf("%q: %q", field, o.lines)
		}
	}
}

func TestForwardIsReadStrictly(t *testing.T) {
	fields := []string{"forward", "7", "1", "0", "1", "/p", "uid", "2", "a", "b", "c", "d"}
	message, err := decodeDecision([]byte(strings.Join(fields, separator) + "\n"))
	forward, ok := message.(*forwardMessage)
	if err != nil || !ok || forward.Request != 7 || !forward.TellBegun || forward.Close || !forward.WithCookies || forward.Path != "/p" || forward.Pool != "uid" ||
		strings.Join(forward.Added, ",") != "a,b" || strings.Join(forward.Headers, ",") != "c,d" {
		t.Errorf("%+v %v", message, err)
	}
	for title, spoil := range map[string]func([]string) []string{
		"too few":            func(f []string) []string { return f[:7] },
		"no number":          func(f []string) []string { f[1] = "x"; return f },
		"a large number":     func(f []string) []string { f[1] = "4294967296"; return f },
		"no flag":            func(f []string) []string { f[2] = "true"; return f },
		"another no flag":    func(f []string) []string { f[3] = ""; return f },
		"a third no flag":    func(f []string) []string { f[4] = "yes"; return f },
		"an odd list":        func(f []string) []string { return f[:11] },
		"half a pair":        func(f []string) []string { f[7] = "1"; return f },
		"more than there is": func(f []string) []string { f[7] = "6"; return f },
		"less than nothing":  func(f []string) []string { f[7] = "-2"; return f },
		"another name":       func(f []string) []string { f[0] = "ask"; return f },
	} {
		spoiled := spoil(append([]string{}, fields...))
		if message, err := decodeDecision([]byte(strings.Join(spoiled, separator) + "\n")); err == nil {
			t.Errorf("%s: %+v", title, message)
		}
	}
}

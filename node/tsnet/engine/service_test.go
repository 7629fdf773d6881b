package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// conversation is a service with the test at the other end of its pipe.
type conversation struct {
	t       *testing.T
	service *service
	lines   chan map[string]any
	exits   chan int

	saying sync.Mutex // the service is spoken to by one at a time
	kept   keptState
}

func converse(t *testing.T) *conversation {
	t.Helper()
	reader, writer := io.Pipe()
	c := &conversation{t: t, lines: make(chan map[string]any, 4096), exits: make(chan int, 4)}
	out := newPipe(writer, func(error) {})
	c.service = newService(out, func(code int) { c.exits <- code })
	go func() {
		scanner := bufio.NewScanner(reader)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			var message map[string]any
			if err := json.Unmarshal(scanner.Bytes(), &message); err != nil {
				t.Errorf("not JSON: %s", scanner.Text())
			}
			if message["type"] == "save" {
				c.kept.take(t, scanner.Bytes(), c.say)
			}
			c.lines <- message
		}
	}()
	t.Cleanup(func() { c.service.close(0); writer.Close() })
	return c
}

func (c *conversation) say(line string) {
	c.saying.Lock()
	defer c.saying.Unlock()
	c.service.handle([]byte(line))
}

// hear returns the next message that fits; what comes before it is passed over.
func (c *conversation) hear(fits func(map[string]any) bool) map[string]any {
	c.t.Helper()
	late := time.After(20 * time.Second)
	var passed []map[string]any
	for {
		select {
		case message := <-c.lines:
			if fits(message) {
				return message
			}
			if message["type"] != "log" {
				passed = append(passed, message)
			}
		case <-late:
			c.t.Fatalf("not heard; but: %v", passed)
		}
	}
}

func (c *conversation) answer(id float64) map[string]any {
	c.t.Helper()
	return c.hear(func(message map[string]any) bool { return message["id"] == id })
}

func TestBeforeStart(t *testing.T) {
	c := converse(t)
	c.say(fmt.Sprintf(`{"type":"hello","version":%d}`, protocolVersion))
	c.say(`{"type":"ping","id":1}`)
	if got := c.answer(1); got["type"] != "done" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"whoIs","id":2,"address":"100.64.0.1"}`)
	if got := c.answer(2); got["type"] != "identity" || got["identity"].(map[string]any)["refusal"] != "unknown" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"listen","id":3,"listener":"1","port":80,"tls":false}`)
	if got := c.answer(3); got["type"] != "failed" || got["code"] != "NotStarted" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"proxy","id":31,"port":0,"user":"u","password":"p"}`)
	if got := c.answer(31); got["type"] != "failed" || got["code"] != "NotStarted" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"findPeer","id":32,"name":"tka"}`)
	if got := c.answer(32); got["type"] != "identity" || got["identity"].(map[string]any)["refusal"] != "unknown" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"unlisten","id":4,"listener":"1"}`)
	if got := c.answer(4); got["type"] != "done" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"ping","id":5,"more":1}`)
	if got := c.answer(5); got["type"] != "failed" || got["code"] != "BadRequest" {
		t.Errorf("%v", got)
	}
	c.say(`{"type":"stop","id":6}`)
	if got := c.answer(6); got["type"] != "done" {
		t.Errorf("%v", got)
	}
	if code := <-c.exits; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestAnotherVersionEndsTheEngine(t *testing.T) {
	for _, first := range []string{`{"type":"hello","version":1}`, `{"type":"ping","id":1}`} {
		c := converse(t)
		c.say(first)
		select {
		case code := <-c.exits:
			if code != exitMismatch {
				t.Errorf("%s: exit %d", first, code)
			}
		default:
			t.Errorf("%s: goes on", first)
		}
	}
}

func TestAStartThatCannotWorkSaysWhy(t *testing.T) {
	for _, test := range []struct{ fields, fault string }{
		{`"controlUrl":"nowhere","stateDir":"` + t.TempDir() + `"`, `control URL "nowhere"`},
		{`"controlUrl":"ftp://host","stateDir":"` + t.TempDir() + `"`, "not of the form https://host"},
		{`"controlUrl":"","stateDir":"/proc/tskey-secret"`, "[auth key]"},
	} {
		c := converse(t)
		c.say(fmt.Sprintf(`{"type":"hello","version":%d}`, protocolVersion))
		c.say(`{"type":"start","id":1,"hostname":"tka","authKey":"tskey-secret","ephemeral":false,"tags":[],"capabilities":[],` +
			`"socketPath":"/nowhere","nonce":"n","callers":[],` + test.fields + `}`)
		got := c.answer(1)
		text, _ := got["message"].(string)
		if got["code"] != "StartFailed" || !strings.Contains(text, test.fault) || strings.Contains(text, "tskey-secret") {
			t.Errorf("%v", got)
		}
	}
}

func TestReadLines(t *testing.T) {
	var lines []string
	handle := func(line []byte) { lines = append(lines, string(line)) }
	if err := readLines(strings.NewReader("one\n\ntwo\nthree"), handle); err != nil || strings.Join(lines, "|") != "one|two|three" {
		t.Errorf("%q, %v", lines, err)
	}
	endless := io.MultiReader(strings.NewReader("short\n"), endlessLine{})
	lines = nil
	if err := readLines(endless, handle); !errors.Is(err, errLineTooLong) || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

type endlessLine struct{}

func (endlessLine) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestLogsAreDroppedSoThatAnswersPass(t *testing.T) {
	reader, writer := io.Pipe() // nobody reads yet
	out := newPipe(writer, func(error) {})
	for range 2 * pipeQueue {
		out.log(logInfo, "chatter")
	}
	sent := make(chan struct{})
	go func() { out.send(doneMessage{Type: "done", ID: 1}); close(sent) }()
	select {
	case <-sent:
	case <-time.After(5 * time.Second):
		t.Fatal("an answer waits behind log lines")
	}
	found := make(chan bool)
	go func() {
		scanner := bufio.NewScanner(reader)
		answered := false
		for scanner.Scan() {
			if strings.Contains(scanner.Text(), `"done"`) && !answered {
				answered = true
				go out.log(logInfo, "one more")
			}
			if strings.Contains(scanner.Text(), "log lines were dropped") {
				found <- answered
				return
			}
		}
	}()
	if !<-found {
		t.Error("the answer was dropped")
	}
}

func TestABrokenPipeIsToldOnce(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	told := make(chan error, 4)
	out := newPipe(writer, func(err error) { told <- err })
	out.send(doneMessage{})
	out.send(doneMessage{})
	out.flush()
	if len(told) != 1 {
		t.Errorf("told %d times", len(told))
	}
}

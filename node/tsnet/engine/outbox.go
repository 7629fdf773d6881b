package main

// What goes to Node over a decision channel: messages as lines, in the order they were given, as few writes as may be. Each write
// wakes Node; while one is under way, what others have to say gathers for the next. Of many questions those that come while Node
// owes an answer gather until it has come, as Nagle's algorithm has it.

import (
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// Node reads as it decides; one that does not for so long is as good as gone.
	decisionWriteTimeout = 15 * time.Second
	// How long a message may wait for another to go with.
	soon = 5 * time.Millisecond
	// How long a question may wait for the answer to another, which may itself wait for the cluster.
	questionsGather = time.Millisecond
)

type outbox struct {
	to         net.Conn
	failed     func(error)   // may be called more than once
	gathersFor time.Duration // at most, where a question is unanswered

	mu     sync.Mutex
	lines  []byte
	isBusy bool        // somebody writes
	due    *time.Timer // flushes what may wait; stopped where nothing does
	isDue  bool

	holdsQuestion bool // among the lines
	isAwaiting    bool // questions have gone, and no answer has come since
}

// send writes at once, together with whatever others send meanwhile.
func (o *outbox) send(message any) {
	if o.add(message, func() {}) {
		o.flush()
	}
}

// sendSoon is for what nobody waits for: it goes with the next message, which is the caller's next question as a rule, or after
// a moment.
func (o *outbox) sendSoon(message any) {
	o.add(message, func() {
		if !o.isDue {
			o.flushWithin(soon)
		}
	})
}

// sendQuestion writes at once where no other is unanswered, or it is one of few; else together with those that come until an
// answer does.
func (o *outbox) sendQuestion(message any, isOneOfMany bool) {
	waits := false
	isAdded := o.add(message, func() {
		waits = o.isAwaiting && isOneOfMany
		if waits && !o.holdsQuestion {
			o.flushWithin(o.gathersFor)
		}
		o.holdsQuestion = true
	})
	if isAdded && !waits {
		o.flush()
	}
}

// answered is for each time that answers have come.
func (o *outbox) answered() {
	o.mu.Lock()
	o.isAwaiting = false
	waits := o.holdsQuestion
	o.mu.Unlock()
	if waits {
		o.flush()
	}
}

// flushWithin must be called with mu held.
func (o *outbox) flushWithin(delay time.Duration) {
	o.isDue = true
	if o.due == nil {
		o.due = time.AfterFunc(delay, o.flush)
	} else {
		o.due.Reset(delay)
	}
}

// add is false for what cannot be sent, which ends the channel. noted is called with mu held.
func (o *outbox) add(message any, noted func()) bool {
	o.mu.Lock()
	before := len(o.lines)
	lines, err := encodeDecision(o.lines, message)
	isAdded := err == nil && len(lines)-before <= maxLine
	if isAdded {
		o.lines = lines
		noted()
	}
	o.mu.Unlock()
	if !isAdded {
		o.failed(fmt.Errorf("cannot send %T", message))
	}
	return isAdded
}

func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.isDue {
		// One that was left running would send what comes after this on its own, a moment before it could go with a question.
		o.isDue = false
		o.due.Stop()
	}
	if o.isBusy {
		return
	}
	o.isBusy = true
	defer func() { o.isBusy = false }()
	var spare []byte
	for len(o.lines) > 0 {
		lines := o.lines
		o.lines = spare[:0]
		if o.holdsQuestion {
			o.holdsQuestion, o.isAwaiting = false, true
		}
		o.mu.Unlock()
		_ = o.to.SetWriteDeadline(time.Now().Add(decisionWriteTimeout))
		_, err := o.to.Write(lines)
		spare = lines
		o.mu.Lock()
		if err != nil {
			o.lines = nil
			go o.failed(err)
			return
		}
	}
}

package main

// The control pipe itself: lines in, lines out. Writers never interleave; answers and states wait for room, log lines
// are dropped when Node does not read fast enough, so that logging cannot hold up an answer for long.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const pipeQueue = 1024

type pipe struct {
	lines   chan []byte // nil lines ask for flushed
	flushed chan struct{}
	dropped atomic.Int64
}

// newPipe starts writing to out. When out breaks, onBroken is called once and everything after is discarded.
func newPipe(out io.Writer, onBroken func(error)) *pipe {
	p := &pipe{lines: make(chan []byte, pipeQueue), flushed: make(chan struct{})}
	go func() {
		broken := false
		for line := range p.lines {
			if line == nil {
				p.flushed <- struct{}{}
				continue
			}
			if broken {
				continue
			}
			if _, err := out.Write(line); err != nil {
				broken = true
				onBroken(err)
			}
		}
	}()
	return p
}

// flush returns when everything sent before is written; at most a second.
func (p *pipe) flush() {
	late := time.After(time.Second)
	select {
	case p.lines <- nil:
	case <-late:
		return
	}
	select {
	case <-p.flushed:
	case <-late:
	}
}

func (p *pipe) send(message any) {
	line, err := encodeLine(message)
	if err == nil && len(line) > maxLine {
		err = fmt.Errorf("message of %d bytes", len(line))
	}
	if err != nil {
		// Only an identity can grow that far, and its grants are bounded: this would be a bug, so say so and go on.
		p.log(logError, fmt.Sprintf("cannot send %T: %v", message, err))
		return
	}
	p.lines <- line
}

func (p *pipe) log(level logLevel, text string) {
	if len(text) > 4096 {
		text = text[:4096]
	}
	line, err := encodeLine(logMessage{Type: "log", Level: level, Message: text})
	if err != nil {
		return
	}
	// Half of the queue stays free for answers.
	if len(p.lines) > pipeQueue/2 {
		p.dropped.Add(1)
		return
	}
	p.lines <- line
	if n := p.dropped.Swap(0); n > 0 {
		p.log(logWarn, fmt.Sprintf("%d log lines were dropped", n))
	}
}

var errLineTooLong = errors.New("line too long")

// readLines calls handle for each line until in ends; a line over maxLine ends it with errLineTooLong.
func readLines(in io.Reader, handle func(line []byte)) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	for scanner.Scan() {
		if line := scanner.Bytes(); len(line) > 0 {
			handle(line)
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return errLineTooLong
	}
	return scanner.Err()
}

package main

// The engine's end of the decision channel: one for each listener whose requests Node decides, dialled when the first
// connection needs it. When it breaks, everything that depends on it ends; the next connection dials again.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// manyUnderWay: from so many requests on, one that waits for others' decisions costs less than waking Node for it alone.
const manyUnderWay = 16

type decisions struct {
	outbox
	node     net.Conn
	log      func(logLevel, string)
	buffers  *bufferPool
	upstream *upstream // after settings
	settings *settingsMessage
	server   *http.Server  // of the connections
	ready    chan struct{} // closed with the settings
	broken   chan struct{}

	mu          sync.Mutex
	connections map[uint32]*callerConnection
	questions   map[uint32]*question
	last        uint32 // number of the last connection or request
	isDraining  bool
	isBroken    bool
}

// openDecisions returns when Node has sent its settings.
func openDecisions(ctx context.Context, node net.Conn, buffers *bufferPool, log func(logLevel, string)) (*decisions, error) {
	d := &decisions{
		node: node, buffers: buffers, log: log, ready: make(chan struct{}), broken: make(chan struct{}),
		connections: map[uint32]*callerConnection{}, questions: map[uint32]*question{}, server: newCarrier(),
	}
	d.outbox = outbox{to: node, failed: d.fail, gathersFor: questionsGather}
	go func() { d.fail(d.read()) }()
	select {
	case <-d.ready:
		return d, nil
	case <-d.broken:
		return nil, errors.New("the decision channel ended before it began")
	case <-ctx.Done():
		d.fail(ctx.Err())
		return nil, ctx.Err()
	}
}

// fail ends the channel and what hangs on it.
func (d *decisions) fail(err error) {
	d.mu.Lock()
	if d.isBroken {
		d.mu.Unlock()
		return
	}
	d.isBroken = true
	connections := make([]*callerConnection, 0, len(d.connections))
	for _, connection := range d.connections {
		connections = append(connections, connection)
	}
	d.mu.Unlock()
	close(d.broken)
	d.node.Close()
	for _, connection := range connections {
		connection.end()
	}
	if d.upstream != nil {
		d.upstream.close()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		d.log(logWarn, fmt.Sprintf("the decision channel ended: %v", err))
	}
}

func (d *decisions) read() error {
	lines := bufio.NewReaderSize(d.node, 64<<10)
	for {
		line, err := readLine(lines)
		if err != nil {
			return err
		}
		message, err := decodeDecision(line)
		if err != nil {
			return err
		}
		if err := d.take(message); err != nil {
			return err
		}
		if lines.Buffered() == 0 {
			d.answered()
		}
	}
}

// readLine returns a line of at most maxLine; it is good until the next.
func readLine(from *bufio.Reader) ([]byte, error) {
	line, err := from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := append([]byte{}, line...)
	for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxLine {
		line, err = from.ReadSlice('\n')
		long = append(long, line...)
	}
	if len(long) > maxLine {
		return nil, errLineTooLong
	}
	return long, err
}

func (d *decisions) take(message any) error {
	if d.settings == nil {
		settings, ok := message.(*settingsMessage)
		if !ok {
			return errors.New("the first message must be settings")
		}
		upstream, err := newUpstream(settings, d.buffers)
		if err != nil {
			return err
		}
		d.settings, d.upstream = settings, upstream
		close(d.ready)
		return nil
	}
	switch message := message.(type) {
	case *forwardMessage:
		d.answer(message.Request, message)
	case *answerMessage:
		d.answer(message.Request, message)
	case *locationMessage:
		d.answer(message.Request, message)
	case *readMessage:
		d.answer(message.Request, message)
	case *recordMessage:
		if q := d.question(message.Request); q != nil {
			q.setRecord(message)
		}
	case *cutMessage:
		if q := d.question(message.Request); q != nil {
			q.setCut(message)
		}
	case *hangUpMessage:
		d.mu.Lock()
		connection := d.connections[message.Connection]
		d.mu.Unlock()
		if connection != nil {
			connection.end()
		}
	case *forgetMessage:
		d.upstream.forget(message.Pool)
	case *drainMessage:
		d.drain()
	default:
		return fmt.Errorf("a %T after the settings", message)
	}
	return nil
}

func (d *decisions) answer(request uint32, message any) {
	q := d.question(request)
	if q == nil {
		return
	}
	select {
	case q.answers <- message:
	default: // answered too often: nobody waits for more than the protocol has
	}
}

func (d *decisions) question(id uint32) *question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.questions[id]
}

// drain ends the connections that owe no answer; the others end with theirs.
func (d *decisions) drain() {
	d.mu.Lock()
	d.isDraining = true
	connections := make([]*callerConnection, 0, len(d.connections))
	for _, connection := range d.connections {
		connections = append(connections, connection)
	}
	d.mu.Unlock()
	for _, connection := range connections {
		connection.endIfIdle()
	}
}

func (d *decisions) draining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isDraining
}

// register numbers a connection; false where the channel has ended.
func (d *decisions) register(connection *callerConnection) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isBroken {
		return false
	}
	connection.id = d.next()
	d.connections[connection.id] = connection
	return true
}

func (d *decisions) unregister(connection *callerConnection) {
	d.mu.Lock()
	delete(d.connections, connection.id)
	d.mu.Unlock()
}

// ask puts a request to Node; its question must be ended.
func (d *decisions) ask(connection *callerConnection, r *http.Request) *question {
	q := &question{answers: make(chan any, 2)}
	d.mu.Lock()
	q.id = d.next()
	d.questions[q.id] = q
	isOneOfMany := len(d.questions) > manyUnderWay
	d.mu.Unlock()
	headers := make([]string, 0, 2*len(r.Header)+2)
	headers = append(headers, "Host", r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			headers = append(headers, name, asText(value))
		}
	}
	d.sendQuestion(askMessage{
		Connection: connection.id, Request: q.id, HasBody: r.ContentLength != 0,
		Version: strings.TrimPrefix(r.Proto, "HTTP/"), Method: r.Method, Target: asText(r.RequestURI), Headers: headers,
	}, isOneOfMany)
	return q
}

func (d *decisions) forgetQuestion(q *question) {
	d.mu.Lock()
	delete(d.questions, q.id)
	d.mu.Unlock()
}

// next must be called with mu held.
func (d *decisions) next() uint32 {
	for {
		d.last++
		_, isConnection := d.connections[d.last]
		_, isQuestion := d.questions[d.last]
		if d.last != 0 && !isConnection && !isQuestion {
			return d.last
		}
	}
}

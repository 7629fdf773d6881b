package main

// One connection to the server, for one exchange at a time: heads written, answers read. What happens on it happens in the goroutine
// that asked for it: each switch to another is another processor to wake, which a small request notices.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

const (
	// An answer may be as late as a webhook of the cluster makes it.
	answerTimeout = 5 * time.Minute
	maxAnswerHead = 64 << 10
	// Answers of 1xx that are passed over before the one that counts.
	maxInterim = 5
	// What one piece of an answer is made of: what had arrived, up to so much.
	serverReadBuffer = 32 << 10
)

var (
	errHeadTooLong    = errors.New("the head of the answer is too long")
	errNotWritable    = errors.New("a header that cannot be written")
	errTooManyInterim = errors.New("too many interim answers")
)

type serverConnection struct {
	net.Conn               // as the server speaks: TLS as a rule
	beneath  net.Conn      // without TLS
	records  *recordReader // beneath TLS; nil without
	reader   *bufio.Reader
	head     []byte // written last; zeroed
	// What may still be read; of a head it is bounded.
	left      int64
	hasBegun  bool // a byte of this answer was read
	isUsed    bool // there was an exchange before this one
	idleSince time.Time
}

func newServerConnection(connection, beneath net.Conn, records *recordReader) *serverConnection {
	c := &serverConnection{Conn: connection, beneath: beneath, records: records}
	c.reader = bufio.NewReaderSize((*boundedReader)(c), serverReadBuffer)
	return c
}

// end closes it at once. TLS' farewell would wait for a server that does not read.
func (c *serverConnection) end() { c.beneath.Close() }

// boundedReader is what a serverConnection is read by: with all that has arrived, waiting for the first byte alone.
type boundedReader serverConnection

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errHeadTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.Conn.Read(p)
	for err == nil && n < len(p) && b.records != nil && b.records.hasRecord() {
		more := b.records.withoutWaiting(func() int {
			// What goes wrong is told by the next read again.
			more, _ := b.Conn.Read(p[n:])
			return more
		})
		if more == 0 {
			break
		}
		n += more
	}
	b.left -= int64(n)
	b.hasBegun = b.hasBegun || n > 0
	return n, err
}

// headOf is a request's head as it goes over the wire; good until the next.
func (c *serverConnection) headOf(method, host string, length int64, isLast bool, order *forwardMessage) ([]byte, error) {
	head := append(c.head[:0], method...)
	head = append(head, ' ')
	head = append(head, order.Path...)
	head = append(head, " HTTP/1.1\r\nHost: "...)
	head = append(head, host...)
	head = append(head, "\r\n"...)
	if !isWritable(order.Path) || strings.Contains(order.Path, " ") {
		return nil, errNotWritable
	}
	for i := 0; i+1 < len(order.Headers); i += 2 {
		name, value := order.Headers[i], order.Headers[i+1]
		if !isPlainName(name) || !isWritable(value) {
			return nil, errNotWritable
		}
		head = append(head, name...)
		head = append(head, ": "...)
		head = append(head, value...)
		head = append(head, "\r\n"...)
	}
	if length > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		head = fmt.Appendf(head, "Content-Length: %d\r\n", length)
	}
	if isLast {
		head = append(head, "Connection: close\r\n"...)
	}
	c.head = append(head, "\r\n"...)
	return c.head, nil
}

// isToken is for names of headers (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		isAlphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !isAlphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isWritable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// forgetHead zeroes what was written: there is a credential in it.
func (c *serverConnection) forgetHead() { clear(c.head) }

// answer reads an answer's head, passing over interim ones. Its body must be read to its end, or the connection ended.
func (c *serverConnection) answer(method string) (*http.Response, error) {
	c.left = maxAnswerHead
	request := &http.Request{Method: method}
	for range maxInterim + 1 {
		response, err := http.ReadResponse(c.reader, request)
		if err != nil {
			return nil, answerError(err)
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		c.left = math.MaxInt64
		return response, nil
	}
	return nil, invalidAnswer{errTooManyInterim}
}

// invalidAnswer is for bytes that are no answer, as opposed to none.
type invalidAnswer struct{ error }

func (i invalidAnswer) Unwrap() error { return i.error }

func isInvalidAnswer(err error) bool {
	_, isInvalid := errors.AsType[invalidAnswer](err)
	return isInvalid
}

// answerError tells bytes that are no answer from a connection that failed.
func answerError(err error) error {
	_, isNetwork := errors.AsType[net.Error](err)
	if isNetwork || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return err
	}
	return invalidAnswer{err}
}

// rest gives back what an idle connection does not need.
func (c *serverConnection) rest() {
	if c.records != nil {
		c.records.rest()
	}
}

// isQuiet reports whether an idle connection has nothing to read, not even its end. Whatever there is was not asked for.
func (c *serverConnection) isQuiet() bool {
	if c.reader.Buffered() > 0 || (c.records != nil && !c.records.isEmpty()) {
		return false
	}
	system, ok := c.beneath.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return false
	}
	isQuiet := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		isQuiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && isQuiet
}

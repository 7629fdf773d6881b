package main

// Request heads as ordinary clients send them, and nothing else. There are two readers of HTTP on the way to the API server,
// and only the other one (Node's) has to understand and refuse whatever can be sent: this one takes a head only if there is
// exactly one way to read it and nothing special in it, and says "not plain" to the rest without judging it. What is not
// plain goes to Node byte for byte, with all that follows on its connection.

import (
	"bytes"
	"net"
	"strconv"
	"strings"
)

const (
	maxHead        = 16 << 10 // Node's own limit
	maxHeaderLines = 100
	firstRead      = 4 << 10
)

// plainHead is a request whose end nobody can see in another place.
type plainHead struct {
	method  string
	target  string
	headers []string // name, value, name, value; as sent
	length  int64    // of the body
	close   bool     // the caller wants this to be the last
}

// intake reads requests from a connection: heads whole, bodies by their length.
type intake struct {
	from    net.Conn
	buffer  []byte // of which [start:end] was read and not yet taken
	start   int
	end     int
	scanned int // from start: has been looked at, and is no reason against a plain head
}

// fill reads at least one byte more. The buffer must have room.
func (i *intake) fill() error {
	if i.start == i.end {
		i.start, i.end = 0, 0
	}
	if i.end == len(i.buffer) {
		i.makeRoom()
	}
	n, err := i.from.Read(i.buffer[i.end:])
	i.end += n
	if n > 0 {
		return nil
	}
	return err
}

func (i *intake) makeRoom() {
	size := max(firstRead, len(i.buffer))
	if i.end-i.start == len(i.buffer) {
		size = min(maxHead, max(firstRead, 2*len(i.buffer)))
	}
	grown := i.buffer
	if size > len(i.buffer) {
		grown = make([]byte, size)
	}
	copy(grown, i.buffer[i.start:i.end])
	i.start, i.end, i.buffer = 0, i.end-i.start, grown
}

// wait returns when there is at least one byte.
func (i *intake) wait() error {
	for i.start == i.end {
		if err := i.fill(); err != nil {
			return err
		}
	}
	return nil
}

func (i *intake) unread() []byte { return i.buffer[i.start:i.end] }

// head reads up to the end of a head. size is its length; 0 where it is not plain, as early as that can be told. The bytes
// remain unread in both cases, until taken. beforeReading is called before anything more has to be read, once.
func (i *intake) head(prefix string, beforeReading func()) (head plainHead, size int, err error) {
	i.scanned = 0
	for {
		end, isPlain := scan(i.unread(), &i.scanned)
		if !isPlain || end > maxHead {
			return plainHead{}, 0, nil
		}
		if end > 0 {
			head, isPlain := parseHead(string(i.unread()[:end]), prefix)
			if !isPlain {
				end = 0
			}
			return head, end, nil
		}
		if len(i.unread()) >= maxHead {
			return plainHead{}, 0, nil
		}
		if beforeReading != nil {
			beforeReading()
			beforeReading = nil
		}
		if err := i.fill(); err != nil {
			return plainHead{}, 0, err
		}
	}
}

func (i *intake) take(n int) { i.start += n }

// Read is for bodies, and for whoever gets the rest.
func (i *intake) Read(p []byte) (int, error) {
	if i.start < i.end {
		n := copy(p, i.unread())
		i.take(n)
		return n, nil
	}
	return i.from.Read(p)
}

// scan looks at what is new in text: end is behind the empty line, or 0 while there is none.
func scan(text []byte, scanned *int) (end int, isPlain bool) {
	for at := *scanned; at < len(text); at++ {
		switch c := text[at]; {
		case c == '\n':
			if at == 0 || text[at-1] != '\r' {
				return 0, false
			}
			if at >= 3 && text[at-2] == '\n' {
				*scanned = at + 1
				return at + 1, true
			}
		case at > 0 && text[at-1] == '\r':
			return 0, false
		case c == '\r':
		case c < ' ' || c > '~':
			return 0, false
		}
	}
	*scanned = len(text)
	return 0, true
}

// parseHead takes a head with its empty line, scanned before.
func parseHead(text, prefix string) (plainHead, bool) {
	lines := strings.Split(strings.TrimSuffix(text, "\r\n\r\n"), "\r\n")
	if len(lines) > maxHeaderLines+1 {
		return plainHead{}, false
	}
	head, isPlain := parseRequestLine(lines[0], prefix)
	if !isPlain {
		return plainHead{}, false
	}
	head.headers = make([]string, 0, 2*len(lines))
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found || !isPlainName(name) || value == "" || value[0] == ' ' || value[len(value)-1] == ' ' {
			return plainHead{}, false
		}
		if !head.note(strings.ToLower(name), value, seen) {
			return plainHead{}, false
		}
		head.headers = append(head.headers, name, value)
	}
	return head, seen["host"]
}

func parseRequestLine(line, prefix string) (plainHead, bool) {
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		return plainHead{}, false
	}
	below, found := strings.CutPrefix(target, prefix)
	if version != "HTTP/1.1" || !found || (below != "" && below[0] != '/' && below[0] != '?') {
		return plainHead{}, false
	}
	return plainHead{method: method, target: target}, true
}

// note heeds the headers that say where the request ends and what becomes of the connection; false where one of them is
// more than ordinary.
func (h *plainHead) note(name, value string, seen map[string]bool) bool {
	switch name {
	case "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive", "proxy-connection", "http2-settings":
		return false
	case "host", "content-length", "connection":
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	switch name {
	case "content-length":
		length, err := strconv.ParseInt(value, 10, 64)
		// Digits alone, and one way to write each number.
		if err != nil || strconv.FormatInt(length, 10) != value || length < 0 || length > 1<<50 {
			return false
		}
		h.length = length
	case "connection":
		switch strings.ToLower(value) {
		case "close":
			h.close = true
		case "keep-alive":
		default:
			return false
		}
	}
	return true
}

func isPlainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != ""
}

// restOf is a connection whose first bytes have been read already.
type restOf struct {
	halfCloser
	first *bytes.Reader
}

func (r restOf) Read(p []byte) (int, error) {
	if r.first.Len() > 0 {
		return r.first.Read(p)
	}
	return r.halfCloser.Read(p)
}

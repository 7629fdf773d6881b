package main

// The server's answer on its way to the caller: head by Node's rules, body re-framed, every piece sent on as it comes.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// answerRules say which headers of an answer come back, and what each has besides.
type answerRules struct {
	withheld map[string]bool // canonical names
	prefixes []string
	added    string // lines
}

func newAnswerRules(settings *settingsMessage) answerRules {
	rules := answerRules{withheld: map[string]bool{}, added: linesOf(settings.Added)}
	for _, name := range settings.Withheld {
		rules.withheld[http.CanonicalHeaderKey(name)] = true
	}
	for _, prefix := range settings.WithheldPrefixes {
		rules.prefixes = append(rules.prefixes, http.CanonicalHeaderKey(prefix))
	}
	return rules
}

func linesOf(headers []string) string {
	var lines strings.Builder
	for i := 0; i+1 < len(headers); i += 2 {
		lines.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	return lines.String()
}

func (r answerRules) comesBack(name string, withCookies bool) bool {
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !r.withheld[name] || withCookies && name == "Set-Cookie"
}

const (
	pieceRoom = 16 // before a piece, for what frames it
	pieceTail = 16 // behind it
	// largeAnswer leaves room for what TLS adds, in a buffer of the same size.
	largeAnswer = recordBuffer - 1<<10
	// smallAnswer holds what most answers are, or one record of TLS.
	smallAnswer = 16<<10 + pieceRoom + pieceTail
)

// piece is a buffer with room for a frame, and how much of it is filled.
type piece struct {
	room []byte
	n    int
}

func (p *piece) space() []byte { return p.room[pieceRoom : len(p.room)-pieceTail] }

func (p *piece) bytes() []byte { return p.room[pieceRoom : pieceRoom+p.n] }

type answer struct {
	x        *exchange
	response *http.Response
	location string
	// length of the body; -1: in chunks.
	length int64
	// hasLastWord: a cut may end it in order, where it is between two lines.
	hasLastWord   bool
	endsInNewline bool
}

func newAnswer(x *exchange, response *http.Response, location string) *answer {
	a := &answer{x: x, response: response, location: location, length: response.ContentLength, endsInNewline: true}
	header := response.Header
	a.hasLastWord = a.length < 0 && response.StatusCode == http.StatusOK && header.Get("Content-Encoding") == "" &&
		isJSON(header.Get("Content-Type"))
	return a
}

func isJSON(contentType string) bool {
	rest, found := strings.CutPrefix(contentType, "application/json")
	return found && (rest == "" || rest[0] == ';' || rest[0] == ' ')
}

func (a *answer) hasBody() bool {
	status := a.response.StatusCode
	return a.x.head.method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// write is false where the caller must see that the answer is not whole.
func (a *answer) write() bool {
	head := a.head()
	if !a.hasBody() || a.length == 0 {
		return a.send(head)
	}
	if a.length < 0 {
		// It may be long until the first byte of the body.
		return a.send(head) && a.body(nil)
	}
	return a.body(head)
}

func (a *answer) head() []byte {
	var head strings.Builder
	head.Grow(1024)
	_, reason, _ := strings.Cut(a.response.Status, " ")
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", a.response.StatusCode, printable(reason))
	rules := a.x.on.channel.rules
	dropped := namedIn(a.response.Header.Values("Connection"))
	for name, values := range a.response.Header {
		if name == "Content-Length" || name == "Location" || dropped[name] || !rules.comesBack(name, a.x.order.WithCookies) {
			continue
		}
		for _, value := range values {
			head.WriteString(name + ": " + value + "\r\n")
		}
	}
	if a.location != "" {
		head.WriteString("location: " + a.location + "\r\n")
	}
	head.WriteString(rules.added)
	head.WriteString(linesOf(a.x.order.Added))
	switch {
	case a.length >= 0 && (a.hasBody() || a.x.head.method == http.MethodHead):
		fmt.Fprintf(&head, "content-length: %d\r\n", a.length)
	case a.hasBody():
		head.WriteString("transfer-encoding: chunked\r\n")
	}
	if a.becomesLast() {
		head.WriteString("connection: close\r\n")
	}
	head.WriteString("\r\n")
	return []byte(head.String())
}

// becomesLast notes that the connection ends with this answer, where the rest of the request may never be read, or something
// came that should have waited for it.
func (a *answer) becomesLast() bool {
	x := a.x
	x.isLast = x.isLast || x.unsent.Load() > 0 || x.on.isAhead() || x.on.channel.draining()
	return x.isLast
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}

// namedIn has what Connection says belongs to one connection.
func namedIn(values []string) map[string]bool {
	if len(values) == 0 {
		return nil
	}
	named := map[string]bool{}
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			named[http.CanonicalHeaderKey(strings.TrimSpace(token))] = true
		}
	}
	return named
}

// body sends pieces of the body as they are read, begin before the first: in chunks, or no more than was announced.
func (a *answer) body(begin []byte) (isWhole bool) {
	buffers := a.x.on.buffers
	small := buffers.getSmall()
	var large *[recordBuffer]byte
	defer func() {
		buffers.putSmall(small)
		if large != nil {
			buffers.putRecords(large)
		}
	}()
	// What is small, or comes now and then, needs no large buffer.
	p := piece{room: small[:]}
	if len(begin) > len(p.space())/2 {
		if !a.send(begin) {
			return false
		}
		begin = nil
	}
	for {
		at := copy(p.space(), begin)
		begin = nil
		n, err := a.response.Body.Read(p.space()[at:])
		p.n = at + n
		if isOver, isWhole := a.pass(&p, at, err); isOver {
			return isWhole
		}
		switch {
		case large == nil && p.n == len(p.space()):
			large = buffers.getRecords()
			p.room = large[:largeAnswer]
		case large != nil && p.n < len(small)/2:
			buffers.putRecords(large)
			large = nil
			p.room = small[:]
		}
	}
}

// pass sends a piece, which begins with so many bytes that are not of the body, and tells what its error means.
func (a *answer) pass(p *piece, begin int, err error) (isOver, isWhole bool) {
	n := p.n - begin
	a.x.received += int64(n)
	// A server that sees its connection being closed, as a cut does, may end the answer in order before it is gone.
	isEnd := errors.Is(err, io.EOF) && (a.length >= 0 || a.x.cutBy() == nil)
	if n > 0 {
		a.endsInNewline = p.bytes()[p.n-1] == '\n'
	}
	if a.length >= 0 {
		if p.n > 0 && !a.send(p.bytes()) {
			return true, false
		}
		if a.x.received == a.length {
			return true, err == nil || isEnd
		}
		return err != nil, false
	}
	if n > 0 && !a.send(chunk(p, isEnd)) {
		return true, false
	}
	switch {
	case isEnd:
		return true, n > 0 || a.send([]byte(lastChunk))
	case err != nil:
		return true, a.lastWord()
	}
	return false, false
}

const lastChunk = "0\r\n\r\n"

// chunk frames a piece in place.
func chunk(p *piece, isLast bool) []byte {
	size := strconv.AppendInt(nil, int64(p.n), 16)
	from := pieceRoom - len(size) - 2
	copy(p.room[from:], size)
	copy(p.room[pieceRoom-2:], "\r\n")
	framed := append(p.room[from:pieceRoom+p.n], "\r\n"...)
	if isLast {
		framed = append(framed, lastChunk...)
	}
	return framed
}

// lastWord ends a stream that was cut; true where it ends in order.
func (a *answer) lastWord() bool {
	cut := a.x.cutBy()
	if cut == nil || !cut.InOrder || !a.hasLastWord || !a.endsInNewline {
		return false
	}
	a.x.isLast = true
	end := lastChunk
	if cut.LastWord != "" {
		end = fmt.Sprintf("%x\r\n%s\r\n%s", len(cut.LastWord), cut.LastWord, lastChunk)
	}
	return a.send([]byte(end))
}

func (a *answer) send(piece []byte) bool {
	a.becomesLast()
	a.x.armWrite()
	write := func() error {
		_, err := a.x.on.peer.Write(piece)
		return err
	}
	// One record goes by itself.
	if cork := a.x.on.cork; cork != nil && len(piece) > smallAnswer {
		return cork.together(write) == nil
	}
	return write() == nil
}

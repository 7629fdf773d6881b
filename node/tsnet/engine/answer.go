package main

// The API server's answer on its way to the caller: its head by Node.js's rules, and the end of one that is cut.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// answerRules say which headers of an answer come back, and what each has besides.
type answerRules struct {
	withheld map[string]bool // canonical names
	prefixes []string
	added    []string
}

func newAnswerRules(settings *settingsMessage) answerRules {
	rules := answerRules{withheld: map[string]bool{}, added: settings.Added}
	for _, name := range settings.Withheld {
		rules.withheld[http.CanonicalHeaderKey(name)] = true
	}
	for _, prefix := range settings.WithheldPrefixes {
		rules.prefixes = append(rules.prefixes, http.CanonicalHeaderKey(prefix))
	}
	return rules
}

func (r answerRules) comesBack(name string, withCookies bool) bool {
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !r.withheld[name] || withCookies && name == "Set-Cookie"
}

// begin readies an answer's head; an error is for one that must not be relayed.
func (x *exchange) begin(response *http.Response, rules answerRules) error {
	isSwitch := response.StatusCode == http.StatusSwitchingProtocols && x.protocol() != ""
	if err := checkAnswer(response, isSwitch); err != nil {
		// One without a body is idle already, and must not be used again either.
		x.pool.transport.CloseIdleConnections()
		return err
	}
	if isSwitch {
		return x.beginStream(response)
	}
	location, err := x.location(response)
	if err != nil {
		return err
	}
	header := response.Header
	for name := range header {
		if !rules.comesBack(name, x.order.WithCookies) || name == "Location" || name == "Trailer" {
			delete(header, name)
		}
	}
	if location != "" {
		header.Set("Location", location)
	}
	for _, added := range [][]string{rules.added, x.order.Added} {
		for i := 0; i+1 < len(added); i += 2 {
			header.Set(added[i], added[i+1])
		}
	}
	if x.order.Close {
		header.Set("Connection", "close")
	}
	response.Trailer = nil
	x.tellBegun(response.StatusCode)
	response.Body = &answerBody{ReadCloser: response.Body, x: x, response: response, endsInNewline: true}
	return nil
}

func (x *exchange) tellBegun(status int) {
	x.status = status
	if x.order.TellBegun {
		x.on.channel.send(begunMessage{Type: "begun", Request: x.q.id, Status: status})
	}
}

// invalidAnswer is for bytes that are not a valid answer, as opposed to no answer.
type invalidAnswer struct{ error }

func (i invalidAnswer) Unwrap() error { return i.error }

// checkAnswer refuses what another reader might understand differently. net/http keeps names with spaces in them as they are.
func checkAnswer(response *http.Response, isSwitch bool) error {
	if response.StatusCode < 200 && !isSwitch {
		return invalidAnswer{fmt.Errorf("an answer of %d", response.StatusCode)}
	}
	if len(response.Header["Location"]) > 1 {
		return invalidAnswer{errors.New("more than one Location")}
	}
	for name, values := range response.Header {
		if !isToken(name) {
			return invalidAnswer{errors.New("the name of a header is invalid")}
		}
		for _, value := range values {
			if !isWritable(value) {
				return invalidAnswer{errors.New("a control character in a header")}
			}
		}
	}
	return nil
}

// isInvalidAnswer tells bytes that are not a valid answer from a connection that failed.
func isInvalidAnswer(err error) bool {
	if _, isInvalid := errors.AsType[invalidAnswer](err); isInvalid {
		return true
	}
	_, isNetwork := errors.AsType[net.Error](err)
	return !isNetwork && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) &&
		!errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "server closed idle connection")
}

// location asks Node.js what becomes of a redirect.
func (x *exchange) location(response *http.Response) (string, error) {
	values := response.Header.Values("Location")
	if len(values) == 0 {
		return "", nil
	}
	x.on.channel.send(movedMessage{Type: "moved", Request: x.q.id, Location: values[0]})
	reply, err := x.reply()
	if err != nil {
		return "", err
	}
	moved, ok := reply.(*locationMessage)
	if !ok {
		return "", fmt.Errorf("a %T instead of a location", reply)
	}
	return moved.Location, nil
}

// answerBody tells an answer that is whole from one that breaks off or is cut.
type answerBody struct {
	io.ReadCloser
	x             *exchange
	response      *http.Response
	endsInNewline bool
	lastWord      io.Reader // once it was cut in order
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.lastWord != nil {
		return b.lastWord.Read(p)
	}
	n, err := b.ReadCloser.Read(p)
	b.x.armWrite()
	if n > 0 {
		b.endsInNewline = p[n-1] == '\n'
	}
	if err == nil {
		return n, nil
	}
	b.response.Trailer = nil
	cut := b.x.cutBy()
	switch {
	// A server that sees its connection being closed, as a cut does, may end the answer in order before it is gone.
	case errors.Is(err, io.EOF) && (b.response.ContentLength >= 0 || cut == nil):
		return n, io.EOF
	case cut != nil && cut.InOrder && b.endsInNewline && b.hasLines():
		b.x.on.isLast.Store(true)
		b.lastWord = strings.NewReader(cut.LastWord)
		return n, nil
	case errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// hasLines reports whether the answer is a stream of JSON lines, which a last one may follow.
func (b *answerBody) hasLines() bool {
	header := b.response.Header
	return b.response.ContentLength < 0 && b.response.StatusCode == http.StatusOK && header.Get("Content-Encoding") == "" &&
		isJSON(header.Get("Content-Type"))
}

func isJSON(contentType string) bool {
	rest, found := strings.CutPrefix(contentType, "application/json")
	return found && (rest == "" || rest[0] == ';' || rest[0] == ' ')
}

func isWritable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isToken is for names of headers (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		isAlphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !isAlphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// asText has a character for each byte of a header, as Node.js reads them; asBytes is the way back.
func asText(bytes string) string {
	if !strings.ContainsFunc(bytes, func(r rune) bool { return r >= 0x80 }) {
		return bytes
	}
	var text strings.Builder
	for i := range len(bytes) {
		text.WriteRune(rune(bytes[i]))
	}
	return text.String()
}

func asBytes(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		return text
	}
	bytes := make([]byte, 0, len(text))
	for _, r := range text {
		bytes = append(bytes, byte(r))
	}
	return string(bytes)
}

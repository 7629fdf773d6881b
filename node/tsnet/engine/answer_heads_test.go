package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// answers makes a server that says exactly this to each request.
func answers(t *testing.T, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, answer)
		_, _ = io.Copy(io.Discard, connection)
	}
}

var malformedAnswers = map[string]string{
	"a space before the colon of a length":   "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nContent-Length: 2\r\n\r\nok",
	"a space before the colon of a location": "HTTP/1.1 302 Found\r\nLocation : https://evil.example/\r\nContent-Length: 0\r\n\r\n",
	"a tab before the colon":                 "HTTP/1.1 200 OK\r\nX-A\t: b\r\nContent-Length: 2\r\n\r\nok",
	"a space in a name":                      "HTTP/1.1 200 OK\r\nSet-Cookie X: a=b\r\nContent-Length: 2\r\n\r\nok",
	"a name with parentheses":                "HTTP/1.1 200 OK\r\nX(a): b\r\nContent-Length: 2\r\n\r\nok",
	"a name with C1":                         "HTTP/1.1 200 OK\r\nX\x85: b\r\nContent-Length: 2\r\n\r\nok",
	"too many headers":                       "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70_000) + "\r\nContent-Length: 2\r\n\r\nok",
	"a line without a colon":                 "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\nok",
	"a null in a value":                      "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
	"a bare carriage return in a value":      "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
	"two locations":                          "HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
	"two different lengths":                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	"a length that is no number":             "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
	"a signed length":                        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
	"a length of twenty digits":              "HTTP/1.1 200 OK\r\nContent-Length: " + strings.Repeat("9", 20) + "\r\n\r\nok",
	"an unknown coding":                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"rubbish":                                "SSH-2.0-x\r\n",
	"an upgrade that was not asked for":      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}

func TestAnAnswerThatTwoReadersCouldUnderstandDifferentlyIsNotRelayed(t *testing.T) {
	traces := regexp.MustCompile(`(?i)evil|set-cookie|\nx-a|\nx[^-]|\nlocation`)
	for title, answer := range malformedAnswers {
		t.Run(title, func(t *testing.T) {
			f := startFixture(t, answers(t, answer))
			w := f.dial(head("GET", "/k8s/x", "alice") + "Connection: close\r\n\r\n")
			text := w.rest()
			if !strings.HasPrefix(text, "HTTP/1.1 502 ") || !strings.HasSuffix(text, "invalid") {
				t.Errorf("%q", text)
			}
			if traces.MatchString(text) {
				t.Errorf("something was relayed: %q", text)
			}
			closes(t, f.connections()[0])
		})
	}
}

func TestAFoldedHeaderIsRelayedOnOneLineOrNotAtAll(t *testing.T) {
	f := startFixture(t, answers(t, "HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: b\r\nContent-Length: 2\r\n\r\nok"))
	w := f.dial(head("GET", "/k8s/x", "alice") + "Connection: close\r\n\r\n")
	text := w.rest()
	if regexp.MustCompile(`(?i)\n[ \t]|\nset-cookie`).MatchString(text) {
		t.Errorf("%q", text)
	}
	if !strings.HasPrefix(text, "HTTP/1.1 502 ") && !regexp.MustCompile(`(?i)\nx: a +Set-Cookie: b\r\n`).MatchString(text) {
		t.Errorf("%q", text)
	}
}

// A length beyond what a double holds exactly is relayed digit for digit.
func TestALengthBeyond53BitsIsRelayedExactly(t *testing.T) {
	f := startFixture(t, answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n"))
	w := f.dial(head("HEAD", "/k8s/x", "alice") + "Connection: close\r\n\r\n")
	if text := w.rest(); !strings.Contains(text, "Content-Length: 9007199254740993\r\n") {
		t.Errorf("%q", text)
	}
}

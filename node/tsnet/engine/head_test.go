package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const plainGet = "GET /k8s/api/v1/pods?watch=true HTTP/1.1\r\nHost: tka\r\nAuthorization: Bearer x\r\n\r\n"

// chunked hands out its bytes some at a time.
type chunked struct {
	net.Conn
	text []byte
	size int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.text)
	c.text = c.text[n:]
	return n, nil
}

func read(text string, size int) (*intake, plainHead, int, error) {
	in := &intake{from: &chunked{text: []byte(text), size: size}}
	head, end, err := in.head("/k8s", nil)
	return in, head, end, err
}

func TestAPlainHeadIsReadWhole(t *testing.T) {
	body := "GET /k8s/smuggled HTTP/1.1\r\n\r\n"
	text := "POST /k8s/api?x=1&y HTTP/1.1\r\nhost: tka:443\r\nContent-Length: 30\r\nConnection: Close\r\nAccept: a, b; c=\"d\"\r\naccept: e\r\n\r\n" + body
	for _, size := range []int{1, 2, 3, 7, 4096} {
		in, head, end, err := read(text, size)
		if err != nil || end != len(text)-len(body) {
			t.Fatalf("pieces of %d: ends at %d: %v", size, end, err)
		}
		if head.method != "POST" || head.target != "/k8s/api?x=1&y" || head.length != 30 || !head.close {
			t.Errorf("%+v", head)
		}
		want := []string{"host", "tka:443", "Content-Length", "30", "Connection", "Close", "Accept", `a, b; c="d"`, "accept", "e"}
		if strings.Join(head.headers, "|") != strings.Join(want, "|") {
			t.Errorf("%q", head.headers)
		}
		in.take(end)
		rest, err := io.ReadAll(in)
		if err != nil || string(rest) != body {
			t.Errorf("then %q: %v", rest, err)
		}
	}
}

func TestWhatIsPlain(t *testing.T) {
	for _, text := range []string{
		plainGet,
		"GET /k8s HTTP/1.1\r\nHost: tka\r\n\r\n",
		"GET /k8s?a HTTP/1.1\r\nHost: tka\r\n\r\n",
		"DELETE /k8s/x HTTP/1.1\r\nHost: tka\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
		"GET /k8s/../x HTTP/1.1\r\nHost: tka\r\nImpersonate-User: root\r\n\r\n", // for Node to refuse
	} {
		if _, _, end, err := read(text, 4096); err != nil || end != len(text) {
			t.Errorf("%q: %d %v", text, end, err)
		}
	}
}

// What two readers could see differently, or what is no business of the engine's.
var notPlain = map[string]string{
	"another path":                      "GET /api/v1alpha1/login HTTP/1.1\r\nHost: tka\r\n\r\n",
	"another path that begins so":       "GET /k8stuff HTTP/1.1\r\nHost: tka\r\n\r\n",
	"an absolute target":                "GET https://tka/k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"an asterisk":                       "OPTIONS * HTTP/1.1\r\nHost: tka\r\n\r\n",
	"no target":                         "GET HTTP/1.1\r\nHost: tka\r\n\r\n",
	"two spaces":                        "GET  /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"two spaces before the version":     "GET /k8s/api  HTTP/1.1\r\nHost: tka\r\n\r\n",
	"a space in the target":             "GET /k8s/api x HTTP/1.1\r\nHost: tka\r\n\r\n",
	"a space behind the version":        "GET /k8s/api HTTP/1.1 \r\nHost: tka\r\n\r\n",
	"a tab":                             "GET\t/k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"HTTP/1.0":                          "GET /k8s/api HTTP/1.0\r\nHost: tka\r\n\r\n",
	"HTTP/1.10":                         "GET /k8s/api HTTP/1.10\r\nHost: tka\r\n\r\n",
	"HTTP/2":                            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"no version":                        "GET /k8s/api\r\nHost: tka\r\n\r\n",
	"a lower case version":              "GET /k8s/api http/1.1\r\nHost: tka\r\n\r\n",
	"a lower case method":               "get /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"CONNECT":                           "CONNECT /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"TRACE":                             "TRACE /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"a method of its own":               "PROPFIND /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"an empty line first":               "\r\nGET /k8s/api HTTP/1.1\r\nHost: tka\r\n\r\n",
	"line feeds alone":                  "GET /k8s/api HTTP/1.1\nHost: tka\n\n",
	"one line feed alone":               "GET /k8s/api HTTP/1.1\r\nHost: tka\nX: y\r\n\r\n",
	"a line feed at the end":            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\n\n",
	"a bare carriage return":            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\rb\r\n\r\n",
	"two carriage returns":              "GET /k8s/api HTTP/1.1\r\nHost: tka\r\r\n\r\n",
	"a null":                            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\x00b\r\n\r\n",
	"an escape":                         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\x1bb\r\n\r\n",
	"a delete":                          "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\x7fb\r\n\r\n",
	"a header that is no ASCII":         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: \xc3\xa9\r\n\r\n",
	"a target that is no ASCII":         "GET /k8s/\xc3\xa9 HTTP/1.1\r\nHost: tka\r\n\r\n",
	"a folded header":                   "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\r\n b\r\n\r\n",
	"a folded header, by a tab":         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: a\r\n\tb\r\n\r\n",
	"a folded first header":             "GET /k8s/api HTTP/1.1\r\n Host: tka\r\n\r\n",
	"a header without a colon":          "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX\r\n\r\n",
	"a header without a name":           "GET /k8s/api HTTP/1.1\r\nHost: tka\r\n: x\r\n\r\n",
	"a header without a value":          "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX:\r\n\r\n",
	"a header with a blank value":       "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: \r\n\r\n",
	"no space behind a colon":           "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX:y\r\n\r\n",
	"two spaces behind a colon":         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX:  y\r\n\r\n",
	"a space behind a value":            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: y \r\n\r\n",
	"a space before a colon":            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX : y\r\n\r\n",
	"an underscore in a name":           "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nContent_Length: 3\r\n\r\n",
	"a quote in a name":                 "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX\": y\r\n\r\n",
	"no host":                           "GET /k8s/api HTTP/1.1\r\nX: tka\r\n\r\n",
	"no header":                         "GET /k8s/api HTTP/1.1\r\n\r\n",
	"two hosts":                         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nHost: tka\r\n\r\n",
	"two hosts in two cases":            "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nhOST: evil\r\n\r\n",
	"chunks":                            "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunks in another case":            "POST /k8s/api HTTP/1.1\r\nHost: tka\r\ntRANSFER-eNCODING: xchunked\r\n\r\n0\r\n\r\n",
	"a length and chunks":               "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"two lengths":                       "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
	"the same length twice":             "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
	"a list of lengths":                 "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 3, 3\r\n\r\nabc",
	"a signed length":                   "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: +3\r\n\r\nabc",
	"a negative length":                 "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: -1\r\n\r\n",
	"a negative zero":                   "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: -0\r\n\r\n",
	"a hexadecimal length":              "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 0x3\r\n\r\nabc",
	"a length with an underscore":       "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 1_0\r\n\r\n",
	"a length with a leading zero":      "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 03\r\n\r\nabc",
	"a length of many digits":           "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: " + strings.Repeat("9", 30) + "\r\n\r\n",
	"a length that overflows a float":   "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nContent-Length: 9223372036854775807\r\n\r\n",
	"a trailer":                         "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nTrailer: X\r\n\r\n",
	"TE":                                "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nTE: trailers\r\n\r\n",
	"Expect":                            "POST /k8s/api HTTP/1.1\r\nHost: tka\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
	"an upgrade":                        "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"an upgrade without Connection":     "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nUpgrade: h2c\r\n\r\n",
	"a Connection that names a header":  "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nConnection: close, Impersonate-User\r\n\r\n",
	"two of Connection":                 "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nConnection: close\r\nConnection: x\r\n\r\n",
	"a head of more than 16 KB":         "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: " + strings.Repeat("x", 17_000) + "\r\n\r\n",
	"a head of more than 16 KB, no end": "GET /k8s/api HTTP/1.1\r\nHost: tka\r\nX: " + strings.Repeat("x", 17_000),
	"many headers":                      "GET /k8s/api HTTP/1.1\r\nHost: tka\r\n" + strings.Repeat("a: b\r\n", 101) + "\r\n",
	"rubbish":                           "\x16\x03\x01\x02\x00\x01\x00",
}

func TestWhatIsNotPlainStaysUnread(t *testing.T) {
	for title, text := range notPlain {
		for _, size := range []int{1, 5, 4096, 1 << 20} {
			in, _, end, err := read(text, size)
			if err != nil || end != 0 {
				t.Errorf("%s: read up to %d: %v", title, end, err)
			}
			rest, err := io.ReadAll(in)
			if err != nil || string(rest) != text {
				t.Errorf("%s: what goes on is %.200q: %v", title, rest, err)
			}
		}
	}
}

// A caller that waits for an answer to what it has sent must not be waited for in turn.
func TestWhatIsNotPlainIsToldAtOnce(t *testing.T) {
	for _, text := range []string{"GET /k8s/api HTTP/1.1\n", "GET /k8s/api HTTP/1.1\r\n\n", "\x16\x03\x01"} {
		client, server := tcpPair(t)
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
		in := &intake{from: server}
		if _, end, err := in.head("/k8s", nil); err != nil || end != 0 {
			t.Errorf("%q: %d, %v", text, end, err)
		}
	}
}

// Whatever comes: what is taken for plain reads back as the very bytes it was, and nothing is lost or made up.
func FuzzHead(f *testing.F) {
	f.Add([]byte(plainGet))
	for _, text := range notPlain {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, head, end, err := read(string(text), 1+len(text)/3)
		rest := bytes.Clone(in.unread())
		more, _ := io.ReadAll(in.from)
		if all := append(rest, more...); !bytes.Equal(all, text) {
			t.Fatalf("%q became %q", text, all)
		}
		if err != nil || end == 0 {
			return
		}
		var again strings.Builder
		again.WriteString(head.method + " " + head.target + " HTTP/1.1\r\n")
		for i := 0; i < len(head.headers); i += 2 {
			again.WriteString(head.headers[i] + ": " + head.headers[i+1] + "\r\n")
		}
		again.WriteString("\r\n")
		if again.String() != string(text[:end]) {
			t.Fatalf("%q was read as %q", text[:end], again.String())
		}
	})
}

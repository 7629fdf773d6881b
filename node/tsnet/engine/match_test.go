package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// node/proxy/classify.test.ts reads the same file: Node.js and the engine must not choose differently.
func TestRequestsThatMatchAreThoseOfTheSharedCorpus(t *testing.T) {
	text, err := os.ReadFile("testdata/matched.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct {
		Match    requestMatch `json:"match"`
		Requests []struct {
			Target        string   `json:"target"`
			Authorization []string `json:"authorization"`
			Matches       bool     `json:"matches"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(text, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.Requests) < 50 {
		t.Fatalf("%d requests", len(corpus.Requests))
	}
	for _, row := range corpus.Requests {
		head := "GET " + row.Target + " HTTP/1.1\r\nHost: tka\r\n"
		for i, value := range row.Authorization {
			head += []string{"Authorization", "authorization"}[i%2] + ": " + value + "\r\n"
		}
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n")))
		if err != nil {
			t.Errorf("%s %q: %v", row.Target, row.Authorization, err)
			continue
		}
		if got := corpus.Match.matches(request); got != row.Matches {
			t.Errorf("%s %q: %v", row.Target, row.Authorization, got)
		}
	}
}

func TestABearerTokenInAnotherHeaderDoesNotMatch(t *testing.T) {
	match := requestMatch{Paths: []string{"/k8s"}, BearerPrefix: "tka_"}
	for _, name := range []string{"Proxy-Authorization", "X-Authorization", "Authorization_", "Authorizatio"} {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: tka\r\n" + name + ": Bearer tka_s_0\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if match.matches(request) {
			t.Error(name)
		}
	}
}

func TestARequestWithATokenIsAskedAboutWhateverItsPathAndOneWithoutIsHandedOver(t *testing.T) {
	f := startFixture(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "server "+r.RequestURI) })
	w := f.dial("")
	for _, path := range []string{"/", "/api/v1alpha1/login", "/k8s/x"} {
		w.send(head("GET", path, "bEaReR tka_s_0") + "\r\n")
		if _, body := w.answer("GET"); body != "server "+strings.TrimPrefix(path, "/k8s") {
			t.Errorf("%s: %q", path, body)
		}
	}
	before := f.questions()
	for _, token := range []string{"Bearer x", "Token tka_s_0"} {
		w.send(head("GET", "/api/v1alpha1/login", token) + "\r\n")
		node := <-f.handed
		if request, err := http.ReadRequest(bufio.NewReader(node)); err != nil || request.Header.Get("Authorization") != token {
			t.Errorf("%v: %v", request, err)
		}
		_, _ = io.WriteString(node, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnode")
		node.Close()
		if _, body := w.answer("GET"); body != "node" {
			t.Errorf("%s: %q", token, body)
		}
	}
	if f.questions() != before || len(f.connections()) != 1 {
		t.Errorf("%d questions, %d connections", f.questions()-before, len(f.connections()))
	}
}

func TestATargetThatIsNoPathIsRefusedWhateverItsToken(t *testing.T) {
	f := startFixture(t, http.NotFound)
	for _, line := range []string{
		"GET http://tka/k8s/api HTTP/1.1", "GET https://127.0.0.1:6443/api HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT 127.0.0.1:6443 HTTP/1.1",
	} {
		w := f.dial(line + "\r\nHost: tka\r\nConnection: close\r\nAuthorization: Bearer tka_s_0\r\n\r\n")
		if answer := w.rest(); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("%s: %q", line, answer)
		}
	}
	if f.questions() != 0 || len(f.connections()) != 0 {
		t.Errorf("%d questions, %d connections", f.questions(), len(f.connections()))
	}
}

func TestAnHTTP2PrefaceIsRefusedAndItsConnectionClosed(t *testing.T) {
	f := startFixture(t, http.NotFound)
	if answer := f.dial("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").rest(); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("%q", answer)
	}
	if f.questions() != 0 {
		t.Error("it was asked about")
	}
}

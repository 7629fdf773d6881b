package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestDecodeRequestTakesOnlyWholeMessages(t *testing.T) {
	for _, test := range []struct {
		name, line string
		id         uint32
		fault      string // part of the error; empty: none
	}{
		{"hello", `{"type":"hello","version":3}`, 0, ""},
		{"ping", `{"type":"ping","id":7}`, 7, ""},
		{"listen", `{"type":"listen","id":1,"listener":"1","port":443,"tls":true}`, 1, ""},
		{"proxy", `{"type":"proxy","id":1,"port":0,"user":"u","password":"p"}`, 1, ""},
		{"findPeer", `{"type":"findPeer","id":1,"name":"tka"}`, 1, ""},
		{"no JSON", `{"type":"ping"`, 0, "not a JSON message"},
		{"no object", `[]`, 0, "not a JSON message"},
		{"unknown type", `{"type":"dump","id":3}`, 3, `unknown message type "dump"`},
		{"unknown field", `{"type":"ping","id":3,"secret":"x"}`, 3, "malformed ping message"},
		{"wrong type of field", `{"type":"listen","id":4,"listener":"1","port":"443","tls":true}`, 4, "malformed listen"},
		{"port out of range", `{"type":"listen","id":4,"listener":"1","port":65536,"tls":true}`, 4, "malformed listen"},
		{"two values", `{"type":"ping","id":5} {"type":"ping","id":6}`, 0, "not a JSON message"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, id, err := decodeRequest([]byte(test.line))
			if id != test.id {
				t.Errorf("id %d, want %d", id, test.id)
			}
			switch {
			case test.fault == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
				t.Errorf("error %v, want %q", err, test.fault)
			}
		})
	}
}

func TestDecodeErrorsNeverQuoteTheMessage(t *testing.T) {
	for _, line := range []string{
		`{"type":"start","id":1,"authKey":"tskey-secret`,
		`{"type":"start","id":1,"authKey":["tskey-secret"]}`,
		`{"type":"start","id":1,"tskey-secret":true}`,
		`{"type":"proxy","id":1,"port":0,"user":"u","password":["secret"]}`,
	} {
		if _, _, err := decodeRequest([]byte(line)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestGrantsKeepTheirTextThroughTheEncoder(t *testing.T) {
	rule := `{"role":"<&>","role":"view"}`
	line, err := encodeLine(identityMessage{Type: "identity", Identity: identity{Capabilities: map[string][]string{"c": {rule}}}})
	if err != nil {
		t.Fatal(err)
	}
	var back identityMessage
	if err := json.Unmarshal(line, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Identity.Capabilities["c"][0]; got != rule {
		t.Errorf("got %s", got)
	}
	if strings.Contains(string(line), `\u003c`) {
		t.Errorf("escaped: %s", line)
	}
}

// The twins say the same: the contract at their top, word for word, and the version.
func TestTheTwinHasTheSameContract(t *testing.T) {
	compareTwins(t, "protocol.go", "../protocol.ts", `One JSON object a line`, `The end of stdin ends the engine\.`)
	twin, _ := os.ReadFile("../protocol.ts")
	if !strings.Contains(string(twin), "PROTOCOL_VERSION = 8;") || protocolVersion != 8 {
		t.Error("the versions differ")
	}
}

func compareTwins(t *testing.T, here, there, from, to string) {
	t.Helper()
	words := func(path, comment string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(`(?s)` + from + `.*?` + to).FindString(string(text))
		match = regexp.MustCompile(`(?m)^`+comment).ReplaceAllString(match, "")
		return strings.ReplaceAll(strings.Join(strings.Fields(match), " "), "MAX_LINE", "maxLine")
	}
	ours, theirs := words(here, `//`), words(there, ` \*`)
	if ours == "" || ours != theirs {
		t.Errorf("%s:\n%s\n%s:\n%s", here, ours, there, theirs)
	}
}

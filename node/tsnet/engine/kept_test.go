package main

// A node whose state Node keeps: what is in it, what is not, and what becomes of a node that starts with it.

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
)

// keptState keeps as Node does what an engine saves.
type keptState struct {
	mu     sync.Mutex
	values map[string][]byte
	states []map[string][]byte // after each save
	waits  []uint32            // saves that were answered with trouble
	// trouble is the answer to saves of keys that begin with troubled; empty: they are saved.
	trouble, troubled string
}

func (k *keptState) take(t *testing.T, line []byte, say func(string)) {
	var save saveMessage
	if err := json.Unmarshal(line, &save); err != nil {
		t.Error(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = map[string][]byte{}
	}
	if save.Value == nil {
		delete(k.values, save.Key)
	} else {
		k.values[save.Key] = save.Value
	}
	k.states = append(k.states, maps.Clone(k.values))
	problem := ""
	if k.trouble != "" && strings.HasPrefix(save.Key, k.troubled) {
		problem = k.trouble
		k.waits = append(k.waits, save.Save)
	}
	answer, _ := encodeLine(savedRequest{Type: "saved", ID: 1000 + save.Save, Save: save.Save, Problem: problem})
	go say(string(answer))
}

// relent saves what was in trouble.
func (k *keptState) relent(say func(string)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trouble = ""
	for _, save := range k.waits {
		answer, _ := encodeLine(savedRequest{Type: "saved", ID: 2000 + save, Save: save})
		go say(string(answer))
	}
}

func (k *keptState) history() []map[string][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.states)
}

func (k *keptState) copy() map[string][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.values)
}

func keptBy(state map[string][]byte) func(*startRequest) {
	return func(start *startRequest) { start.State = state }
}

func TestTheStateThatNodeKeepsIsTheWholeNode(t *testing.T) {
	control := startControl(t, nil)
	dir := t.TempDir()
	c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.State = map[string][]byte{}
		start.StateDir = dir
	})
	first := c.hear(isState(isReady))
	// As a kill would find it: no more than what was saved by the moment it was ready.
	kept := c.kept.copy()
	secrets := secretsIn(t, kept)
	for _, path := range filesIn(t, dir) {
		// Logs, and which of the tailnet's services a person likes to see in a menu.
		if !strings.HasPrefix(filepath.Base(path), "tailscaled.log") && !strings.Contains(path, "service-client-prefs") {
			t.Errorf("%s is kept in files", path)
		}
		for _, secret := range secrets {
			if text, _ := os.ReadFile(path); bytes.Contains(text, secret) {
				t.Errorf("%s has something of the state in it", path)
			}
		}
	}
	c.service.forsaken()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}

	c, _ = startEngineWith(t, control.HTTPTestServer.URL, keptBy(kept))
	second := c.hear(isState(isReady))
	for _, what := range []string{"stableNodeId", "caPem", "dnsName"} {
		if first[what] == "" || first[what] != second[what] {
			t.Errorf("%s: %v, then %v", what, first[what], second[what])
		}
	}
	if nodes := control.AllNodes(); len(nodes) != 1 {
		t.Errorf("%d nodes", len(nodes))
	}
}

// secretsIn is what must be nowhere else.
func secretsIn(t *testing.T, state map[string][]byte) [][]byte {
	t.Helper()
	var profile struct {
		Config struct{ PrivateNodeKey string }
	}
	if err := json.Unmarshal(state[string(state["_current-profile"])], &profile); err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{state["_machinekey"], []byte(profile.Config.PrivateNodeKey), state[caFile]}
	for i, secret := range secrets {
		if len(secret) < 32 {
			t.Fatalf("%d is no secret", i)
		}
	}
	return secrets
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestADamagedStateIsNotStartedWith(t *testing.T) {
	control := startControl(t, nil)
	c, _ := tellEngine(t, control.HTTPTestServer.URL, keptBy(map[string][]byte{"_current-profile": []byte("profile-1a2b"), "profile-1a2b": []byte("{}")}))
	if got := c.answer(1); got["code"] != "StateDamaged" {
		t.Error(got)
	}
	if nodes := control.AllNodes(); len(nodes) != 0 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestANodeThatCannotBeSavedDoesNotJoin(t *testing.T) {
	control := startControl(t, nil)
	for _, key := range []string{caFile, "_machinekey"} {
		c, _ := tellTroubledEngine(t, control.HTTPTestServer.URL, key)
		got := c.answer(1)
		if text := fmt.Sprint(got["message"]); got["code"] != "StartFailed" || !strings.Contains(text, key+": the API server is away") {
			t.Errorf("%s: %v", key, got)
		}
	}
	if nodes := control.AllNodes(); len(nodes) != 0 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestANodeIsNotReadyBeforeItIsSaved(t *testing.T) {
	control := startControl(t, nil)
	c, _ := tellTroubledEngine(t, control.HTTPTestServer.URL, "profile-")
	got := c.hear(isState(func(state map[string]any) bool { return state["status"] == "Running" && state["dnsName"] != "" }))
	for got["reason"] == "waiting for the peers of this tailnet" {
		got = c.hear(isState(func(map[string]any) bool { return true }))
	}
	if got["ready"] != false || got["reason"] != "the node's state is not saved: the API server is away" ||
		!strings.Contains(fmt.Sprint(got["health"]), "State not saved: the API server is away") {
		t.Errorf("%v", got)
	}
	c.kept.relent(c.say)
	if got := c.hear(isState(isReady)); strings.Contains(fmt.Sprint(got["health"]), "not saved") {
		t.Errorf("%v", got)
	}
}

// tellTroubledEngine cannot save what begins with key.
func tellTroubledEngine(t *testing.T, controlURL, key string) (*conversation, net.Listener) {
	t.Helper()
	return tellEngine(t, controlURL, func(start *startRequest) { start.State = map[string][]byte{} }, func(c *conversation) {
		c.kept.trouble, c.kept.troubled = "the API server is away", key
	})
}

func TestTheTailnetsCertificatesAreInTheStateToo(t *testing.T) {
	control := startControl(t, func(s *testcontrol.Server) { s.DNSConfig = &tailcfg.DNSConfig{Proxied: true} })
	certificate, key := issuedByWeb(t, "tka.tail.test")
	dir := t.TempDir()
	// The client has looked long ago, in a process with more than one node; an engine is one.
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.StateDir = dir
		start.State = map[string][]byte{"tka.tail.test.crt": certificate, "tka.tail.test.key": key}
	})
	ready := c.hear(isState(isReady))
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		t.Error("the client would keep certificates in files")
	}
	c.listen(2, 443, true)
	peer, _ := startPeer(t, control.HTTPTestServer.URL, "laptop")
	roots := x509.NewCertPool()
	roots.AddCert(webCA.certificate)
	secured := tls.Client(dial(t, peer, net.JoinHostPort(address(ready), "443")), &tls.Config{RootCAs: roots, ServerName: "tka.tail.test"})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	// Whether it is due for renewal was looked at with an ACME account of the node's own.
	if _, ok := c.kept.copy()["acme-account.key.pem"]; !ok {
		t.Errorf("no ACME account among %v", slices.Sorted(maps.Keys(c.kept.copy())))
	}
	for _, path := range filesIn(t, dir) {
		if strings.Contains(path, "certs") {
			t.Errorf("%s is kept in files", path)
		}
	}
}

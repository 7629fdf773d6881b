package main

// A first join that is interrupted, at each of the client's writes; and a node that has joined and is given a credential that is
// worth nothing by now.

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tailscale.com/tsnet"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

// firstJoin returns the state after each write of a first join, the empty one first, and the node's ID.
func firstJoin(t *testing.T, control *testcontrol.Server) (states []map[string][]byte, id any) {
	t.Helper()
	c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.State = map[string][]byte{}
		start.AuthKey = "tskey-once"
	})
	ready := c.hear(isState(isReady))
	c.service.close(0)
	states = append([]map[string][]byte{{}}, c.kept.history()...)
	if len(states) < 5 {
		t.Fatalf("only %d states", len(states))
	}
	return states, ready["stableNodeId"]
}

func TestAFirstJoinThatIsInterruptedAtAnyWriteBecomesANode(t *testing.T) {
	control := startControl(t, nil)
	states, id := firstJoin(t, control)
	hasResumed := false
	for n, state := range states {
		for _, isDirectory := range []bool{false, true} {
			// Where the profile was not written yet, the node begins again.
			knows := len(profilesIn(state)) > 0
			c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
				start.AuthKey = "tskey-once"
				if isDirectory {
					writeState(t, start.StateDir, state)
				} else {
					start.State = maps.Clone(state)
				}
			})
			ready := c.hear(isState(isReady))
			if knows && ready["stableNodeId"] != id {
				t.Errorf("after write %d (directory: %v): %v, not %v", n, isDirectory, ready["stableNodeId"], id)
			}
			hasResumed = hasResumed || knows && state["_current-profile"] == nil
			c.service.close(0)
		}
	}
	if !hasResumed {
		t.Error("no state between the profile and the choice of it")
	}
}

// atRegistration returns the state that is saved when the control server has a node's first registration in hand, and the node's ID.
func atRegistration(t *testing.T, control *testcontrol.Server, key string) (state map[string][]byte, id any) {
	t.Helper()
	var once sync.Once
	var kept *keptState
	control.MaybeRateLimitRegister = func() (bool, string, string) {
		once.Do(func() { state = kept.copy() })
		return false, "", ""
	}
	defer func() { control.MaybeRateLimitRegister = nil }()
	c, _ := tellEngine(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.State = map[string][]byte{}
		start.AuthKey = key
	}, func(c *conversation) { kept = &c.kept })
	ready := c.hear(isState(isReady))
	c.service.close(0)
	return state, ready["stableNodeId"]
}

func TestAFirstJoinThatIsInterruptedAfterItsRegistrationNeedsNoOtherKey(t *testing.T) {
	control := startControl(t, func(s *testcontrol.Server) { s.RequireAuthKey = "tskey-once" })
	state, id := atRegistration(t, control, "tskey-once")
	control.RequireAuthKey = "" // A node that the control server does not know would be another one.
	for _, isDirectory := range []bool{false, true} {
		c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
			start.AuthKey = "tskey-once"
			if isDirectory {
				writeState(t, start.StateDir, state)
			} else {
				start.State = maps.Clone(state)
			}
		})
		if ready := c.hear(isState(isReady)); ready["stableNodeId"] != id {
			t.Errorf("directory %v: %v, not %v", isDirectory, ready["stableNodeId"], id)
		}
		c.service.close(0)
	}
	if nodes := control.AllNodes(); len(nodes) != 1 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestAFirstJoinThatIsInterruptedBeforeItsRegistrationUsesItsKeyForTheKeysThatAreSaved(t *testing.T) {
	state, _ := atRegistration(t, startControl(t, nil), "tskey-once")
	for name, change := range map[string]func(*testcontrol.Server){
		"a person would have to approve it": func(s *testcontrol.Server) { s.RequireAuth = true },
		"a key is asked for":                func(s *testcontrol.Server) { s.RequireAuthKey = "tskey-once" },
	} {
		control := startControl(t, change)
		c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
			start.State = maps.Clone(state)
			start.AuthKey = "tskey-once"
		})
		if name == "a key is asked for" {
			c.hear(isState(isReady))
			var profile struct {
				Config struct{ PrivateNodeKey key.NodePrivate }
			}
			if err := json.Unmarshal(state[string(state["_current-profile"])], &profile); err != nil {
				t.Fatal(err)
			}
			if got := selfKey(t, control); got != profile.Config.PrivateNodeKey.Public() {
				t.Errorf("%v is registered, not the key that is saved", got)
			}
		} else {
			c.hear(func(message map[string]any) bool {
				return message["type"] == "log" && message["message"] == "the control server does not know this node yet: the auth key is used"
			})
		}
		c.service.close(0)
	}
}

func TestAKeyThatIsRefusedWhenAFirstJoinIsResumedIsNamed(t *testing.T) {
	state, _ := atRegistration(t, startControl(t, nil), "tskey-once")
	control := startControl(t, func(s *testcontrol.Server) { s.RequireAuthKey = "tskey-other" })
	c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.State = maps.Clone(state)
		start.AuthKey = "tskey-once"
	})
	got := c.hear(isState(func(state map[string]any) bool { return state["status"] == "Failed" }))
	if text := fmt.Sprint(got["reason"]); !strings.Contains(text, "the auth key was refused") || !strings.Contains(text, "invalid authkey; make a new one") {
		t.Errorf("%v", got)
	}
}

func profilesIn(state map[string][]byte) []string {
	var profiles []string
	for key := range state {
		if len(key) > 8 && key[:8] == "profile-" {
			profiles = append(profiles, key)
		}
	}
	return profiles
}

func writeState(t *testing.T, dir string, state map[string][]byte) {
	t.Helper()
	text, err := json.Marshal(state)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tailscaled.state"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryThatIsDamagedIsNotStartedWith(t *testing.T) {
	control := startControl(t, nil)
	for name, text := range map[string]string{
		"half a file": `{"_machinekey":`,
		"nothing":     "",
		"no profile":  `{"_current-profile":"cHJvZmlsZS0xYTJi"}`,
	} {
		c, _ := tellEngine(t, control.HTTPTestServer.URL, func(start *startRequest) {
			if err := os.WriteFile(filepath.Join(start.StateDir, "tailscaled.state"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if got := c.answer(1); got["code"] != "StateDamaged" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if nodes := control.AllNodes(); len(nodes) != 0 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestANodeThatHasJoinedIsGivenNoCredential(t *testing.T) {
	control := startControl(t, nil)
	states, id := firstJoin(t, control)
	for name, change := range map[string]func(*startRequest){
		"a key":                 func(start *startRequest) { start.AuthKey = "tskey-deleted" },
		"a client's secret":     func(start *startRequest) { start.ClientSecret = "tskey-client-x?baseURL=http://127.0.0.1:1" },
		"a workload's identity": func(start *startRequest) { start.ClientID, start.IDToken = "k1", "a.b.c" },
		"no credential":         func(start *startRequest) { start.NoCredential = "cannot read /key (ENOENT)" },
	} {
		var request startRequest
		change(&request)
		server := &tsnet.Server{}
		if madeFrom := credentials(server, &request, true, false); madeFrom != "" || server.AuthKey+server.ClientSecret+server.ClientID+server.IDToken != "" {
			t.Errorf("%s is given to a node that has joined", name)
		}
		c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
			start.State = maps.Clone(states[len(states)-1])
			change(start)
		})
		if ready := c.hear(isState(isReady)); ready["stableNodeId"] != id {
			t.Errorf("%s: %v, not %v", name, ready["stableNodeId"], id)
		}
		c.service.close(0)
	}
}

func TestAResumedFirstJoinIsGivenNoAuthKeyButMakesAnother(t *testing.T) {
	server := &tsnet.Server{}
	request := &startRequest{AuthKey: "tskey-once", ClientSecret: "tskey-client-x", ClientID: "k1", IDToken: "a.b.c"}
	if madeFrom := credentials(server, request, false, true); madeFrom == "" || server.AuthKey != "" {
		t.Errorf("made from %q, auth key %q", madeFrom, server.AuthKey)
	}
	if server.ClientSecret != request.ClientSecret || server.ClientID != request.ClientID || server.IDToken != request.IDToken {
		t.Error("what a fresh key is made from is not given")
	}
}

func TestWithoutACredentialANodeThatHasNotJoinedIsRefused(t *testing.T) {
	c, _ := tellEngine(t, "http://127.0.0.1:1", func(start *startRequest) {
		start.State = map[string][]byte{}
		start.NoCredential = "cannot read /key (ENOENT)"
	})
	if got := c.answer(1); got["code"] != "NoCredential" || got["message"] != "cannot read /key (ENOENT)" {
		t.Errorf("%v", got)
	}
}

func TestANodeWhoseKeyHasExpiredLogsInByItsAuthKey(t *testing.T) {
	control := startControl(t, nil)
	states, _ := firstJoin(t, control)
	expired := control.Node(selfKey(t, control))
	expired.KeyExpiry = time.Now().Add(-time.Minute)
	control.UpdateNode(expired)
	control.RequireAuth = true
	c, _ := startEngineWith(t, control.HTTPTestServer.URL, func(start *startRequest) {
		start.State = maps.Clone(states[len(states)-1])
		start.AuthKey = "tskey-fresh"
	})
	c.hear(func(message map[string]any) bool {
		return message["type"] == "log" && message["message"] == "the control server asks this node to log in again: the auth key is used"
	})
}

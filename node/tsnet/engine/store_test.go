package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tailscale.com/ipn"
)

// written is what a store has sent, one at a time, and what it says is amiss.
type written struct {
	*pipeStore
	saves   chan saveMessage
	changes chan struct{}
}

func storeOf(values map[string][]byte) written {
	w := written{saves: make(chan saveMessage, 16), changes: make(chan struct{}, 16)}
	w.pipeStore = newPipeStore(values, func(message any) { w.saves <- message.(saveMessage) }, func() { w.changes <- struct{}{} })
	return w
}

func (w written) write(key, value string) chan error {
	done := make(chan error, 1)
	go func() { done <- w.WriteState(ipn.StateKey(key), []byte(value)) }()
	return done
}

func TestAWriteIsDoneWhenNodeHasSavedIt(t *testing.T) {
	w := storeOf(map[string][]byte{"a": []byte("1")})
	if value, err := w.ReadState("a"); err != nil || string(value) != "1" {
		t.Errorf("%q, %v", value, err)
	}
	done := w.write("a", "2")
	save := <-w.saves
	if save.Key != "a" || string(save.Value) != "2" {
		t.Errorf("%+v", save)
	}
	select {
	case err := <-done:
		t.Fatalf("done before it was saved: %v", err)
	default:
	}
	w.saved(save.Save, "")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if value, _ := w.ReadState("a"); string(value) != "2" {
		t.Errorf("%q", value)
	}

	removed := make(chan error, 1)
	go func() { removed <- w.WriteState("a", nil) }()
	save = <-w.saves
	if line, _ := encodeLine(save); !strings.Contains(string(line), `"value":null`) {
		t.Errorf("%s", line)
	}
	w.saved(save.Save, "")
	if err := <-removed; err != nil {
		t.Error(err)
	}
	if _, err := w.ReadState("a"); !errors.Is(err, ipn.ErrStateNotExist) {
		t.Error(err)
	}
}

func TestAnEmptyValueIsNoRemoval(t *testing.T) {
	w := storeOf(nil)
	w.write("a", "")
	if line, _ := encodeLine(<-w.saves); !strings.Contains(string(line), `"value":""`) {
		t.Errorf("%s", line)
	}
}

func TestWhatCannotBeSavedIsAnErrorAndAProblemUntilItIs(t *testing.T) {
	w := storeOf(nil)
	done := w.write("_machinekey", "privkey:1")
	first := <-w.saves
	w.saved(first.Save, "the Secret is gone")
	err := <-done
	if err == nil || err.Error() != "_machinekey: the Secret is gone" {
		t.Error(err)
	}
	<-w.changes
	if w.problem() != "the Secret is gone" {
		t.Errorf("%q", w.problem())
	}
	// In force all the same, and the next one does not wait for a Node that is known to fail.
	if value, _ := w.ReadState("_machinekey"); string(value) != "privkey:1" {
		t.Errorf("%q", value)
	}
	if err := <-w.write("b", "2"); err == nil {
		t.Error("written")
	}
	second := <-w.saves
	w.saved(second.Save, "")
	w.saved(first.Save, "")
	if w.problem() != "" {
		t.Errorf("%q", w.problem())
	}
}

func TestANodeThatDoesNotAnswerIsToldOf(t *testing.T) {
	w := storeOf(nil)
	w.saveWithin = time.Millisecond
	err := <-w.write("a", "secret")
	if err == nil || !strings.Contains(err.Error(), "not saved within 1ms") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if w.problem() == "" {
		t.Error("nothing is amiss")
	}
	w.saved((<-w.saves).Save, "")
	if w.problem() != "" {
		t.Errorf("%q", w.problem())
	}
}

func TestNobodyWaitsForANodeThatIsGone(t *testing.T) {
	w := storeOf(nil)
	done := w.write("a", "1")
	<-w.saves
	w.abandon()
	if err := <-done; err == nil {
		t.Error("written")
	}
	if err := <-w.write("b", "1"); err == nil {
		t.Error("written")
	}
}

func TestADamagedStateIsRecognized(t *testing.T) {
	whole := map[string]string{
		"_machinekey":      "privkey:" + strings.Repeat("5a", 32),
		"_current-profile": "profile-1a2b",
		"_profiles":        `{"1a2b":{"ID":"1a2b","Key":"profile-1a2b"}}`,
		"profile-1a2b":     `{"Config":{}}`,
		caFile:             "PEM",
	}
	for _, test := range []struct {
		name   string
		change func(map[string]string)
		fault  string
	}{
		{"whole", func(map[string]string) {}, ""},
		{"empty", func(s map[string]string) { clear(s) }, ""},
		{"before it joined", func(s map[string]string) { delete(s, "_current-profile"); delete(s, "profile-1a2b") }, ""},
		{"no machine key", func(s map[string]string) { delete(s, "_machinekey") }, "_machinekey is no machine key"},
		{"no such key", func(s map[string]string) { s["_machinekey"] = "privkey:1" }, "_machinekey is no machine key"},
		{"a machine key of zeros", func(s map[string]string) { s["_machinekey"] = "privkey:" + strings.Repeat("00", 32) }, "_machinekey is no machine key"},
		{"before the last write of its first join", func(s map[string]string) { delete(s, "_current-profile") }, ""},
		{"several profiles, none current", func(s map[string]string) { delete(s, "_current-profile"); s["profile-3c4d"] = "{}" }, "there are several profiles, but no _current-profile"},
		{"a profile that is not listed", func(s map[string]string) { delete(s, "_current-profile"); delete(s, "_profiles") }, "_profiles does not list profile-1a2b"},
		{"half a profile, none current", func(s map[string]string) { delete(s, "_current-profile"); s["profile-1a2b"] = `{"C` }, "profile-1a2b, the profile in use, cannot be read"},
		{"no profile", func(s map[string]string) { delete(s, "profile-1a2b") }, "profile-1a2b, the profile in use, cannot be read"},
		{"half a profile", func(s map[string]string) { s["profile-1a2b"] = `{"Config":` }, "profile-1a2b, the profile in use, cannot be read"},
		{"no list", func(s map[string]string) { delete(s, "_profiles") }, "_profiles does not list profile-1a2b"},
		{"half a list", func(s map[string]string) { s["_profiles"] = `{"1a2b":` }, "_profiles cannot be read"},
		{"another list", func(s map[string]string) { s["_profiles"] = `{"b":{"Key":"profile-b"}}` }, "_profiles does not list profile-1a2b"},
	} {
		values := map[string]string{}
		for key, value := range whole {
			values[key] = value
		}
		test.change(values)
		state := map[ipn.StateKey][]byte{}
		for key, value := range values {
			state[ipn.StateKey(key)] = []byte(value)
		}
		resumed, err := checkState(state)
		if want := test.name == "before the last write of its first join"; want != (resumed == "profile-1a2b") {
			t.Errorf("%s: resumed with %q", test.name, resumed)
		}
		if (test.fault == "") != (err == nil) || (err != nil && (!strings.HasPrefix(err.Error(), test.fault) || !isDamaged(err))) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

package main

import (
	"errors"
	"testing"

	"tailscale.com/ipn"
	"tailscale.com/ipn/store/mem"
)

type fullStore struct {
	mem.Store
	err error
}

func (s *fullStore) WriteState(key ipn.StateKey, value []byte) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.WriteState(key, value)
}

func TestAFileThatCannotBeWrittenIsAProblemUntilItIs(t *testing.T) {
	disk := &fullStore{}
	changes := 0
	store := &fileStore{StateStore: disk, changed: func() { changes++ }, failed: map[ipn.StateKey]string{}}
	write := func(key ipn.StateKey, err error, problem string) {
		t.Helper()
		disk.err = err
		if got := store.WriteState(key, []byte("1")); got != err {
			t.Errorf("%v, not %v", got, err)
		}
		if got := store.problem(); got != problem {
			t.Errorf("%q, not %q", got, problem)
		}
	}
	full := errors.New("no space left on device")
	write("a", nil, "")
	write("a", full, full.Error())
	write("b", full, full.Error())
	write("b", nil, full.Error())
	write("a", nil, "")
	if changes != 2 {
		t.Errorf("%d changes", changes)
	}
	if value, err := store.ReadState("a"); err != nil || string(value) != "1" {
		t.Errorf("%s, %v", value, err)
	}
}

package main

// Where a node lives: a directory with everything in it, or a state that Node keeps and a directory for what may be lost
// (the client's own logs). Decides by it whether the node has joined before.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tailscale.com/ipn"
	"tailscale.com/ipn/store"
	"tailscale.com/types/key"
	"tailscale.com/types/logger"
)

// caKeeper holds the node's own CA; load fails with fs.ErrNotExist where there is none yet.
type caKeeper interface {
	load() ([]byte, error)
	save(text []byte) error
	String() string // for messages
}

type home struct {
	dir   string
	state ipn.StateStore
	ca    caKeeper
	piped *pipeStore // nil: state is in dir
}

// errDamaged is of a state that must not be started with.
type errDamaged struct{ what string }

func (e errDamaged) Error() string { return e.what }

// openHome hears through changed that its problem is another now; changed must not ask at once.
func openHome(request *startRequest, send func(any), changed func(), log logger.Logf) (*home, error) {
	if err := os.MkdirAll(request.StateDir, 0o700); err != nil {
		return nil, err
	}
	if request.State == nil {
		files, err := store.NewFileStore(log, filepath.Join(request.StateDir, "tailscaled.state"))
		if err != nil {
			return nil, err
		}
		return &home{dir: request.StateDir, state: files, ca: fileCA(filepath.Join(request.StateDir, caFile))}, nil
	}
	pretendKubernetes()
	piped := newPipeStore(request.State, send, changed)
	if err := checkState(piped.values); err != nil {
		return nil, err
	}
	return &home{dir: request.StateDir, state: piped, ca: storedCA{piped}, piped: piped}, nil
}

// pretendKubernetes makes the client keep certificates in the state it was given: elsewhere it keeps them in files.
func pretendKubernetes() {
	os.Setenv("KUBERNETES_SERVICE_HOST", "state-is-kept-by-the-parent")
	os.Setenv("KUBERNETES_SERVICE_PORT", "0")
}

// hasJoined: the client has a profile, and needs no key to start with it.
func (h *home) hasJoined() bool {
	current, err := h.state.ReadState(ipn.CurrentProfileStateKey)
	return err == nil && len(current) > 0
}

// problem is why something of the state is not saved; empty: it is.
func (h *home) problem() string {
	if h.piped == nil {
		return ""
	}
	return h.piped.problem()
}

// abandon is for the end of Node, before the client is closed.
func (h *home) abandon() {
	if h.piped != nil {
		h.piped.abandon()
	}
}

// remove is for the end of Node, which cannot remove behind itself what may be lost.
func (h *home) remove() {
	if h.piped != nil {
		_ = os.RemoveAll(h.dir)
	}
}

// checkState finds what the client would pass over: it takes a profile that it cannot find or read for none, and would join
// as a new machine. What a start left half done is whole as far as it goes.
func checkState(values map[ipn.StateKey][]byte) error {
	current := ipn.StateKey(values[ipn.CurrentProfileStateKey])
	if current == "" {
		for name := range values {
			if strings.HasPrefix(string(name), "profile-") {
				return errDamaged{fmt.Sprintf("there is a %s, but no %s", name, ipn.CurrentProfileStateKey)}
			}
		}
		return nil
	}
	var machine key.MachinePrivate
	if err := machine.UnmarshalText(values[ipn.MachineKeyStateKey]); err != nil || machine.IsZero() {
		return errDamaged{fmt.Sprintf("%s is no machine key", ipn.MachineKeyStateKey)}
	}
	if !json.Valid(values[current]) {
		return errDamaged{fmt.Sprintf("%s, the profile in use, cannot be read", current)}
	}
	var known map[ipn.ProfileID]*ipn.LoginProfile
	if err := json.Unmarshal(values[ipn.KnownProfilesStateKey], &known); err != nil {
		return errDamaged{fmt.Sprintf("%s cannot be read", ipn.KnownProfilesStateKey)}
	}
	for _, profile := range known {
		if profile != nil && profile.Key == current {
			return nil
		}
	}
	return errDamaged{fmt.Sprintf("%s does not list %s, the profile in use", ipn.KnownProfilesStateKey, current)}
}

func isDamaged(err error) bool {
	var damaged errDamaged
	return errors.As(err, &damaged)
}

package main

// Where a node lives: a directory with everything in it, or a state that Node keeps and a directory for what may be lost
// (the client's own logs). Decides by it whether the node has joined before.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	filed *fileStore // nil: Node keeps the state
	// The profile of a first join that was interrupted before its last write; see finish.
	unfinished ipn.StateKey
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
		path := filepath.Join(request.StateDir, "tailscaled.state")
		values, err := readStateFile(path)
		if err != nil {
			return nil, err
		}
		resumed, err := checkState(values)
		if err != nil {
			return nil, err
		}
		files, err := store.NewFileStore(log, path)
		if err != nil {
			return nil, err
		}
		filed := &fileStore{StateStore: files, changed: changed, failed: map[ipn.StateKey]string{}}
		return &home{dir: request.StateDir, state: filed, filed: filed, ca: fileCA(filepath.Join(request.StateDir, caFile)), unfinished: resumed}, nil
	}
	pretendKubernetes()
	piped := newPipeStore(request.State, send, changed)
	resumed, err := checkState(piped.values)
	if err != nil {
		return nil, err
	}
	return &home{dir: request.StateDir, state: piped, ca: storedCA{piped}, piped: piped, unfinished: resumed}, nil
}

// pretendKubernetes makes the client keep certificates in the state it was given: elsewhere it keeps them in files.
func pretendKubernetes() {
	os.Setenv("KUBERNETES_SERVICE_HOST", "state-is-kept-by-the-parent")
	os.Setenv("KUBERNETES_SERVICE_PORT", "0")
}

// problem is why something of the state is not saved; empty: it is.
func (h *home) problem() string {
	if h.piped == nil {
		return h.filed.problem()
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

// readStateFile reads what the client keeps in a file; one that does not exist has no values. The client replaces the file in one step and never
// leaves it empty: an empty one is what a full disk or a crash of the machine leaves of a node that had joined.
func readStateFile(path string) (map[ipn.StateKey][]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, errDamaged{filepath.Base(path) + " is empty"}
	}
	var values map[ipn.StateKey][]byte
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, errDamaged{filepath.Base(path) + " cannot be read"}
	}
	return values, nil
}

// checkState finds what the client would pass over: it takes a profile that it cannot find or read for none, and would join
// as a new machine. The client writes at the end of its first join: the list of profiles, the profile, which of them is in use. A process that
// was killed in between leaves a state without the last, and checkState returns the profile to resume with; or without the last two, and the
// node joins again.
func checkState(values map[ipn.StateKey][]byte) (resumed ipn.StateKey, err error) {
	current := ipn.StateKey(values[ipn.CurrentProfileStateKey])
	known, err := knownProfiles(values)
	if err != nil {
		return "", err
	}
	if current == "" {
		for name := range values {
			if !strings.HasPrefix(string(name), "profile-") {
				continue
			}
			if resumed != "" {
				return "", errDamaged{fmt.Sprintf("there are several profiles, but no %s", ipn.CurrentProfileStateKey)}
			}
			resumed = name
		}
		if resumed == "" {
			return "", nil
		}
		current = resumed
	}
	var machine key.MachinePrivate
	if err := machine.UnmarshalText(values[ipn.MachineKeyStateKey]); err != nil || machine.IsZero() {
		return "", errDamaged{fmt.Sprintf("%s is no machine key", ipn.MachineKeyStateKey)}
	}
	if !json.Valid(values[current]) {
		return "", errDamaged{fmt.Sprintf("%s, the profile in use, cannot be read", current)}
	}
	if !known[current] {
		return "", errDamaged{fmt.Sprintf("%s does not list %s, the profile in use", ipn.KnownProfilesStateKey, current)}
	}
	return resumed, nil
}

// knownProfiles are those that are listed, by where they are kept.
func knownProfiles(values map[ipn.StateKey][]byte) (map[ipn.StateKey]bool, error) {
	text, ok := values[ipn.KnownProfilesStateKey]
	if !ok {
		return nil, nil
	}
	var listed map[ipn.ProfileID]*ipn.LoginProfile
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, errDamaged{fmt.Sprintf("%s cannot be read", ipn.KnownProfilesStateKey)}
	}
	known := map[ipn.StateKey]bool{}
	for _, profile := range listed {
		if profile != nil {
			known[profile.Key] = true
		}
	}
	return known, nil
}

// finish makes the last write of a first join that was interrupted before it. Node must be able to answer by then.
func (h *home) finish() error {
	if h.unfinished == "" {
		return nil
	}
	return h.state.WriteState(ipn.CurrentProfileStateKey, []byte(h.unfinished))
}

func isDamaged(err error) bool {
	var damaged errDamaged
	return errors.As(err, &damaged)
}

package main

// State that Node keeps: the client's keys and certificates and the node's own CA, given whole by `start`; each change is
// told by `save`, and counts as written once Node says that it is saved. One that is not saved in time, or not at all, is
// an error to whoever wrote it and stays in the node's health until it is; it is in force all the same, because the client
// does not undo what it has done. Nothing here ever shows a value.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"tailscale.com/ipn"
)

// saveWithin is how long a write waits for Node. The client holds a lock meanwhile, and answers nothing.
const saveWithin = 5 * time.Second

type pipeStore struct {
	send       func(message any)
	changed    func() // problem() is another now; called under the lock
	saveWithin time.Duration

	mu        sync.Mutex
	values    map[ipn.StateKey][]byte
	last      uint32
	open      map[uint32]*openSave // those that Node has not saved yet
	reported  string
	abandoned bool
}

type openSave struct {
	key     ipn.StateKey
	problem string
	heard   chan struct{} // closed at the first word of Node's
}

func newPipeStore(values map[string][]byte, send func(any), changed func()) *pipeStore {
	s := &pipeStore{send: send, changed: changed, saveWithin: saveWithin,
		values: make(map[ipn.StateKey][]byte, len(values)), open: map[uint32]*openSave{}}
	for key, value := range values {
		s.values[ipn.StateKey(key)] = value
	}
	return s
}

func (s *pipeStore) ReadState(key ipn.StateKey) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[key]
	if !ok {
		return nil, ipn.ErrStateNotExist
	}
	return bytes.Clone(value), nil
}

func (s *pipeStore) WriteState(key ipn.StateKey, value []byte) error {
	s.mu.Lock()
	if value == nil {
		delete(s.values, key)
	} else {
		s.values[key] = bytes.Clone(value)
	}
	if s.abandoned {
		s.mu.Unlock()
		return errAbandoned
	}
	// A Node that is late once is not waited for again, so that one lock is never held for many times as long.
	patience := s.saveWithin
	if s.reported != "" {
		patience = 0
	}
	s.last++
	number := s.last
	save := &openSave{key: key, heard: make(chan struct{})}
	s.open[number] = save
	// Under the lock, so that changes of a key leave in their order.
	s.send(saveMessage{Type: "save", Save: number, Key: string(key), Value: value})
	s.mu.Unlock()

	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-save.heard:
	case <-late.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[number] == nil {
		return nil
	}
	if s.abandoned {
		return errAbandoned
	}
	if save.problem == "" {
		save.problem = fmt.Sprintf("not saved within %v", s.saveWithin)
	}
	s.reportLocked()
	return fmt.Errorf("%s: %s", key, save.problem)
}

var errAbandoned = errors.New("nobody is left to save it")

// saved is Node's word on a save.
func (s *pipeStore) saved(number uint32, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	save := s.open[number]
	if save == nil {
		return
	}
	save.problem = problem
	if problem == "" {
		delete(s.open, number)
	}
	select {
	case <-save.heard:
	default:
		close(save.heard)
	}
	s.reportLocked()
}

// reportLocked tells of one problem at a time, the oldest. A save that Node is still busy with is none.
func (s *pipeStore) reportLocked() {
	problem := ""
	oldest := s.last + 1
	for number, save := range s.open {
		if save.problem != "" && number < oldest {
			oldest, problem = number, save.problem
		}
	}
	if problem != s.reported {
		s.reported = problem
		s.changed()
	}
}

// problem is why something is not saved; empty: nothing is amiss.
func (s *pipeStore) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reported
}

// abandon is for the end of Node: whoever waits stops waiting.
func (s *pipeStore) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	for _, save := range s.open {
		select {
		case <-save.heard:
		default:
			close(save.heard)
		}
	}
}

// storedCA is where a node without a directory has its own CA.
type storedCA struct{ store ipn.StateStore }

func (c storedCA) load() ([]byte, error) {
	text, err := c.store.ReadState(caFile)
	if errors.Is(err, ipn.ErrStateNotExist) {
		return nil, fs.ErrNotExist
	}
	return text, err
}

func (c storedCA) save(text []byte) error { return c.store.WriteState(caFile, text) }

func (c storedCA) String() string { return caFile + " of the node's state" }

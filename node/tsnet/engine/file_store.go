package main

// State in files, where a write that failed is remembered until the same key is written: a full disk or a directory that is read-only now would
// else show at the next start.

import (
	"slices"
	"sync"

	"tailscale.com/ipn"
)

type fileStore struct {
	ipn.StateStore
	changed func() // problem() is another now; called under the lock

	mu     sync.Mutex
	failed map[ipn.StateKey]string
}

func (s *fileStore) WriteState(key ipn.StateKey, value []byte) error {
	err := s.StateStore.WriteState(key, value)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.problemLocked()
	if err == nil {
		delete(s.failed, key)
	} else {
		s.failed[key] = err.Error()
	}
	if s.problemLocked() != before {
		s.changed()
	}
	return err
}

// problem is why something is not saved; empty: everything is.
func (s *fileStore) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problemLocked()
}

func (s *fileStore) problemLocked() string {
	var keys []ipn.StateKey
	for key := range s.failed {
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return ""
	}
	return s.failed[slices.Min(keys)]
}

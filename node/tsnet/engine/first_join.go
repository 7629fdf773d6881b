package main

// A first join survives its process. Tailscale's client makes the node's keys, registers them, and saves them once the control server has answered:
// killed in between, it would have used up an auth key for a machine whose keys are lost. So the keys are saved before the client starts, in a
// profile without a node ID; the client registers the node key of such a profile as that of a node that has logged in before. Its ID is in the
// profile once the control server has answered. A first join that was interrupted asks the control server without the auth key whether it knows
// the node, and uses the key only where it does not.

import (
	"encoding/json"

	"tailscale.com/ipn"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
	"tailscale.com/types/persist"
)

const preparedProfile = "tka0"

// prepare saves the keys that the node will have. What is there of an earlier attempt was never registered, except the machine key, which stays.
func (h *home) prepare(request *startRequest) error {
	if _, err := h.state.ReadState(ipn.MachineKeyStateKey); err != nil {
		machine, err := key.NewMachine().MarshalText()
		if err != nil {
			return err
		}
		if err := h.state.WriteState(ipn.MachineKeyStateKey, machine); err != nil {
			return err
		}
	}
	const name = ipn.StateKey("profile-" + preparedProfile)
	profiles, err := json.Marshal(map[ipn.ProfileID]*ipn.LoginProfile{
		preparedProfile: {ID: preparedProfile, Key: name, ControlURL: request.ControlURL},
	})
	if err != nil {
		return err
	}
	prefs := ipn.NewPrefs()
	prefs.Hostname, prefs.ControlURL, prefs.WantRunning = request.Hostname, request.ControlURL, true
	prefs.Persist = &persist.Persist{PrivateNodeKey: key.NewNode(), NetworkLockKey: key.NewNLPrivate()}
	for _, write := range []struct {
		key   ipn.StateKey
		value []byte
	}{{ipn.KnownProfilesStateKey, profiles}, {name, prefs.ToBytes()}, {ipn.CurrentProfileStateKey, []byte(name)}} {
		if err := h.state.WriteState(write.key, write.value); err != nil {
			return err
		}
	}
	return nil
}

// hasJoined: the client has a profile, and needs no key to start with it.
func (h *home) hasJoined() bool {
	current, err := h.state.ReadState(ipn.CurrentProfileStateKey)
	return err == nil && len(current) > 0 && !h.isPrepared()
}

// isPrepared: the node's keys are saved, and the control server may know the node already, but its answer is not saved.
func (h *home) isPrepared() bool {
	current, err := h.state.ReadState(ipn.CurrentProfileStateKey)
	if err != nil || len(current) == 0 {
		return false
	}
	text, err := h.state.ReadState(ipn.StateKey(current))
	if err != nil {
		return false
	}
	var profile struct {
		Config struct {
			PrivateNodeKey key.NodePrivate
			NodeID         tailcfg.StableNodeID
		}
	}
	if err := json.Unmarshal(text, &profile); err != nil {
		return false
	}
	return profile.Config.NodeID == "" && !profile.Config.PrivateNodeKey.IsZero()
}

// mayJoin: there is something to join by without a person.
func (r *startRequest) mayJoin() bool {
	return r.AuthKey != "" || r.ClientSecret != "" || r.ClientID != ""
}

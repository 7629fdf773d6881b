package main

// How a node that has not joined yet gets in: by an auth key, or by what Tailscale's API makes one from for it, an OAuth
// client's secret or the identity of a workload. Keys are made for a first join alone: each is another credential in the
// tailnet's list, and a node that has joined must start without that API. An auth key is not shown to the control server again either, which
// refuses one that was used up or deleted; it serves once more when the node's own key has expired.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "tailscale.com/feature/identityfederation"
	"tailscale.com/ipn"
	"tailscale.com/tsnet"
)

// How long the API may take to make an auth key. The client itself would wait for ever.
const keyWithin = 30 * time.Second

// credentials gives server what it needs to join, and returns how that is called in messages. A first join that is resumed begins without its auth
// key, which may have been used up by it; keys that are made here are fresh.
func credentials(server *tsnet.Server, request *startRequest, hasJoined, isResumed bool) string {
	if hasJoined {
		return ""
	}
	if !isResumed {
		server.AuthKey = request.AuthKey
	}
	server.ClientSecret = request.ClientSecret
	server.ClientID = request.ClientID
	server.IDToken = request.IDToken
	switch {
	case request.ClientSecret != "":
		return "the OAuth client secret"
	case request.ClientID != "":
		return "the workload identity"
	default:
		return ""
	}
}

// loginAgain is for a node that must log in again: with key, or where that is empty by a person.
func (t *tailnet) loginAgain(ctx context.Context, key string) {
	if key != "" {
		if t.home.isPrepared() {
			t.log(logInfo, "the control server does not know this node yet: the auth key is used")
		} else {
			t.log(logInfo, "the control server asks this node to log in again: the auth key is used")
		}
		if err := t.local.Start(ctx, ipn.Options{AuthKey: key}); err != nil {
			t.log(logWarn, fmt.Sprintf("a new login with the auth key failed: %v", err))
		}
	}
	if t.home.isPrepared() {
		return // An interactive login would register another node key than the one that is saved.
	}
	if err := t.local.StartLoginInteractive(ctx); err != nil {
		t.log(logWarn, fmt.Sprintf("asking for a new login failed: %v", err))
	}
}

// startClient starts server. An error is about what the key was to be made from, if there is such.
func startClient(ctx context.Context, server *tsnet.Server, madeFrom string) error {
	if madeFrom == "" {
		return server.Start()
	}
	started := make(chan error, 1)
	go func() { started <- server.Start() }()
	ctx, cancel := context.WithTimeout(ctx, keyWithin)
	defer cancel()
	select {
	case err := <-started:
		if err != nil && strings.Contains(err.Error(), "resolving auth key") {
			return fmt.Errorf("no auth key was made from %s for the tags %s: %s", madeFrom, strings.Join(server.AdvertiseTags, ", "), brief(err.Error()))
		}
		return err
	case <-ctx.Done():
		return errors.New("no auth key was made from " + madeFrom + ": Tailscale's API does not answer")
	}
}

package main

// How a node that has not joined yet gets in: by an auth key, or by what Tailscale's API makes one from for it, an OAuth
// client's secret or the identity of a workload. Keys are made for a first join alone: each is another credential in the
// tailnet's list, and a node that has joined must start without that API.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "tailscale.com/feature/identityfederation"
	"tailscale.com/tsnet"
)

// How long the API may take to make an auth key. The client itself would wait for ever.
const keyWithin = 30 * time.Second

// credentials gives server what it needs to join, and returns how that is called in messages.
func credentials(server *tsnet.Server, request *startRequest, hasJoined bool) string {
	server.AuthKey = request.AuthKey
	if hasJoined {
		return ""
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

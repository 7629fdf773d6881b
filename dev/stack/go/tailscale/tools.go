//go:build tools

// Package tailscale pins the client that plays a user's machine in the development stack.
package tailscale

import (
	_ "tailscale.com/cmd/tailscale"
	_ "tailscale.com/cmd/tailscaled"
)

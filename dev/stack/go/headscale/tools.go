//go:build tools

// Package headscale pins the control server that the development stack runs.
package headscale

import _ "github.com/juanfont/headscale/cmd/headscale"

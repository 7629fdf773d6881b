//go:build tools

// Package helm pins the program that installs tka's chart.
package helm

import _ "helm.sh/helm/v4/cmd/helm"

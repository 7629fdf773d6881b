package main

// Which requests are put to Node.js. The path is compared as it was written: whatever has another reading (encoded, `//`, `..`) is
// Node.js's to refuse, and is handed over where it does not match as written.

import (
	"net/http"
	"slices"
	"strings"
)

func (m requestMatch) matches(r *http.Request) bool {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	isAtOrBelow := func(parent string) bool {
		below, found := strings.CutPrefix(path, parent)
		return found && (below == "" || below[0] == '/')
	}
	if slices.ContainsFunc(m.Paths, isAtOrBelow) && !slices.ContainsFunc(m.ExceptPaths, isAtOrBelow) {
		return true
	}
	return slices.ContainsFunc(r.Header["Authorization"], m.isBearer)
}

func (m requestMatch) isBearer(value string) bool {
	const scheme = "bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return false
	}
	spaced := value[len(scheme):]
	token := strings.TrimLeft(spaced, " \t")
	return len(token) < len(spaced) && strings.HasPrefix(token, m.BearerPrefix)
}

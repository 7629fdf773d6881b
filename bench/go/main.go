// Command proxybench has what the proxy is measured against, and the client that measures: a plain reverse proxy on a tsnet
// listener, Tailscale's own API server proxy, a static server, and a load generator that is a tailnet node of its own.
//
// Each subcommand reads one JSON object of settings from stdin, says on stdout when it is ready, and ends with its stdin.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"tailscale.com/tsnet"
)

// settings are those of every subcommand; each uses its own part.
type settings struct {
	Hostname   string `json:"hostname"`
	StateDir   string `json:"stateDir"`
	ControlURL string `json:"controlUrl"`
	AuthKey    string `json:"authKey"`

	Server     string `json:"server"`     // the API server's URL
	CAFile     string `json:"caFile"`     // its CA
	Token      string `json:"token"`      // what a reverse proxy presents there
	Kubeconfig string `json:"kubeconfig"` // with the right to impersonate
	Caller     string `json:"caller"`     // the login name that is let through
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: proxybench load|reverse|peer|static"))
	}
	stdin := bufio.NewReaderSize(os.Stdin, 1<<20)
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		fail(err)
	}
	var s settings
	if err := json.Unmarshal(line, &s); err != nil {
		fail(err)
	}
	run := map[string]func(settings, io.Reader) error{
		"load":    runLoad,
		"reverse": runReverse,
		"peer":    runPeer,
		"static":  runStatic,
	}[os.Args[1]]
	if run == nil {
		fail(fmt.Errorf("no subcommand %q", os.Args[1]))
	}
	if err := run(s, stdin); err != nil {
		fail(err)
	}
}

func join(s settings) (*tsnet.Server, error) {
	server := &tsnet.Server{
		Hostname:   s.Hostname,
		Dir:        s.StateDir,
		ControlURL: s.ControlURL,
		AuthKey:    s.AuthKey,
		Logf:       func(string, ...any) {},
		UserLogf:   func(string, ...any) {},
	}
	return server, server.Start()
}

func say(message any) {
	if err := json.NewEncoder(os.Stdout).Encode(message); err != nil {
		fail(err)
	}
}

// untilEnd returns when stdin has ended.
func untilEnd(stdin io.Reader) error {
	_, err := io.Copy(io.Discard, stdin)
	return err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "proxybench:", err)
	os.Exit(1)
}

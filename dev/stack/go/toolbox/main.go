// Toolbox is everything in the image of the stack's pods: one static binary that is each of its tools by the name it is
// called by.
//
//	toolbox image FILE PAUSE TOOLBOX   writes an archive of images that contain itself, for containerd to import
//
// The first is the image of the process that holds a pod's namespaces, the second has the tools on its PATH and serves
// HTTP unless told otherwise.
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/interp"
)

type tool func(args []string) error

var tools map[string]tool

func init() {
	tools = map[string]tool{
		"bytes": writeBytes,
		"cat":   cat,
		"env":   env,
		"get":   get,
		"id":    id,
		"ls":    ls,
		"pause": pause,
		"serve": serve,
		"sh":    shell,
		"sleep": sleep,
		"stty":  stty,
		"tar":   archive,
		"tick":  tick,
	}
	for _, name := range []string{"[", "echo", "false", "printf", "pwd", "test", "true"} {
		tools[name] = func(args []string) error { return builtin(name, args) }
	}
}

func toolNames() []string { return slices.Sorted(maps.Keys(tools)) }

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if name == "toolbox" && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	run, ok := tools[name]
	if name == "image" {
		run, ok = writeImages, true
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "toolbox: no tool named %q\n", name)
		os.Exit(127)
	}
	err := run(args)
	var status interp.ExitStatus
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// pause waits for a signal to end, and buries whoever dies in the pod meanwhile.
func pause([]string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			break
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
	}
	return nil
}

// tick [INTERVAL [COUNT]] writes a numbered line each interval, by default a second.
func tick(args []string) error {
	interval, count := time.Second, -1
	var err error
	if len(args) > 0 {
		if interval, err = time.ParseDuration(args[0]); err != nil {
			return err
		}
	}
	if len(args) > 1 {
		if count, err = strconv.Atoi(args[1]); err != nil {
			return err
		}
	}
	for n := 1; n != count+1; n++ {
		fmt.Printf("tick %d\n", n)
		time.Sleep(interval)
	}
	return nil
}

// bytes COUNT writes as many, the same each time.
func writeBytes(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: bytes COUNT")
	}
	count, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	_, err = io.CopyN(os.Stdout, &pattern{}, count)
	return err
}

// pattern is lines of 64 bytes without an end, each with its number.
type pattern struct {
	line int
	rest []byte
}

func (p *pattern) Read(into []byte) (int, error) {
	total := 0
	for total < len(into) {
		if len(p.rest) == 0 {
			p.rest = fmt.Appendf(nil, "%063d\n", p.line)
			p.line++
		}
		n := copy(into[total:], p.rest)
		p.rest = p.rest[n:]
		total += n
	}
	return total, nil
}

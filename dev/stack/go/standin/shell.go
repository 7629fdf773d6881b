package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"k8s.io/utils/exec"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// stdio is what a command reads and writes; nil is nothing.
type stdio struct {
	in            io.Reader
	out, problems io.Writer
}

// runCommand is `sh -c SCRIPT`, or one of the shell's own commands with its arguments. A command that fails is an
// exec.CodeExitError, as the code that serves an exec wants it.
func runCommand(ctx context.Context, command []string, to stdio) error {
	script, err := scriptOf(command)
	if err != nil {
		return err
	}
	program, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return err
	}
	runner, err := interp.New(
		interp.StdIO(to.in, to.out, to.problems),
		interp.Env(expand.ListEnviron()),
		// The next handler, which would start a program, is never called.
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return runTool }),
		interp.OpenHandler(func(_ context.Context, path string, _ int, _ os.FileMode) (io.ReadWriteCloser, error) {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
		}),
	)
	if err != nil {
		return err
	}
	err = runner.Run(ctx, program)
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return exec.CodeExitError{Err: err, Code: int(status)}
	}
	return err
}

func scriptOf(command []string) (string, error) {
	if len(command) == 3 && command[0] == "sh" && command[1] == "-c" {
		return command[2], nil
	}
	words := make([]string, len(command))
	for i, word := range command {
		quoted, err := syntax.Quote(word, syntax.LangBash)
		if err != nil {
			return "", err
		}
		words[i] = quoted
	}
	return strings.Join(words, " "), nil
}

func runTool(ctx context.Context, args []string) error {
	to := interp.HandlerCtx(ctx)
	switch args[0] {
	case "cat":
		_, err := io.Copy(to.Stdout, to.Stdin)
		return err
	case "count":
		count, err := io.Copy(io.Discard, to.Stdin)
		fmt.Fprintln(to.Stdout, count)
		return err
	case "bytes":
		return writeBytes(to.Stdout, args[1:])
	}
	fmt.Fprintf(to.Stderr, "%s: not found\n", args[0])
	return interp.ExitStatus(127)
}

// writeBytes COUNT writes lines of 64 bytes, each its number, and no more than as many bytes.
func writeBytes(to io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: bytes COUNT")
	}
	left, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	const lines = 512
	var chunk []byte
	for first := 0; left > 0; first += lines {
		chunk = chunk[:0]
		for line := first; line < first+lines; line++ {
			chunk = fmt.Appendf(chunk, "%063d\n", line)
		}
		chunk = chunk[:min(left, len(chunk))]
		if _, err := to.Write(chunk); err != nil {
			return err
		}
		left -= len(chunk)
	}
	return nil
}

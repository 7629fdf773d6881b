package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// shell is `sh [-i]`, `sh -c SCRIPT [NAME ARG...]` or `sh FILE`.
func shell(args []string) error {
	runner, err := interp.New(interp.StdIO(os.Stdin, os.Stdout, os.Stderr))
	if err != nil {
		return err
	}
	parser := syntax.NewParser()
	if len(args) >= 2 && args[0] == "-c" {
		if len(args) > 3 {
			runner.Params = args[3:]
		}
		return runScript(runner, parser, args[1])
	}
	if len(args) == 1 && args[0] != "-i" {
		script, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		return runScript(runner, parser, string(script))
	}
	return interactive(runner, parser)
}

func runScript(runner *interp.Runner, parser *syntax.Parser, script string) error {
	program, err := parser.Parse(strings.NewReader(script), "")
	if err != nil {
		return err
	}
	return runner.Run(context.Background(), program)
}

func interactive(runner *interp.Runner, parser *syntax.Parser) error {
	prompt := ""
	if _, err := windowSize(); err == nil {
		prompt = "$ "
	}
	fmt.Print(prompt)
	var last error
	err := parser.Interactive(os.Stdin, func(statements []*syntax.Stmt) bool {
		if parser.Incomplete() {
			return true
		}
		for _, statement := range statements {
			last = runner.Run(context.Background(), statement)
			if runner.Exited() {
				return false
			}
		}
		fmt.Print(prompt)
		return true
	})
	return errors.Join(err, last)
}

// builtin runs one of the shell's own commands.
func builtin(name string, args []string) error {
	runner, err := interp.New(interp.StdIO(os.Stdin, os.Stdout, os.Stderr), interp.Params(append([]string{"--"}, args...)...))
	if err != nil {
		return err
	}
	if name == "[" && len(args) > 0 && args[len(args)-1] == "]" {
		runner.Params, name = args[:len(args)-1], "test"
	}
	return runScript(runner, syntax.NewParser(), name+` "$@"`)
}

// env [NAME=VALUE...] [COMMAND ARG...]
func env(args []string) error {
	for len(args) > 0 && strings.Contains(args[0], "=") {
		name, value, _ := strings.Cut(args[0], "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
		args = args[1:]
	}
	if len(args) > 0 {
		return syscall.Exec("/bin/"+args[0], args, os.Environ())
	}
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
	return nil
}

func id([]string) error {
	fmt.Printf("uid=%d gid=%d\n", os.Getuid(), os.Getgid())
	return nil
}

// sleep takes seconds, or a duration as Go writes it, or nothing for as long as it may run.
func sleep(args []string) error {
	if len(args) == 0 || args[0] == "infinity" {
		select {}
	}
	duration, err := time.ParseDuration(args[0])
	if err != nil {
		if duration, err = time.ParseDuration(args[0] + "s"); err != nil {
			return err
		}
	}
	time.Sleep(duration)
	return nil
}

// stty says the size of the terminal, rows first, whatever it is asked.
func stty([]string) error {
	size, err := windowSize()
	if err != nil {
		return err
	}
	fmt.Printf("%d %d\n", size[0], size[1])
	return nil
}

func windowSize() ([4]uint16, error) {
	var size [4]uint16
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return size, fmt.Errorf("standard input is no terminal: %w", errno)
	}
	return size, nil
}

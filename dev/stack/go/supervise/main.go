// Supervise ties what it does to the life of the process that started it: its standard input is a pipe whose other
// end only that process holds, so end of file means that the process is gone, however it ended.
//
//	supervise run [-share FILE] [-input] -- COMMAND [ARG...]
//	    runs the command in a process group of its own. Writes its process ID and a newline to file descriptor 3. Ends as
//	    the command ends (128+N after signal N). End of input kills the whole group. -share: holds a shared lock on the
//	    file until the group is dead. -input: file descriptor 4 is the command's standard input.
//	supervise lock FILE
//	    waits for the file's lock, writes "locked" and a newline, and holds it until the end of input.
//	supervise remove DIR
//	    at the end of input, removes the directory once nobody shares the lock of DIR/alive any more.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// The kernel's parent-death signal follows the thread that started the child: the main goroutine keeps the main
// thread, which lives as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	// A terminal's Ctrl-C or hangup is for the process that holds the pipe to act upon.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	code, err := dispatch(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervise:", err)
	}
	os.Exit(code)
}

func dispatch(args []string) (int, error) {
	if len(args) >= 2 {
		switch args[0] {
		case "run":
			return run(args[1:])
		case "lock":
			return lock(args[1])
		case "remove":
			return remove(args[1])
		}
	}
	return 2, errors.New("usage: supervise run [-share FILE] [-input] -- COMMAND [ARG...] | lock FILE | remove DIR")
}

func run(args []string) (int, error) {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	share := flags.String("share", "", "")
	input := flags.Bool("input", false, "")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	if flags.NArg() == 0 {
		return 2, errors.New("run: no command after --")
	}
	if *share != "" {
		file, err := flock(*share, syscall.LOCK_SH)
		if err != nil {
			return 126, err
		}
		// Never closed: the lock goes with this process, after the group's last member.
		defer runtime.KeepAlive(file)
	}
	// What we were given by number would otherwise be open in the command too, and its readers never see the end.
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	adoptOrphans()
	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	if *input {
		stdin := os.NewFile(4, "input")
		defer stdin.Close()
		command.Stdin = stdin
	}
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = childAttributes()
	if err := command.Start(); err != nil {
		return 127, err
	}
	group := command.Process.Pid
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}()
	report := os.NewFile(3, "pid")
	_, _ = fmt.Fprintln(report, group)
	_ = report.Close()

	err := command.Wait()
	killGroup(group)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return failed.ExitCode(), nil
	}
	if err != nil {
		return 126, err
	}
	return 0, nil
}

// killGroup returns when no member of the group is left that could still write anywhere.
func killGroup(group int) {
	for range 200 {
		if syscall.Kill(-group, syscall.SIGKILL) != nil {
			return
		}
		// Those whose parent is gone are ours to bury, where the system lets us: until then they count as members.
		for {
			if buried, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil); err != nil || buried <= 0 {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func lock(path string) (int, error) {
	file, err := flock(path, syscall.LOCK_EX)
	if err != nil {
		return 1, err
	}
	defer runtime.KeepAlive(file)
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0, nil
}

func remove(dir string) (int, error) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	file, err := flock(filepath.Join(dir, "alive"), syscall.LOCK_EX)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 1, err
	}
	defer runtime.KeepAlive(file)
	if err := os.RemoveAll(dir); err != nil {
		return 1, err
	}
	return 0, nil
}

func flock(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

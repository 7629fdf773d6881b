package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// machine is what hold was asked for; init reads it as JSON.
type machine struct {
	Name string `json:"name"`
	// With the length of their network's prefix.
	Host string `json:"host"`
	Node string `json:"node"`
	Pods string `json:"pods"`
}

func hold(args []string) (err error) {
	var asked machine
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	flags.StringVar(&asked.Name, "name", "", "")
	flags.StringVar(&asked.Host, "host", "", "")
	flags.StringVar(&asked.Node, "node", "", "")
	flags.StringVar(&asked.Pods, "pods", "", "")
	share := flags.String("share", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *share != "" {
		file, err := os.Open(*share)
		if err != nil {
			return err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_SH); err != nil {
			return fmt.Errorf("lock %s: %w", *share, err)
		}
		// Never closed: the lock goes with this process.
		defer runtime.KeepAlive(file)
	}
	// A terminal's Ctrl-C or hangup is for the process at the other end of our input to act upon.
	signal.Ignore(unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	ended := make(chan struct{}, 3)
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); ended <- struct{}{} }()
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, unix.SIGTERM)
	go func() { <-terminated; ended <- struct{}{} }()

	first, err := startFirst()
	if err != nil {
		return err
	}
	go func() { _ = first.command.Wait(); close(first.dead); ended <- struct{}{} }()
	// From here on all of it is undone, in the order in which a successor can take the name: the interface last.
	defer func() {
		_ = first.command.Process.Kill()
		<-first.dead
	}()
	link, err := connect(asked, first.command.Process.Pid)
	if err != nil {
		return err
	}
	defer func() {
		_ = first.command.Process.Kill()
		<-first.dead
		// The kernel takes it away with the other end's namespace, but later.
		err = errors.Join(err, removeCgroups(asked.Name), removeLink(link))
	}()
	if err := makeCgroups(asked.Name); err != nil {
		return err
	}
	if err := first.configure(asked); err != nil {
		return err
	}
	if _, err := fmt.Printf("{\"pid\":%d}\n", first.command.Process.Pid); err != nil {
		return err
	}
	<-ended
	return nil
}

type firstProcess struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     io.Reader
	dead    chan struct{}
}

func startFirst() (firstProcess, error) {
	command := exec.Command("/proc/self/exe", "init")
	command.Stderr = os.Stderr
	command.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true,
		Pdeathsig:  unix.SIGKILL,
	}
	in, err := command.StdinPipe()
	if err != nil {
		return firstProcess{}, err
	}
	// Not StdoutPipe, which Wait closes.
	out, theirs, err := os.Pipe()
	if err != nil {
		return firstProcess{}, err
	}
	command.Stdout = theirs
	if err := command.Start(); err != nil {
		return firstProcess{}, fmt.Errorf("make namespaces: %w", err)
	}
	_ = theirs.Close()
	return firstProcess{command, in, out, make(chan struct{})}, nil
}

// configure resolves when the machine is what was asked for.
func (f firstProcess) configure(asked machine) error {
	if err := json.NewEncoder(f.in).Encode(asked); err != nil {
		return err
	}
	_ = f.in.Close()
	if line, err := bufio.NewReader(f.out).ReadString('\n'); line != "ready\n" {
		return fmt.Errorf("the first process of %s ended: %w", asked.Name, err)
	}
	return nil
}

// connect makes the interface, which by its name claims the machine's addresses.
func connect(asked machine, pid int) (netlink.Link, error) {
	host, err := netlink.ParseAddr(asked.Host)
	if err != nil {
		return nil, err
	}
	node, err := netlink.ParseAddr(asked.Node)
	if err != nil {
		return nil, err
	}
	_, pods, err := net.ParseCIDR(asked.Pods)
	if err != nil {
		return nil, err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = asked.Name
	link := &netlink.Veth{LinkAttrs: attributes, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(link); errors.Is(err, unix.EEXIST) {
		return nil, errTaken
	} else if err != nil {
		return nil, fmt.Errorf("make interface %s: %w", asked.Name, err)
	}
	for _, step := range []func() error{
		func() error { return netlink.AddrAdd(link, host) },
		func() error { return netlink.LinkSetUp(link) },
		func() error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: pods, Gw: node.IP})
		},
	} {
		if err := step(); err != nil {
			return nil, errors.Join(fmt.Errorf("set up interface %s: %w", asked.Name, err), removeLink(link))
		}
	}
	return link, nil
}

func removeLink(link netlink.Link) error {
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", link.Attrs().Name, err)
	}
	return nil
}

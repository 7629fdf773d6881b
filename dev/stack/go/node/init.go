package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// initialize is the machine's first process: it makes the file systems and the network as a node wants them, says
// "ready", and then buries those whose parents are gone until it is killed, which ends everything in the machine.
func initialize() error {
	var asked machine
	// Its interface is there when this arrives.
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	for _, step := range []func() error{
		mountAll,
		func() error { return unix.Sethostname([]byte(asked.Name)) },
		func() error { return setUpNetwork(asked) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 2 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	bury()
	return nil
}

func mountAll() error {
	// Nothing mounted in here shows outside; in here, what is mounted for a pod shows in its containers.
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("set mount propagation: %w", err)
		}
	}
	if err := mount("proc", "/proc", "proc", ""); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", "mode=755"); err != nil {
		return err
	}
	// The kubelet and the network plugins have fixed places in these.
	for _, dir := range []string{"/var/lib", "/var/log"} {
		if err := copyOnWrite(dir); err != nil {
			return err
		}
	}
	return shieldSettings()
}

func mount(source, target, kind, options string) error {
	if err := unix.Mount(source, target, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	return nil
}

// copyOnWrite keeps what is written to the directory in memory.
func copyOnWrite(dir string) error {
	private := filepath.Join("/run/private", dir)
	upper, work := filepath.Join(private, "upper"), filepath.Join(private, "work")
	for _, made := range []string{upper, work} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return err
		}
	}
	return mount("overlay", dir, "overlay", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
}

// The kubelet sets these for the whole kernel; it gets plain files instead, so that the host keeps its own.
var settings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

func shieldSettings() error {
	for name, value := range settings {
		file := filepath.Join("/run/private/sysctl", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		target := filepath.Join("/proc/sys", name)
		if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("shield %s: %w", target, err)
		}
	}
	return nil
}

func setUpNetwork(asked machine) error {
	host, err := netlink.ParseAddr(asked.Host)
	if err != nil {
		return err
	}
	node, err := netlink.ParseAddr(asked.Node)
	if err != nil {
		return err
	}
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		if name == "eth0" {
			if err := netlink.AddrAdd(link, node); err != nil {
				return err
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	if err := netlink.RouteAdd(&netlink.Route{Gw: host.IP}); err != nil {
		return fmt.Errorf("route to the host: %w", err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(strconv.Itoa(1)), 0o644)
}

func bury() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	for range died {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
	}
}

// Node is the machine that a stack's node runs on: namespaces, a network interface and cgroups of its own.
//
//	node hold -name NAME -host ADDRESS/BITS -node ADDRESS/BITS -pods SUBNET [-share FILE]
//	    makes the machine NAME: its process namespace, whose first process it names in a line of JSON on standard output
//	    when all is made; the network interface NAME here, with the host's address, whose other end is eth0 there, with
//	    the node's; a route to the pods through it; a cgroup NAME in each hierarchy. Exit code 17: there is an interface
//	    of that name already, so take another. At the end of input, or when the first process ends, it undoes all of it:
//	    kills what runs there, then removes cgroups and interface. -share: holds a shared lock on the file until then.
//	node forward LISTEN TARGET
//	    passes TCP connections on, until it is killed.
//
// What runs in the machine enters it from outside (nsenter).
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// The kernel's parent-death signal follows the thread that started the child: the main goroutine keeps the main
// thread, which lives as long as the process.
func init() { runtime.LockOSThread() }

const exitTaken = 17

var errTaken = errors.New("the name is taken")

func main() {
	err := dispatch(os.Args[1:])
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "node:", err)
	if errors.Is(err, errTaken) {
		os.Exit(exitTaken)
	}
	os.Exit(1)
}

func dispatch(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "hold":
			return hold(args[1:])
		case "init": // by hold alone
			return initialize()
		case "forward":
			if len(args) == 3 {
				return forward(args[1], args[2])
			}
		}
	}
	return errors.New("usage: node hold FLAGS | forward LISTEN TARGET")
}

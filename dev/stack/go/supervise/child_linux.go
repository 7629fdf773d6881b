package main

import "syscall"

// The child also dies if this process is killed outright.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// adoptOrphans makes this process the parent of descendants whose own parent dies: the init process of a container often
// buries nobody, and a group with dead members in it is not gone.
func adoptOrphans() {
	const setChildSubreaper = 36
	// Best effort: without it killGroup waits a second.
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0)
}

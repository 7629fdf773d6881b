package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are where cgroups can be made: one directory (version 2), or one for each controller (version 1).
func hierarchies() ([]string, error) {
	var at unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &at); err != nil {
		return nil, fmt.Errorf("%s: %w", cgroupRoot, err)
	}
	if at.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		// Links are other names of directories that are there too.
		if dir := filepath.Join(cgroupRoot, entry.Name()); entry.IsDir() && unix.Statfs(dir, &at) == nil &&
			at.Type == unix.CGROUP_SUPER_MAGIC {
			found = append(found, dir)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no cgroups in " + cgroupRoot)
	}
	return found, nil
}

func makeCgroups(name string) error {
	parents, err := hierarchies()
	if err != nil {
		return err
	}
	for _, parent := range parents {
		if parent == cgroupRoot {
			// What the kubelet insists on as far as the kernel has it. It stays on: somebody else may have it in use later.
			for _, controller := range []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids"} {
				_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			}
		}
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// In version 1 a cpuset is empty until somebody fills it.
		for _, set := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, set))
			if err != nil || parent == cgroupRoot {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, set), value, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroups kills what is left in them, which is nothing unless it was moved there from outside the machine.
func removeCgroups(name string) error {
	entries, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", name))
	roots := append(entries, filepath.Join(cgroupRoot, name))
	var left error
	for range 1000 {
		if left = nil; !slices.ContainsFunc(roots, exists) {
			return nil
		}
		for _, root := range roots {
			left = errors.Join(left, removeTree(root))
		}
		if left == nil {
			return nil
		}
		// The kernel announces an empty cgroup in version 2 alone.
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroups: %w", left)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func removeTree(root string) error {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	var left error
	for _, dir := range slices.Backward(dirs) {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			continue
		}
		left = errors.Join(left, fmt.Errorf("%s: %w", dir, err))
		members, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, member := range strings.Fields(string(members)) {
			if pid, err := strconv.Atoi(member); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	return left
}

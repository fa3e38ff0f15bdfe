package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listens tells whether a process listens on a TCP port, as far as /proc shows it
// to this process; a system without /proc shows nothing. The port is compared in
// all addresses: two that listen on one port are one server for whoever starts
// another there.
func listens(pid, port int) bool {
	open := map[string]bool{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is sound
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			open[target] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table)) // without it nothing is found
		for line := range strings.Lines(string(text)) {
			if inode, ok := listening(line, port); ok && open["socket:["+inode+"]"] {
				return true
			}
		}
	}
	return false
}

// listening reads a line of /proc/net/tcp (man 5 proc): whether it is a socket that
// listens on a port, and its inode.
func listening(line string, port int) (inode string, ok bool) {
	const local, state, inodeAt = 1, 3, 9
	fields := strings.Fields(line)
	if len(fields) <= inodeAt || fields[state] != "0A" || !strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) {
		return "", false
	}
	return fields[inodeAt], true
}

// listener is the process that listens on a TCP port; -1: none that /proc shows to this
// process.
func listener(port int) int {
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is sound
	for _, process := range processes {
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && listens(pid, port) {
			return pid
		}
	}
	return -1
}

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// openLog returns the file that the log is written to, and sees to it that the Go
// runtime does not wait for the log's reader either: what it says of a crash goes to
// descriptor 2 with all of the process stopped, and would stop it for good when the
// reader has stalled. So 2 becomes a second, non-blocking end of the same pipe; what
// the pipe cannot take of a crash's trace is lost. The first end stays as it is,
// because others may share it.
//
// For what is no pipe, or may not be opened anew, both are standard error as it is.
// A descriptor that was closed when the process began is /dev/null here: the runtime
// opens that in the place of 0, 1 and 2 before anything else, so that no file of the
// journal is ever taken for the log.
func openLog() *os.File {
	var status unix.Stat_t
	if err := unix.Fstat(2, &status); err != nil || status.Mode&unix.S_IFMT != unix.S_IFIFO {
		return os.Stderr
	}
	own, err := unix.Open("/proc/self/fd/2", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.Stderr
	}
	defer unix.Close(own)
	first, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	if err := unix.Dup2(own, 2); err != nil {
		_ = unix.Close(first)
		return os.Stderr
	}
	return os.NewFile(uintptr(first), "/dev/stderr")
}

package logging

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenStderr returns the file of standard error that the log is written to, and sees to it that the Go
// runtime does not wait for the log's reader either: what it says of a crash goes to
// descriptor 2 with all of the process stopped, and would stop it for good when the
// reader has stalled. What descriptor 2 cannot take of that at once is lost.
//
// A descriptor that was closed when the process began is /dev/null here: the runtime
// opens that in the place of 0, 1 and 2 before anything else, so that no file of the
// journal is ever taken for the log.
func OpenStderr() *os.File {
	var status unix.Stat_t
	if err := unix.Fstat(2, &status); err != nil {
		return os.Stderr
	}
	kind := status.Mode & unix.S_IFMT
	if kind != unix.S_IFIFO && kind != unix.S_IFSOCK { // a file takes everything; at a terminal is a person
		return os.Stderr
	}
	log, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	if kind == unix.S_IFIFO {
		err = reopenPipe()
	} else {
		err = unix.SetNonblock(2, true) // log is the same socket, and Go waits for such by polling
	}
	if err != nil {
		_ = unix.Close(log)
		return os.Stderr
	}
	return os.NewFile(uintptr(log), "/dev/stderr")
}

// reopenPipe makes descriptor 2 another end of its pipe, one that does not block.
// The end that it was stays as it is, because other processes may share it.
func reopenPipe() error {
	end, err := unix.Open("/proc/self/fd/2", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil { // no /proc, no right to it, or the reader has gone
		return err
	}
	defer unix.Close(end)
	return unix.Dup2(end, 2)
}

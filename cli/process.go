package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"syscall"

	"github.com/rs/zerolog"

	"audiences/config"
	"audiences/logging"
)

// Exit codes. 128 and a signal's number come on top, see untilTold.
const (
	exitFailed = 1 // something went wrong while running
	exitWrong  = 2 // the configuration or the command line is wrong

	exitNothing = 3 // what was asked for had no effect, or was not seen
)

// errNothing ends a command that had no effect.
var errNothing = errors.New("nothing to do")

// process is what a command has of the process around it. Configuration beyond the
// command line comes from the environment.
type process struct {
	stdin  io.Reader
	stdout io.Writer
	stderr *logging.LineWriter
	build  buildInfo
}

// Main runs the command line of this process and returns its exit code. What it
// changes of the process, such as the dispositions of signals, stays changed. The
// version and the revision are those that the linker was told, or "".
func Main(version, revision string) int {
	shrugOff()
	// net/http's client complains here of stray answers and quotes them, and they
	// may hold keys (I7). Everything of ours goes through zerolog.
	log.SetOutput(io.Discard)
	zerolog.ErrorHandler = func(error) {} // by default it writes to standard error, and waits
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stderr := logging.NewLineWriter(logging.OpenStderr())
	defer stderr.Flush(logging.LastWords)
	p := process{stdin: os.Stdin, stdout: output{os.Stdout, cancel}, stderr: stderr, build: build(version, revision)}
	return exitCode(run(ctx, p, os.Args[1:]), stderr)
}

// output is a standard output whose reader may have seen enough. That is no error,
// and the exit code still tells how the command ended.
type output struct {
	file *os.File
	gone func() // ends a command that goes on until it is told
}

// Write drops what nobody reads.
func (o output) Write(text []byte) (int, error) {
	n, err := o.file.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		o.gone()
		return len(text), nil
	}
	return n, err
}

// exitCode tells a person what went wrong, and the caller's shell by number.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "audiences: %v\n", withUser(err))
	var r refusal
	errors.As(err, &r)
	switch {
	case errors.As(err, new(config.Faults)), errors.Is(err, errUsage), errors.Is(err, errFaults), r.status == http.StatusBadRequest && !r.foreign:
		return exitWrong
	case errors.Is(err, errNothing), r.status == http.StatusConflict && !r.foreign:
		return exitNothing
	}
	return exitFailed
}

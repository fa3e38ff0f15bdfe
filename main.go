// Command audiences takes mParticle's audience changes over HTTPS and brings
// them to Split segments in few, large, correctly ordered calls.
//
// This file is the process around the commands; each one is in a file of its own
// name, and commands.go has their table.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"

	"github.com/rs/zerolog"

	"audiences/config"
)

// Exit codes. 128 and a signal's number come on top, see untilTold.
const (
	exitFailed = 1 // something went wrong while running
	exitWrong  = 2 // the configuration or the command line is wrong
)

// errUsage marks a command line that is wrong.
var errUsage = errors.New("usage")

func main() {
	shrugOff()
	// net/http's client complains here of stray answers and quotes them, and they
	// may hold keys (I7). Everything of ours goes through zerolog.
	log.SetOutput(io.Discard)
	zerolog.ErrorHandler = func(error) {} // by default it writes to standard error, and waits
	ctx, cancel := context.WithCancel(context.Background())
	stderr := newLineWriter(openLog())
	code := exitCode(run(ctx, os.Args[1:], output{os.Stdout, cancel}, stderr), stderr)
	stderr.Flush(lastWords)
	os.Exit(code)
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
	if errors.As(err, new(config.Faults)) || errors.Is(err, errUsage) || errors.Is(err, errFaults) {
		return exitWrong
	}
	return exitFailed
}

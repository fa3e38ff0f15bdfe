package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"audiences/logging"
)

// exitSignalled is added to a signal's number, as shells do.
const exitSignalled = 128

// shrugOff sees to it that no write ends the process. Go's default for a closed
// pipe at standard output or error is an end without a drain; the kernel's for a
// file that meets `ulimit -f` is the same, and for a terminal that wants no output
// of background processes it is a halt. As errors, all of them are dealt with
// where they occur.
func shrugOff() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ, syscall.SIGTTOU) }

// untilTold ends its context at the first of these signals. A second one ends the
// process at once, which loses nothing: what is answered is in the journal. It
// ends by an exit code, since the kernel lets no signal without a handler kill the
// first process of a container.
func untilTold(ctx context.Context, lines *logging.LineWriter, signals ...os.Signal) context.Context {
	ctx, told := context.WithCancel(ctx)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	go func() {
		<-caught
		told()
		number := (<-caught).(syscall.Signal)
		lines.Flush(logging.LastWords)
		os.Exit(exitSignalled + int(number))
	}()
	return ctx
}

// strays are signals that other programs take for a wish to open the log anew, or to show
// something. By default they would end the relay without a drain.
var strays = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}

// catchReload takes the signal to read the configuration again from now on.
func catchReload() <-chan os.Signal {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	return caught
}

// catchStrays takes strays from now on; what it returns says so in the log.
func catchStrays() (log func(zerolog.Logger)) {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, strays...)
	return func(logger zerolog.Logger) {
		go func() {
			for stray := range caught {
				logger.Warn().Stringer("signal", stray).Msg("ignored a signal: SIGHUP has the configuration read again, SIGTERM stops the relay")
			}
		}()
	}
}

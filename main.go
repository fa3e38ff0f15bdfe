// Command audiences takes mParticle's audience changes over HTTPS and brings
// them to Split segments in few, large, correctly ordered calls.
//
// This file is the table of commands; each one is in a file of its own name.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"audiences/config"
)

const usage = `audiences: a relay from mParticle audiences to Split segments

  audiences [serve] CONFIG        run the relay
  audiences check CONFIG          look for faults in the configuration, key file and journal directory
  audiences keygen [-out FILE]    write a self-signed key file
  audiences healthcheck CONFIG    ask the relay of that configuration for /ping; exit code 0 or 1
  audiences sandbox [-traffic N]  try it: relay and a Split look-alike in one process

Every command says more with -h.
`

// Exit codes.
const (
	exitFailed = 1 // something went wrong while running
	exitWrong  = 2 // the configuration or the command line is wrong
)

// errUsage marks a command line that is wrong.
var errUsage = errors.New("usage")

func main() {
	// net/http's client complains here of stray answers and quotes them, and they
	// may hold keys (I7). Everything of ours goes through zerolog.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends ctx; with the handler gone, a second one ends the
	// process at once, which loses nothing: what is answered is in the journal.
	context.AfterFunc(ctx, stop)
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// run is main without the process around it: it ends when the command is done or
// ctx is. Configuration beyond the arguments comes from the environment.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command\n\n%s", errUsage, usage)
	}
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve":       serve,
		"check":       check,
		"keygen":      keygen,
		"healthcheck": healthcheck,
		"sandbox":     sandboxCommand,
	}
	if command, ok := commands[args[0]]; ok {
		return command(ctx, args[1:], stdout, stderr)
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	return serve(ctx, args, stdout, stderr) // the old server's command line: the configuration alone
}

// exitCode tells a person what went wrong, and the caller's shell by number.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "audiences: %v\n", err)
	if errors.As(err, new(config.Faults)) || errors.Is(err, errUsage) {
		return exitWrong
	}
	return exitFailed
}

// oneArgument is the command line of the commands that take a configuration.
func oneArgument(command string, args []string) (string, error) {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return "", fmt.Errorf("%w: audiences %s CONFIG", errUsage, command)
	}
	return args[0], nil
}

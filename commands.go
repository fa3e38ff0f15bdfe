package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

const usage = `audiences: a relay from mParticle audiences to Split segments

  audiences [serve] CONFIG        run the relay
  audiences check CONFIG          tell whether the relay would start, and what would hinder it
  audiences keygen [-out FILE]    write a self-signed key file
  audiences healthcheck CONFIG    ask the relay of that configuration for /ping; exit code 0 if it answers
  audiences sandbox [-traffic N]  try it: relay and a Split look-alike in one process
  audiences version               print the version

Every command says more with -h.
`

// command is what stands behind a name on the command line.
type command struct {
	run  func(ctx context.Context, args []string, stdout io.Writer, stderr *lineWriter) error
	help string // what -h prints; the command's flags, if any, are added to it
}

// flagged commands have flags, which describe themselves.
var flagged = []string{"keygen", "sandbox"}

func commands() map[string]command {
	return map[string]command{
		"serve":       {serve, serveHelp},
		"check":       {plain(check), checkHelp},
		"keygen":      {plain(keygen), keygenHelp},
		"healthcheck": {plain(healthcheck), healthcheckHelp},
		"sandbox":     {sandboxCommand, sandboxHelp},
		"version":     {plain(showVersion), versionHelp},
	}
}

// plain is for commands that write to standard error as to anything else.
func plain(run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) func(context.Context, []string, io.Writer, *lineWriter) error {
	return func(ctx context.Context, args []string, stdout io.Writer, stderr *lineWriter) error {
		return run(ctx, args, stdout, stderr)
	}
}

// run is main without the process around it: it ends when the command is done or
// ctx is. Configuration beyond the arguments comes from the environment.
func run(ctx context.Context, args []string, stdout io.Writer, stderr *lineWriter) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command\n\n%s", errUsage, usage)
	}
	name, rest := args[0], args[1:]
	if c, ok := commands()[name]; ok {
		if slices.ContainsFunc(rest, asksForHelp) {
			return help(ctx, name, stdout)
		}
		return c.run(ctx, rest, stdout, stderr)
	}
	switch {
	case name == "help" && len(rest) == 1:
		return help(ctx, rest[0], stdout)
	case name == "help", asksForHelp(name):
		_, err := io.WriteString(stdout, usage)
		return err
	case name == "-version", name == "--version":
		return showVersion(ctx, rest, stdout, stderr)
	}
	return serve(ctx, args, stdout, stderr) // the old server's command line: the configuration alone
}

func asksForHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

// help prints what a command is for. Flags print themselves where they are asked
// with -h, to what is standard error else; the error that comes with it is no news.
func help(ctx context.Context, name string, stdout io.Writer) error {
	c, ok := commands()[name]
	if !ok {
		return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, name, usage)
	}
	if _, err := io.WriteString(stdout, c.help); err != nil {
		return err
	}
	if slices.Contains(flagged, name) {
		flags := newLineWriter(stdout)
		_ = c.run(ctx, []string{"-h"}, io.Discard, flags)
		flags.Flush(lastWords)
	}
	return nil
}

const serveHelp = `audiences [serve] CONFIG

Runs the relay with a configuration file until SIGTERM or SIGINT. It then takes no
more changes, delivers what is pending for up to drainTimeout, and leaves the rest
in the journal for the next start; a second signal ends it at once. The log goes
to standard error.

All keys of the file, and the environment variables that beat them, are in
docs/configuration.md; authToken and keyFile are required.

Exit codes: 0 stopped as asked; 1 something failed; 2 the configuration or the
command line is wrong, or the program crashed; 128 and a signal's number: ended by
that signal.
`

const checkHelp = `audiences check CONFIG

Tells whether the relay would start with a configuration: its keys, the key file
with its password and dates, the journal with its key, and both addresses. It
starts nothing and changes nothing, and may be used while the relay runs.

One line for each thing looked at: ok, note, WARNING (it would start, but look at
this), FAULT (it would not start).

Exit codes: 0 without a FAULT, 2 with one.
`

const keygenHelp = `audiences keygen [-out FILE] [-hosts a,b] [-days N]

Writes a new P-256 key with a self-signed certificate. The password is that in
AUDIENCES_KEY_PASSWORD, or "password". A file that exists is left alone.

`

const healthcheckHelp = `audiences healthcheck CONFIG

Asks the relay of that configuration, on this machine, for /ping. It trusts the
certificate that the relay says it serves and the key file's, and no other.

Exit codes: 0 it answered, 1 it did not, 2 the configuration is wrong.
`

const sandboxHelp = `audiences sandbox [-port PORT] [-flush 3s] [-traffic N] [-for 10m]

Runs the relay and a look-alike of Split in one process, with a key made up for the
run, in a directory that goes when it ends. It prints a curl command to try, and
every call to the look-alike. Ctrl-C ends it.

`

const versionHelp = `audiences version

Prints the version, the commit and the Go release that this program was built from.
`

// oneArgument is the command line of the commands that take a configuration.
func oneArgument(command string, args []string) (string, error) {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return "", fmt.Errorf("%w: audiences %s CONFIG", errUsage, command)
	}
	return args[0], nil
}

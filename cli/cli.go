// Package cli is the command line: one file for each command, and how the parts of
// the relay are put together.
//
// cli.go has the tree of commands, help.go what they say of themselves, process.go
// what is around every command. The relay itself is in service.go: start, run, stop.
// Together with main it is the only package that imports config: it copies the
// fields into each part's own options.
//
// A command is made by a function that returns a cobra.Command (ADR 10). Its Use line
// shows the arguments, its Short text stands in the table of commands, its Long text
// in its help.
package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// run carries out a command line. It ends when the command is done or ctx is. A
// command that is asked for help anywhere gives help, whatever else is wrong there.
func run(ctx context.Context, p process, args []string) error {
	root := newRoot(p)
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd != root && slices.ContainsFunc(rest, asksForHelp) {
		return cmd.Help()
	}
	root.SetArgs(longFlags(cmd, args))
	return root.ExecuteContext(ctx)
}

func asksForHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

func newRoot(p process) *cobra.Command {
	cobra.EnableCommandSorting = false // the order below is that of a newcomer's needs
	root := &cobra.Command{
		Use:  "audiences",
		Long: "audiences: a relay from mParticle audiences to Split segments",
		Args: cobra.ArbitraryArgs, // the old server's command line: the configuration alone

		SilenceErrors: true, // exitCode prints them
		SilenceUsage:  true,
	}
	serve := serveCommand(p)
	showVersion := root.Flags().Bool("version", false, "the same as the command version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *showVersion && len(args) == 0:
			return p.build.show(p.stdout)
		case *showVersion:
			return wrong(cmd, "--version has no arguments")
		case len(args) == 0:
			return fmt.Errorf("%w: no command\n\n%s", errUsage, usageOf(cmd)) // a newcomer's first line
		}
		if err := serve.Args(serve, args); err != nil {
			return err
		}
		return serve.RunE(cmd, args)
	}
	root.AddCommand(serve, checkCommand(p), keygenCommand(p), hashPasswordCommand(p), healthcheckCommand(p), statusCommand(p), tenantsCommand(p), segmentsCommand(p), nodesCommand(p), tokensCommand(p), reloadCommand(p), showCommand(p), whereCommand(p), parkedCommand(p), eventsCommand(p))
	root.AddCommand(remedyCommands(p)...)
	root.AddCommand(journalCommand(p), replayCommand(p), fingerprintCommand(p), sandboxCommand(p), versionCommand(p))
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd) })
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	addCompletion(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return wrong(cmd, "%v", err) })
	return root
}

// longFlags gives a command's long flags a second dash where they have one. The
// commands took both from the beginning; the library reads `-out` as the flags o, u
// and t. The value of a flag may begin with a dash, too, so it is passed over.
//
// A negative number that is no flag's value is an argument: half of all MPIDs are negative.
// It goes behind "--", where the library looks for no flags.
func longFlags(cmd *cobra.Command, args []string) []string {
	cmd.InitDefaultHelpFlag()
	var front, numbers []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			numbers = append(numbers, args[i+1:]...)
			return append(append(front, "--"), numbers...)
		}
		flag, hasValue := longFlag(cmd, args[i])
		switch {
		case flag == nil && negative.MatchString(args[i]):
			numbers = append(numbers, args[i])
		case flag == nil:
			front = append(front, args[i])
		default:
			front = append(front, "--"+strings.TrimLeft(args[i], "-"))
			if !hasValue && flag.NoOptDefVal == "" && i+1 < len(args) {
				i++
				front = append(front, args[i])
			}
		}
	}
	if len(numbers) > 0 {
		front = append(append(front, "--"), numbers...)
	}
	return front
}

var negative = regexp.MustCompile(`^-[0-9]+$`)

// longFlag is the flag that an argument names, nil if it names none, and whether the
// argument has its value in it.
func longFlag(cmd *cobra.Command, arg string) (flag *pflag.Flag, hasValue bool) {
	name, dashed := strings.CutPrefix(arg, "-")
	if !dashed {
		return nil, false
	}
	name, _, hasValue = strings.Cut(strings.TrimPrefix(name, "-"), "=")
	return cmd.Flags().Lookup(name), hasValue
}

package cli

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// errUsage marks a command line that is wrong.
var errUsage = errors.New("wrong command line")

// wrong says in a line what is wrong with the command line of a command, and where there is
// more about it.
func wrong(cmd *cobra.Command, format string, args ...any) error {
	_, command, _ := strings.Cut(cmd.CommandPath(), " ")
	return fmt.Errorf("%w: %s; see: %s", errUsage, fmt.Sprintf(format, args...), strings.TrimSpace("audiences help "+command))
}

// helpCommand is there because the library's own ends without an error where there is
// no such command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "tell what a command is for",
		Long: `Tells what a command is for, with its arguments and flags. Each command does so itself
with -h.

  audiences help status

Exit codes: 0 it was told, 2 there is no such command.
`,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(args) == 1 && len(rest) == 1 { // with more words, help for those that are commands
				return wrong(cmd.Root(), "there is no command %q", args[0])
			}
			return about.Help()
		},
	}
}

// addCompletion adds the library's command that prints scripts for shells, with usage
// errors like those of the others.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"}) // it is there
	completion.Use, completion.Short = "completion SHELL", "print what has a shell complete these commands and their flags"
	completion.Long = `Prints what has a shell complete these commands and their flags. Each shell's own
command says with -h where it belongs.

  audiences completion bash
  source <(audiences completion bash)

Exit codes: 0 it was printed, 2 the command line is wrong.
`
	completion.Args = cobra.ArbitraryArgs
	completion.RunE = func(cmd *cobra.Command, _ []string) error {
		return wrong(cmd, "it takes one of these shells")
	}
	for _, shell := range completion.Commands() {
		shell.Args = noArguments
	}
}

// writeHelp prints what a command is for. Nobody can be told if that fails.
func writeHelp(cmd *cobra.Command) {
	out := cmd.OutOrStdout()
	if cmd.HasAvailableSubCommands() {
		_, _ = fmt.Fprintf(out, "%s\n\n%s\nEvery command says more with -h.\n", strings.TrimSpace(cmd.Long), usageOf(cmd))
		return
	}
	_, _ = fmt.Fprintf(out, "%s\n\n%s\n%s", lineOf(cmd), cmd.Long, flagsOf(cmd))
}

// usageOf is how to write a command: its line and its flags, or, where it has commands
// of its own, the lines of those.
func usageOf(cmd *cobra.Command) string {
	if !cmd.HasAvailableSubCommands() {
		return "  " + lineOf(cmd) + "\n\n" + flagsOf(cmd)
	}
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			_, _ = fmt.Fprintf(columns, "  %s\t%s\n", lineOf(c), c.Short)
		}
	}
	_ = columns.Flush() // to memory
	return text.String()
}

func lineOf(cmd *cobra.Command) string { return cmd.Parent().CommandPath() + " " + cmd.Use }

func flagsOf(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	return "Flags:\n" + cmd.NonInheritedFlags().FlagUsages()
}

// noArguments refuses arguments that are no flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrong(cmd, "unexpected argument %q", args[0])
	}
	return nil
}

// noSecrets is noArguments for commands that read a secret: what stands there may be it.
func noSecrets(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrong(cmd, "it takes no arguments: what is secret is read from standard input")
	}
	return nil
}

// configuration is for commands whose one argument is the configuration file.
func configuration(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return wrong(cmd, "it takes the configuration file and nothing else")
	}
	return nil
}

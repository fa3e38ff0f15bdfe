package cli

import (
	"github.com/spf13/cobra"
)

// journalCommand has the commands that work on journals without a relay.
func journalCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal COMMAND",
		Short: "move a journal to another place, while no relay uses it",
		Long: `Works on the journals of relays that are stopped: on the disk of one machine, or in a
PostgreSQL database that several nodes share.

  audiences journal move audiences.config --to cluster.config

Exit codes: 0 done, 2 the command line is wrong; each of the commands says more.
`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return wrong(cmd, "it takes one of these commands") }
	cmd.AddCommand(journalMoveCommand(p), journalReopenCommand(p))
	return cmd
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"audiences/config"
)

func journalReopenCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reopen CONFIG",
		Short: "have relays start again on a journal whose contents were moved",
		Long: `Takes the mark off a journal whose contents were moved to another one, so that a relay
starts on it again. It then delivers all that it held when it was moved. This is for when
nothing will ever be delivered from the other journal, and nothing newer was: otherwise
older changes would be sent over newer ones. To go back to where a journal was, with what
became of its contents, move it back.

  audiences journal reopen audiences.config

Exit codes: 0 done, 1 it was not, 2 the command line or the configuration is wrong, 3 there
was nothing to do: it is not marked, or you said no.
`,
		Args: configuration,
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes && !p.interactive() {
			return wrong(cmd, "this cannot be undone: say --yes")
		}
		return reopenJournal(cmd.Context(), p, args[0], *yes)
	}
	return cmd
}

// reopenJournal takes the mark off, once somebody has said yes.
func reopenJournal(ctx context.Context, p process, path string, yes bool) (err error) {
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	journal, err := openStopped(ctx, p, cfg, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	mark := journal.Mark()
	switch {
	case mark == nil:
		return fmt.Errorf("%w: nothing was moved from %s", errNothing, cfg.JournalName())
	case !mark.Moved:
		return fmt.Errorf("reopen journal: it has only part of what is in %s: carry out the same `audiences journal move` again, or take a new directory or database", mark.Place)
	}
	if !yes {
		question := fmt.Sprintf("What %s holds was moved to %s. If anything was or will be delivered from there, older changes will be sent over newer ones.", cfg.JournalName(), mark.Place)
		if err := p.ask(question); err != nil {
			return err
		}
	}
	if err := journal.SetMark(ctx, nil); err != nil {
		return fmt.Errorf("reopen journal: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "A relay starts on %s again.\n", cfg.JournalName())
	return err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"audiences/config"
	"audiences/journal/mover"
	"audiences/status"
)

// The variables of a move that count for one of its two configurations alone.
const (
	ofSource = "AUDIENCES_FROM_"
	ofTarget = "AUDIENCES_TO_"
)

func journalMoveCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move CONFIG --to CONFIG",
		Short: "carry what a stopped relay's journal holds to the journal of another configuration",
		Long: `Carries what the journal of a stopped relay holds to the journal of another
configuration, from a disk to PostgreSQL, back, or from disk to disk: pending keys,
parked keys with why they were refused, pauses and parked segments, tenants with their
tokens, which are sealed anew with the target's key, and events. Receipts of deliveries
stay behind: "audiences where" does not know of deliveries from before the move.

Both journals must be in nobody's use, and the target's must be empty. Nothing is taken
out of the source. When all of it was found at the target, by counts and digests, the
source is marked: no relay starts on it any more. A move that was interrupted, at any
moment, leaves a target on which no relay starts; carry out the same command again, and
it goes on. Moving back is the same with the two changed over: the journal that was left
takes back what became of its contents. "audiences journal reopen" takes a mark off.

The digests are other ones in each move: they can be compared with one another only.

Environment variables count for both configurations. Those that begin with AUDIENCES_FROM_
and AUDIENCES_TO_ count for one of them, in the place of AUDIENCES_.

  audiences journal move audiences.config --to cluster.config
  AUDIENCES_TO_JOURNAL_FILE=/run/secrets/db audiences journal move a.config --to b.config
  audiences journal move cluster.config --to audiences.config --list

Exit codes: 0 it was moved, 1 it was not, or not to the end, and nothing was taken out of
the source, 2 the command line or a configuration is wrong, 3 there was nothing to do: it
was moved there before.
`,
		Args: configuration,
	}
	to := cmd.Flags().String("to", "", "the `configuration` whose journal takes it")
	list := cmd.Flags().Bool("list", false, "also print the counts and digests of each segment")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *to == "" {
			return wrong(cmd, "--to must name the configuration whose journal takes it")
		}
		return moveJournal(cmd.Context(), p, args[0], *to, *list)
	}
	return cmd
}

// moveJournal opens both journals and has what the one holds moved to the other.
func moveJournal(ctx context.Context, p process, source, target string, list bool) (err error) {
	from, err := config.Load(source, environmentOf(ofSource, os.Environ()))
	if err != nil {
		return err
	}
	to, err := config.Load(target, environmentOf(ofTarget, os.Environ()))
	if err != nil {
		return err
	}
	if from.JournalName() == to.JournalName() {
		return fmt.Errorf("%w: both configurations have their journal in %s; variables such as AUDIENCES_TO_JOURNAL_FILE and AUDIENCES_FROM_JOURNAL= count for one of them", errUsage, to.JournalName())
	}
	left, err := openStopped(ctx, p, from, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, left.Close()) }()
	taken, err := openStopped(ctx, p, to, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, taken.Close()) }()
	move := mover.New(mover.Side{Journal: left, Place: from.JournalName()}, mover.Side{Journal: taken, Place: to.JournalName()})
	end := waitingFor(func() string {
		stage, keys := move.Progress()
		return fmt.Sprintf("%-9s %11d keys", stage, keys)
	})
	report, err := move.Run(ctx)
	end()
	switch {
	case errors.Is(err, mover.ErrDone):
		return fmt.Errorf("%w: %w", errNothing, err)
	case err != nil && !errors.Is(err, mover.ErrDiffers):
		return fmt.Errorf("move journal: %w", err)
	}
	if list {
		err = errors.Join(err, printSegments(p.stdout, from, report))
	}
	if err := errors.Join(err, printTotals(p.stdout, from, to, report)); err != nil {
		return fmt.Errorf("move journal: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "Moved. No relay starts on %s any more; start it with %s.\n", from.JournalName(), target)
	return err
}

// environmentOf is the environment as one of the two configurations sees it.
func environmentOf(prefix string, environ []string) (seen []string) {
	own := map[string]bool{} // the variables that are given for this one alone, without _FILE
	for _, pair := range environ {
		if rest, ok := strings.CutPrefix(pair, prefix); ok {
			name, _, _ := strings.Cut(rest, "=")
			own["AUDIENCES_"+strings.TrimSuffix(name, "_FILE")] = true
			seen = append(seen, "AUDIENCES_"+rest)
		}
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		others := strings.HasPrefix(pair, ofSource) || strings.HasPrefix(pair, ofTarget)
		if !others && !own[strings.TrimSuffix(name, "_FILE")] {
			seen = append(seen, pair)
		}
	}
	return seen
}

func printTotals(stdout io.Writer, from, to config.Config, r mover.Report) error {
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(out, "\tPENDING\tPARKED\tDIGEST\n")
	_, _ = fmt.Fprintf(out, "%s\t%d\t%d\t%v\n", from.JournalName(), r.From.Pending, r.From.Parked, r.From.Digest)
	_, _ = fmt.Fprintf(out, "%s\t%d\t%d\t%v\n", to.JournalName(), r.To.Pending, r.To.Parked, r.To.Digest)
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s with keys or a state, %s of which %d proven, %s.\n", status.Count(len(r.Segments), "segment"),
		status.Count(r.Tenants, "tenant"), r.Proven, status.Count(r.Events, "event"))
	return err
}

func printSegments(stdout io.Writer, from config.Config, r mover.Report) error {
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(out, "TENANT\tSEGMENT\tPENDING\tPARKED\tDIGEST\tAT THE TARGET\n")
	for _, s := range r.Segments {
		there := "the same"
		if s.From != s.To {
			there = fmt.Sprintf("%d pending, %d parked, %v", s.To.Pending, s.To.Parked, s.To.Digest)
		}
		tenant := s.Segment.Tenant.String()
		if name := from.TenantNames[tenant]; name != "" {
			tenant = name
		}
		_, _ = fmt.Fprintf(out, "%s\t%s/%s\t%d\t%d\t%v\t%s\n", tenant, s.Segment.Environment, s.Segment.Name, s.From.Pending, s.From.Parked, s.From.Digest, there)
	}
	return out.Flush()
}

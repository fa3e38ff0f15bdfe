package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"audiences/api/admin"
	"audiences/status"
)

func eventsCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	var limit int
	var before, seen uint64
	cmd := &cobra.Command{
		Use:   "events",
		Short: "list what happened, and who did it",
		Long: `Lists the last events, the newest first: what changed, and what operators did.

  audiences events --limit 20
  audiences events --watch
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if before > 0 {
				query.Set("before", strconv.FormatUint(before, 10))
			}
			var list admin.EventList
			if done, err := a.get(cmd.Context(), "events", query, &list); done || err != nil {
				return err
			}
			if a.watch > 0 {
				return a.followEvents(list.Events, &seen)
			}
			out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			for _, e := range list.Events {
				_, _ = fmt.Fprintf(out, "%d\t%s\t%s\n", e.Number, clock(e.At), e.Sentence)
			}
			if list.Next > 0 {
				_, _ = fmt.Fprintf(out, "There are more: --before %d\n", list.Next)
			}
			return out.Flush()
		},
	}
	a.follows = true
	a.bind(cmd)
	a.watched(p, cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "so many at most, up to 1,000")
	cmd.Flags().Uint64Var(&before, "before", 0, "only those before the event with this `number`")
	return cmd
}

// followEvents prints the events that were not seen before, the oldest first.
func (a *adminClient) followEvents(events []status.Event, seen *uint64) error {
	for _, e := range slices.Backward(events) {
		if e.Number <= *seen {
			continue
		}
		*seen = e.Number
		if _, err := fmt.Fprintf(a.stdout, "%d  %s  %s\n", e.Number, clock(e.At), e.Sentence); err != nil {
			return err
		}
	}
	return nil
}

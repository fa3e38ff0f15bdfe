package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
	limit := limitValue(50)
	var before uint64
	var f follower
	cmd := &cobra.Command{
		Use:   "events",
		Short: "list what happened, and who did it",
		Long: `Lists the last events, the newest first: what changed, and what operators did. With
--watch the oldest is first, and after them come new ones as they happen, one a line.

  audiences events --limit 20
  audiences events --watch
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case a.watch > 0 && before > 0:
				return wrong(cmd, "--watch is for new events, --before for old ones")
			case a.watch > 0:
				return a.follow(cmd.Context(), int(limit), &f)
			}
			query := url.Values{"limit": {limit.String()}}
			if before > 0 {
				query.Set("before", strconv.FormatUint(before, 10))
			}
			var list admin.EventList
			if done, err := a.get(cmd.Context(), "events", query, &list); done || err != nil {
				return err
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
	cmd.Flags().Var(&limit, "limit", "so many at most, up to 1,000")
	cmd.Flags().Uint64Var(&before, "before", 0, "only those before the event with this `number`")
	return cmd
}

// follower is how far events were printed.
type follower struct{ last uint64 } // 0: there were none

// follow prints the events that were not printed before, the oldest first; in the beginning
// as many as the limit. A relay whose journal is a new one numbers them anew: that is another
// beginning.
func (a *adminClient) follow(ctx context.Context, limit int, f *follower) error {
	fresh, before := []status.Event{}, uint64(0)
	for {
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		if before > 0 {
			query.Set("before", strconv.FormatUint(before, 10))
		}
		var list admin.EventList
		if err := a.exchange(ctx, http.MethodGet, "events?"+query.Encode(), nil, decoding(&list)); err != nil {
			return err
		}
		if before == 0 && (len(list.Events) == 0 || list.Events[0].Number < f.last) {
			f.last = 0
		}
		known := slices.IndexFunc(list.Events, func(e status.Event) bool { return e.Number <= f.last })
		if known >= 0 {
			list.Events = list.Events[:known]
		}
		fresh = append(fresh, list.Events...)
		if f.last == 0 || known >= 0 || list.Next == 0 {
			return a.printNew(fresh, f)
		}
		before, limit = list.Next, mostRows
	}
}

func (a *adminClient) printNew(fresh []status.Event, f *follower) error {
	for _, e := range slices.Backward(fresh) {
		line := fmt.Appendf(nil, "%d  %s  %s", e.Number, clock(e.At), e.Sentence)
		if a.json {
			var err error
			if line, err = json.Marshal(e); err != nil {
				return fmt.Errorf("print event: %w", err)
			}
		}
		if _, err := fmt.Fprintf(a.stdout, "%s\n", line); err != nil {
			return err
		}
		f.last = e.Number
	}
	return nil
}

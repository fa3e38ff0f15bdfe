package cli

import (
	"fmt"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"audiences/api/admin"
	"audiences/status"
)

func statusCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say how the relay is, and which tenants need somebody",
		Long: `Asks a relay that runs how it is: a verdict in a line, then each tenant with its
state, how many of its keys are pending and parked, and what comes next. A tenant is
known by the fingerprint of its apiToken. The one that needs somebody most is first.

  audiences status
  docker exec audiences /audiences status
  audiences status --config audiences.config --watch
  audiences status --address 10.0.0.7:3010 --json
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var sum admin.Summary
			if done, err := a.get(cmd.Context(), "summary", nil, &sum); done || err != nil {
				return err
			}
			var list admin.TenantList
			if _, err := a.get(cmd.Context(), "tenants", nil, &list); err != nil {
				return err
			}
			return a.showStatus(sum, list.Tenants)
		},
	}
	a.bind(cmd)
	a.watched(p, cmd)
	return cmd
}

func tenantsCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	var search textValue
	var state stateValue
	cmd := &cobra.Command{
		Use:   "tenants",
		Short: "list tenants, the ones that need somebody first",
		Long: `Asks a relay that runs for its tenants: the state of each, how many of its keys are
pending and parked, and what comes next.

  audiences tenants --state token_refused
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			for name, value := range map[string]string{"search": string(search), "state": string(state)} {
				if value != "" {
					query.Set(name, value)
				}
			}
			var list admin.TenantList
			if done, err := a.get(cmd.Context(), "tenants", query, &list); done || err != nil {
				return err
			}
			return a.showTenants(list.Tenants)
		},
	}
	a.bind(cmd)
	a.watched(p, cmd)
	cmd.Flags().Var(&state, "state", "only in this `state`")
	cmd.Flags().Var(&search, "search", "only where the name or the fingerprint has this `text` in it")
	return cmd
}

func (a *adminClient) showStatus(sum admin.Summary, tenants []status.Tenant) error {
	if _, err := fmt.Fprintf(a.stdout, "%s\nIntake: %s.\n", sum.Verdict, sum.Ready); err != nil || len(tenants) == 0 {
		return err
	}
	_, _ = fmt.Fprintln(a.stdout)
	return a.showTenants(tenants)
}

func (a *adminClient) showTenants(tenants []status.Tenant) error {
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(out, "TENANT\tSTATE\tSEGMENTS\tPENDING\tPARKED KEYS\t\n")
	for _, t := range tenants {
		segments := 0
		for _, n := range t.States {
			segments += n
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", status.Title(t.Tenant, t.Name), stateText(t.Condition), status.Number(segments), pendingText(t.Counts), status.Number(t.Parked), t.Sentence)
	}
	return out.Flush()
}

// stateText is the state, and what holds besides.
func stateText(c status.Condition) string {
	if c.Also == "" {
		return string(c.State)
	}
	return string(c.State) + ", " + string(c.Also)
}

func pendingText(n status.Counts) string {
	if n.More {
		return status.Number(n.Pending) + "+"
	}
	return status.Number(n.Pending)
}

func segmentsCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	var tenant, search, cursor textValue
	var state stateValue
	limit := limitValue(100)
	cmd := &cobra.Command{
		Use:   "segments",
		Short: "list segments, the ones that need somebody first",
		Long: `Asks a relay that runs for its segments: the state of each, how many of its keys are
pending and parked, and what comes next. Those that need somebody most are first. One
that was let go with nothing pending is not listed.

States: ` + stateNames() + `.
A parked segment is listed as parked, and found as that, also while it is paused, while
the token of its tenant is refused, or while one of its keys is tried; --state finds it by
either state.

  audiences segments --state parked
  audiences segments --tenant 7f3a --search Newsletter
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {limit.String()}}
			for name, value := range map[string]string{"tenant": string(tenant), "state": string(state), "search": string(search), "cursor": string(cursor)} {
				if value != "" {
					query.Set(name, value)
				}
			}
			var list admin.SegmentList
			if done, err := a.get(cmd.Context(), "segments", query, &list); done || err != nil {
				return err
			}
			return a.showSegments(list)
		},
	}
	a.bind(cmd)
	a.watched(p, cmd)
	cmd.Flags().Var(&tenant, "tenant", "only of this tenant: its `fingerprint`, how that begins where no other does, or its name")
	cmd.Flags().Var(&state, "state", "only in this `state`")
	cmd.Flags().Var(&search, "search", "only where the segment's or the environment's name has this `text` in it")
	cmd.Flags().Var(&limit, "limit", "so many at most, up to 1,000")
	cmd.Flags().Var(&cursor, "cursor", "go on where an earlier list says that there are more")
	return cmd
}

func (a *adminClient) showSegments(list admin.SegmentList) error {
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(list.Segments) > 0 {
		_, _ = fmt.Fprint(out, "TENANT\tENVIRONMENT/SEGMENT\tSTATE\tPENDING\tPARKED KEYS\t\n")
	}
	for _, s := range list.Segments {
		_, _ = fmt.Fprintf(out, "%s\t%s/%s\t%s\t%s\t%s\t%s\n", status.Title(s.Tenant, s.Name), s.Environment, s.Segment.Segment, stateText(s.Condition), pendingText(s.Counts), status.Number(s.Parked), s.Sentence)
	}
	_, _ = fmt.Fprintf(out, "%s of %s segments.\n", status.Number(len(list.Segments)), status.Number(list.Matching))
	if list.Next != "" {
		_, _ = fmt.Fprintf(out, "There are more: --cursor %s\n", list.Next)
	}
	return out.Flush()
}

func stateNames() (names string) {
	for i, s := range status.States() {
		if i > 0 {
			names += ", "
		}
		names += string(s)
	}
	return names
}

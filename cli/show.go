package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/admin"
	"audiences/status"
)

const answersAndCodes = `
Exit codes: 0 the relay answered, 1 it did not or refused, 2 the command line is wrong.
`

func showCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	cmd := &cobra.Command{
		Use:   "show TENANT ENV/SEGMENT",
		Short: "say all of one segment, with its last calls",
		Long: `Says what one segment is doing and why its keys are where they are, with its last 20
calls to Split and, for each verb, the calls that go next: how many keys and a few of
them, masked.

  audiences show acme-prod env1/buyers
` + answersAndCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := targetOf(cmd, args)
			if err == nil && target.Segment == "" {
				err = wrong(cmd, "it takes a segment, as ENVIRONMENT/SEGMENT")
			}
			if err != nil {
				return err
			}
			var d status.Detail
			if done, err := a.get(cmd.Context(), "segment", queryOf(target), &d); done || err != nil {
				return err
			}
			return a.showDetail(d)
		},
	}
	a.bind(cmd)
	bindSegment(cmd)
	a.watched(p, cmd)
	return cmd
}

func queryOf(t admin.Target) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"tenant": t.Tenant, "environment": t.Environment, "segment": t.Segment, "workspace": t.Workspace, "trafficType": t.TrafficType} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

func (a *adminClient) showDetail(d status.Detail) error {
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(out, "%s\t%s\n", name, value)
		}
	}
	_, _ = fmt.Fprintf(out, "%s\n\n", d.Sentence)
	line("tenant", status.Title(d.Tenant, d.Name))
	line("segment", d.Environment+"/"+d.Segment.Segment)
	line("state", stateText(d.Condition))
	line("Split says", d.Message)
	line("pending", fmt.Sprintf("%s (%d to add, %d to delete, %s in the journal alone)", pendingText(d.Counts), d.Adds, d.Deletes, status.Number(d.Stored)))
	line("parked", status.Number(d.Parked))
	line("oldest", clock(d.Oldest))
	line("since", clock(d.Since))
	line("until", clock(d.Until))
	line("due", clock(d.Due))
	line("last reason", d.LastReason)
	for _, p := range d.Planned {
		line("next", status.PlannedSentence(p))
	}
	if len(d.Calls) > 0 {
		_, _ = fmt.Fprint(out, "\nCALL\tAT\tMS\tVERB\tKEYS\tTRY\tSTATUS\tREASON\tTRANSACTION\n")
	}
	for _, c := range d.Calls {
		_, _ = fmt.Fprintf(out, "%d\t%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s\n", c.Number, clock(c.At), c.Millis, c.Verb, status.Number(c.Keys), c.Attempt, c.Status, c.Reason, c.Transaction)
	}
	return out.Flush()
}

// clock is a time for a table; "": none.
func clock(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return status.Clock(at, time.Now())
}

func whereCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	var tenant, segment textValue
	cmd := &cobra.Command{
		Use:   "where KEY",
		Short: "say where a key is, and what became of it",
		Long: `Looks for a key: pending, in a call, parked, delivered and when; superseded is told of
the last change since the start that was never sent, as a later one of the same key came
before. KEY may be -, and is then read from standard input, so that it is in no shell's
history and in no list of processes. What was delivered is known as far back as receipts
go (receiptsMaxAge); a negative answer says how far that is. A segment of which nothing
is known, not even a receipt, is refused: its name may be misspelt.

  audiences where - --tenant acme-prod < key
  audiences where 8735621876001 --tenant acme-prod --segment env1/buyers

Exit codes: 0 it was seen, 1 the relay did not answer or refused, 2 the command line is
wrong, 3 it was not seen.
`,
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := whereRequest(cmd, p.stdin, args, string(tenant), string(segment))
			if err != nil {
				return err
			}
			return a.where(cmd, asked)
		},
	}
	a.bind(cmd)
	cmd.Flags().Var(&tenant, "tenant", "only in this tenant: its `fingerprint`, how that begins, or its name")
	cmd.Flags().Var(&segment, "segment", "only in this segment of the tenant: `ENV/SEGMENT`")
	bindSegment(cmd)
	return cmd
}

func whereRequest(cmd *cobra.Command, stdin io.Reader, args []string, tenant, segment string) (asked admin.WhereRequest, err error) {
	if len(args) != 1 || args[0] == "" {
		return asked, wrong(cmd, "it takes a key, or - for one on standard input")
	}
	if asked.Key = args[0]; asked.Key == "-" {
		if asked.Key, err = lineOfInput(stdin); err != nil {
			return asked, fmt.Errorf("read key: %w", err)
		}
	}
	switch {
	case segment != "" && tenant == "":
		return asked, wrong(cmd, "--segment needs --tenant")
	case segment != "":
		asked.Target, err = targetOf(cmd, []string{tenant, segment})
	default:
		asked.Tenant, err = tenant, noSegmentFlags(cmd)
	}
	return asked, err
}

// lineOfInput is the first line of standard input.
func lineOfInput(stdin io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(stdin, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a *adminClient) where(cmd *cobra.Command, asked admin.WhereRequest) error {
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	seen := 0
	for {
		var w status.Whereabouts
		if _, err := a.post(cmd.Context(), "where", asked, &w); err != nil {
			return err
		}
		for _, s := range w.Sightings {
			_, _ = fmt.Fprintf(out, "%s\t%s/%s\t%s\n", status.Title(s.Tenant, s.Name), s.Environment, s.Segment, s.Sentence)
		}
		seen += len(w.Sightings)
		if asked.Cursor = w.Next; w.Next != "" {
			continue
		}
		switch {
		case seen > 0 && a.json:
			return nil
		case seen > 0:
			return out.Flush()
		}
		return notSeen{status.WhereSentence(w, true, time.Now())} // of all pages, and not of the last alone
	}
}

func parkedCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	var reveal bool
	var cursor textValue
	cmd := &cobra.Command{
		Use:   "parked [TENANT [ENV/SEGMENT]]",
		Short: "list what Split refused for good",
		Long: `Lists the segments that are parked or have parked keys, of all tenants or of one; of one
segment its parked keys, with Split's reason and words. Keys are masked. --reveal shows
them, which is an event with who did it.

  audiences parked
  audiences parked acme-prod
  audiences parked acme-prod env1/buyers --reveal
` + answersAndCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := admin.Target{}, noSegmentFlags(cmd)
			if len(args) > 0 {
				target, err = targetOf(cmd, args)
			}
			switch {
			case err != nil:
				return err
			case target.Segment != "":
				return a.parkedKeys(cmd, target, reveal, string(cursor))
			case reveal:
				return wrong(cmd, "--reveal needs a segment, as ENVIRONMENT/SEGMENT")
			}
			return a.parkedSegments(cmd, target.Tenant, string(cursor))
		},
	}
	a.bind(cmd)
	bindSegment(cmd)
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show the keys as they are, as an operator")
	cmd.Flags().Var(&cursor, "cursor", "go on where an earlier list says that there are more")
	return cmd
}

func (a *adminClient) parkedSegments(cmd *cobra.Command, tenant, cursor string) error {
	query := queryOf(admin.Target{Tenant: tenant})
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var list admin.ParkedList
	if done, err := a.get(cmd.Context(), "parked", query, &list); done || err != nil {
		return err
	}
	return a.showSegments(admin.SegmentList{Matching: list.Matching, Segments: list.Segments, Next: list.Next})
}

func (a *adminClient) parkedKeys(cmd *cobra.Command, t admin.Target, reveal bool, cursor string) error {
	var page status.ParkedPage
	var done bool
	var err error
	if reveal {
		done, err = a.post(cmd.Context(), "parked/reveal", admin.RevealRequest{Target: t, Cursor: cursor}, &page)
	} else {
		query := queryOf(t)
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		done, err = a.get(cmd.Context(), "parked", query, &page)
	}
	if done || err != nil {
		return err
	}
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(page.Keys) > 0 {
		_, _ = fmt.Fprint(out, "KEY\tVERB\tAT\tANSWER\t\n")
	}
	for _, k := range page.Keys {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", k.Shown, k.Verb, clock(k.At), status.Answer(k.Reason, k.Status, k.Transaction), k.Message)
	}
	_, _ = fmt.Fprintf(out, "%s.\n", status.Count(len(page.Keys), "key"))
	if page.Next != "" {
		_, _ = fmt.Fprintf(out, "There are more: --cursor %s\n", page.Next)
	}
	return out.Flush()
}

// notSeen ends a search that has found nothing.
type notSeen struct{ sentence string }

func (n notSeen) Error() string        { return n.sentence }
func (n notSeen) Is(target error) bool { return target == errNothing }

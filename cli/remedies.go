package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"audiences/api/admin"
	"audiences/status"
)

// remedy is one of the operator's commands that change something.
type remedy struct {
	*adminClient
	p      process
	what   status.Remedy
	dryRun bool
	yes    bool
	length textValue // of a pause
	until  textValue
	state  stateValue // of the segments that match
	search textValue
}

// remedyTexts are what the commands say of themselves.
var remedyTexts = []struct {
	what             status.Remedy
	use, short, long string
}{
	{status.Pause, "pause TENANT [ENV/SEGMENT]", "make no calls to Split for a tenant or a segment",
		`Keeps a tenant or a segment from calling Split. Posts are taken as before, and their
keys wait. The call under way ends, and no other begins, nor a repetition or a probe,
until the pause is over or somebody resumes it. It outlives a restart. That a pause has
ended by itself is an event.

  audiences pause acme-prod --for 2h
  audiences pause 7f3a env1/buyers --until 2026-11-30T08:00:00Z
`},
	{status.Resume, "resume TENANT [ENV/SEGMENT]", "end a pause",
		`Ends a pause. Where a tenant is resumed, segments of it that were paused by themselves
stay paused.

  audiences resume acme-prod
`},
	{status.Flush, "flush TENANT [ENV/SEGMENT]", "send now what is pending",
		`Has what is pending sent without waiting for the interval. The limits of Split hold.
What is paused is not flushed.

  audiences flush acme-prod env1/buyers
`},
	{status.Retry, "retry TENANT [ENV/SEGMENT]", "try again what Split has refused",
		`Makes parked keys pending again, and has a parked segment tried at once.

  audiences retry acme-prod env1/buyers
  audiences retry acme-prod --state parked --dry-run
`},
	{status.Discard, "discard TENANT [ENV/SEGMENT]", "delete what Split has refused",
		`Deletes parked keys, and of a parked segment also what is pending, as far as it was
accepted before the command. They are not delivered, and cannot be had back.

  audiences discard acme-prod env1/buyers --dry-run
  audiences discard acme-prod env1/buyers --yes
`},
	{status.Move, "move TENANT NEW", "hand the keys of a tenant to another one: the customer's new token",
		`Hands all pending and parked keys of a tenant to another one, because the customer has a
new apiToken. Both must have posted. Where both have a key pending the new one's stands.
The old tenant is left paused, so that late posts do not go to a dead token. A segment
that is paused by itself stays paused under the new token, until it is resumed there; a
pause of the whole old tenant holds none of what is moved.

  audiences move 7f3a acme-prod --dry-run
`},
}

func remedyCommands(p process) (commands []*cobra.Command) {
	for _, text := range remedyTexts {
		r := &remedy{adminClient: &adminClient{stdout: p.stdout}, p: p, what: text.what}
		cmd := &cobra.Command{
			Use: text.use, Short: text.short,
			Long: text.long + `
Exit codes: 0 done, 1 the relay did not answer or refused, or it failed with a segment,
2 the command line is wrong, 3 there was nothing to do; of flush also: what is meant is
paused, resume it first.
`,
			RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args) },
		}
		r.bind(cmd)
		flags := cmd.Flags()
		flags.BoolVar(&r.dryRun, "dry-run", false, "change nothing: say about how many keys it would concern")
		if r.what == status.Pause {
			flags.Var(&r.length, "for", "when the pause ends by itself, as a `length` of time: 30m, 2h")
			flags.Var(&r.until, "until", "when the pause ends by itself, as a `time`: 2026-11-30T08:00:00Z")
		}
		if r.what == status.Discard || r.what == status.Move {
			flags.BoolVar(&r.yes, "yes", false, "do not ask")
		}
		if r.what != status.Move {
			bindSegment(cmd)
			flags.Var(&r.state, "state", "every segment of the tenant in this `state`, one by one")
			flags.Var(&r.search, "search", "every segment of the tenant whose name or environment has this `text` in it, one by one")
		}
		commands = append(commands, cmd)
	}
	return commands
}

func (r *remedy) run(cmd *cobra.Command, args []string) error {
	asked, err := r.request(cmd, args)
	if err != nil {
		return err
	}
	if (r.what == status.Discard || r.what == status.Move) && !r.yes && !r.dryRun {
		if err := r.confirm(cmd, asked); err != nil {
			return err
		}
	}
	return r.carryOut(cmd.Context(), asked)
}

// request is what the command line asks for.
func (r *remedy) request(cmd *cobra.Command, args []string) (asked admin.RemedyRequest, err error) {
	asked = admin.RemedyRequest{For: string(r.length), DryRun: r.dryRun}
	if r.until != "" {
		at, err := time.Parse(time.RFC3339, string(r.until))
		if err != nil {
			return asked, wrong(cmd, "--until takes a time such as 2026-11-30T08:00:00Z")
		}
		asked.Until = &at
	}
	switch filtered := r.state != "" || r.search != ""; {
	case r.what == status.Move:
		if len(args) != 2 {
			return asked, wrong(cmd, "it takes the tenant and the new one")
		}
		asked.Tenant, asked.To = args[0], args[1]
	case filtered && len(args) == 1:
		asked.Filter = &admin.Filter{Tenant: args[0], State: status.State(r.state), Search: string(r.search)}
		err = noSegmentFlags(cmd)
	case filtered:
		return asked, wrong(cmd, "with --state or --search it takes a tenant alone")
	default:
		asked.Target, err = targetOf(cmd, args)
	}
	return asked, err
}

// bindSegment adds the flags that tell apart segments of one tenant with the same names.
func bindSegment(cmd *cobra.Command) {
	cmd.Flags().Var(new(textValue), "workspace", "of the segment, where its other names are not enough: its `id`")
	cmd.Flags().Var(new(textValue), "traffic-type", "the same: the `id` of its traffic type")
}

// targetOf reads TENANT [ENV/SEGMENT], and the flags of bindSegment.
func targetOf(cmd *cobra.Command, args []string) (t admin.Target, err error) {
	if len(args) == 0 || len(args) > 2 || args[0] == "" {
		return t, wrong(cmd, "it takes a tenant, by its fingerprint, a beginning of that or its name, and ENV/SEGMENT")
	}
	t.Tenant = args[0]
	if len(args) == 2 {
		var ok bool
		if t.Environment, t.Segment, ok = strings.Cut(args[1], "/"); !ok || t.Environment == "" || t.Segment == "" {
			return t, wrong(cmd, "a segment is named as ENVIRONMENT/SEGMENT")
		}
	}
	if t.Segment == "" {
		return t, noSegmentFlags(cmd)
	}
	t.Workspace, t.TrafficType = cmd.Flag("workspace").Value.String(), cmd.Flag("traffic-type").Value.String()
	return t, nil
}

// confirm says what would be done, and asks whether it is to be. Where nobody is there to
// answer it is not done.
func (r *remedy) confirm(cmd *cobra.Command, asked admin.RemedyRequest) error {
	if !r.p.interactive() {
		return wrong(cmd, "this cannot be undone: say --yes, or --dry-run")
	}
	asked.DryRun = true
	var would admin.RemedyAnswer
	ask := *r.adminClient
	ask.json = false
	if _, err := ask.post(cmd.Context(), "remedies/"+string(r.what), asked, &would); err != nil {
		return err
	}
	return r.p.ask(would.Sentence)
}

// ask asks whether to do what the sentence says; nil: yes.
func (p process) ask(sentence string) error {
	_, _ = fmt.Fprintf(p.stderr, "%s\nDo it? [y/N]\n", sentence)
	answer, err := bufio.NewReader(io.LimitReader(p.stdin, 100)).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(answer), "y") {
		return fmt.Errorf("%w: it was not done", errNothing)
	}
	return nil
}

func (r *remedy) carryOut(ctx context.Context, asked admin.RemedyRequest) error {
	var did admin.RemedyAnswer
	printed, err := r.post(ctx, "remedies/"+string(r.what), asked, &did)
	if err == nil && !printed {
		_, err = fmt.Fprintln(r.stdout, did.Sentence)
	}
	for _, f := range did.Failed {
		_, _ = fmt.Fprintf(r.p.stderr, "%s %s/%s: %s\n", f.Tenant, f.Environment, f.Segment, f.Error)
	}
	if did.Failures > 0 {
		return fmt.Errorf("it failed with %s", status.Count(did.Failures, "segment"))
	}
	return err
}

// interactive reports whether a person may answer a question.
func (p process) interactive() bool {
	file, ok := p.stdin.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil // /dev/null is no terminal
}

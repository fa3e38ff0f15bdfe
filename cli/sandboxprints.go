package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"audiences/actors"
	"audiences/sandbox"
	"audiences/status"
)

// verdict says whether what was accepted came through, and is an error where it did not:
// more keys are wrong than the relay has left, or Split was called as it must not be.
func (t trial) verdict(out io.Writer, split *sandbox.Split, traffic *sandbox.Traffic, left int) error {
	compared, broken := traffic.Compare(split), len(split.Violations())
	wrong := max(0, compared.Wrong-left)
	waiting := compared.Wrong - wrong
	broken += wrong
	counts := split.Counts()
	fmt.Fprintf(out, verdictText, traffic.Accepted(), traffic.Refused(), counts.Calls, counts.Keys, left, compared.Keys-compared.Wrong, waiting, wrong, broken, saved(traffic.Accepted(), counts.Calls))
	if broken > 0 {
		for _, violation := range split.Violations() {
			fmt.Fprintln(out, " ", violation)
		}
		return fmt.Errorf("%d promises were broken", broken)
	}
	return nil
}

// saved is how many of the calls that one for each key would have been were not made.
func saved(posts int64, calls int) string {
	if posts == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%d (%.1f %%)", max(0, posts-int64(calls)), 100*max(0, 1-float64(calls)/float64(posts)))
}

// tellEvents prints what happens, once a second, until ctx ends. events are the last ones,
// the newest first; none where nobody can tell.
func tellEvents(ctx context.Context, out io.Writer, events func(context.Context) []status.Event) *sync.WaitGroup {
	var telling sync.WaitGroup
	telling.Go(func() {
		told := uint64(0)
		ticks := time.NewTicker(time.Second)
		defer ticks.Stop()
		for {
			for _, event := range slices.Backward(events(ctx)) {
				if event.Number > told {
					told = event.Number
					fmt.Fprintf(out, "         %s\n", status.EventSentence(event))
				}
			}
			select {
			case <-ticks.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return &telling
}

// eventsOf are those of the relay in this process; none once it stops.
func (t trial) eventsOf(relay *actors.Relay) func(context.Context) []status.Event {
	names := t.names()
	return func(ctx context.Context) []status.Event {
		events, _ := relay.Events(ctx, 0, 100)
		for i := range events {
			events[i].Name = names[events[i].Tenant]
		}
		return events
	}
}

const relayText = `
relay         %s   (self-signed certificate, made for this run)
page          http://%s/admin/dashboard
probes        http://%s/readyz and /metrics
look-alike    %s/sandbox/   (Split's part, with switches for its faults)
`

const fleetText = `
balancer      %s   (before the nodes; self-signed certificate, made for this run)
%slook-alike    %s/sandbox/   (Split's part, with switches for its faults)
`

const tryText = `
Paste this; the key arrives in the look-alike after the flush interval:

  curl -k -H 'Authorization: %s' %s \
    -d '{"apiToken":"demo","workspaceId":"w","environmentId":"e","trafficTypeId":"t","verb":"add","mpids":["1"],"segment":"sDemo"}'
  curl %s/sandbox/segments/e/sDemo

Every call to Split prints a line below, and every event. Ctrl-C stops.

`

const splitOnlyText = `
look-alike    %s/sandbox/   (with switches for its faults)
              "splitApiUrl": "%s" in audiences.config has a relay call it

Every call prints a line below. Ctrl-C stops.

`

const verdictText = `
keys in              %d accepted, %d posts refused
calls out            %d, with %d keys
left undelivered     %d keys, pending or parked; they would have stayed in the journal
keys compared        %d as they should be, %d wait for what is undelivered, %d wrong
promises broken      %d
calls saved          %s, against one call for each key
`

// tally prints each call to the look-alike with what it saved so far.
type tally struct {
	out    io.Writer
	began  time.Time
	posted func() int64

	mu          sync.Mutex
	calls, keys int
}

func (t *tally) call(c sandbox.Call) {
	if c.Verb == 0 {
		return // not a change: somebody looks at the keys
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if c.Applied {
		t.keys += c.Keys
	}
	line := fmt.Sprintf("%6.1fs  %-6s %5d keys  %s/%s  %d", time.Since(t.began).Seconds(), c.Verb, c.Keys, c.Environment, c.Segment, c.Status)
	if c.Outcome != sandbox.OutcomeOK {
		line += " " + c.Outcome
	}
	if posted := t.posted(); posted > 0 {
		line += fmt.Sprintf("   (so far %d posts in, %d keys delivered in %d calls)", posted, t.keys, t.calls)
	}
	fmt.Fprintln(t.out, line)
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// stages are where the relay's processor time goes. A sample belongs to the first
// of them that has a function in its stack: what is called comes before its callers.
var stages = []struct {
	name  string
	calls []string // beginnings of function names
}{
	{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcAssistAlloc"}},
	{"sockets", []string{"internal/poll.", "net.(*netFD)", "net.(*conn)"}},
	{"TLS handshake", []string{"crypto/tls.(*Conn).HandshakeContext"}},
	{"TLS records", []string{"crypto/tls."}},
	{"decode the body", []string{"audiences/api.(*decoder)", "audiences/api.(*fields)"}},
	{"tenant's identity", []string{"audiences/audience.NewTenant"}},
	{"journal: hand over", []string{"audiences/journal/embedded.(*Journal).Append", "audiences/journal/embedded.(*Journal).submit"}},
	{"journal: fsync", []string{"github.com/cockroachdb/pebble/v2/vfs.", "github.com/cockroachdb/pebble/v2/record."}},
	{"journal: commit", []string{"audiences/journal/embedded.(*committer)"}},
	{"journal: flushes and compactions", []string{"github.com/cockroachdb/pebble/v2.(*DB)"}},
	{"calls to Split", []string{"audiences/splitclient.", "net/http.(*persistConn)", "net/http.(*Transport)", "audiences/actors.(*settings).deliver"}},
	{"actors: registry", []string{"audiences/actors.(*registry).Receive"}},
	{"actors: tenant", []string{"audiences/actors.(*tenant).Receive"}},
	{"actors: segment", []string{"audiences/actors.(*cell).Receive"}},
	{"actors: library", []string{"github.com/asynkron/protoactor-go/"}},
	{"api", []string{"audiences/api."}},
	{"Echo", []string{"github.com/labstack/echo"}},
	{"HTTP", []string{"net/http."}},
	{"scheduler", []string{"runtime.mcall", "runtime.park_m", "runtime.schedule", "runtime.findRunnable", "runtime.mstart", "runtime.sysmon"}},
}

const otherStage = "other"

// stageOf is the stage of one sample's stack.
func stageOf(stack []string) string {
	for _, stage := range stages {
		for _, begin := range stage.calls {
			if slices.ContainsFunc(stack, func(function string) bool { return strings.HasPrefix(function, begin) }) {
				return stage.name
			}
		}
	}
	return otherStage
}

// costs are processor times by stage.
type costs map[string]time.Duration

// costsOf sums up a CPU profile.
func costsOf(p *profile.Profile) costs {
	sums := costs{}
	for _, sample := range p.Sample {
		var stack []string
		for _, location := range sample.Location {
			for _, line := range location.Line {
				stack = append(stack, line.Function.Name)
			}
		}
		sums[stageOf(stack)] += time.Duration(sample.Value[len(sample.Value)-1])
	}
	return sums
}

// commitStage stands for what a post waits for; the others are processor time.
const commitStage = "wait for the commit (not CPU)"

// measureStages: what one post costs, stage by stage, over connections that are
// kept and over new ones.
func measureStages(ctx context.Context, h *house, r *report) error {
	kept, err := h.stageCosts(ctx, func(t target, lasting time.Duration) (outcome, error) {
		return t.closedLoop(ctx, keptConnections, lasting)
	})
	if err != nil {
		return err
	}
	fresh, err := h.stageCosts(ctx, func(t target, lasting time.Duration) (outcome, error) {
		return t.fresh(ctx, handshakeWorkers, lasting)
	})
	if err != nil {
		return err
	}
	paced, err := h.stageCosts(ctx, func(t target, lasting time.Duration) (outcome, error) {
		return t.openLoop(ctx, openConnections, openRate, lasting)
	})
	if err != nil {
		return err
	}
	rows := [][]string{{"CPU a post", "keep-alive", fmt.Sprintf("keep-alive, %d posts/s", openRate), "new connection, ECDSA"}}
	for _, name := range append(stageNames(), commitStage) {
		if kept[name]+paced[name]+fresh[name] != "" {
			rows = append(rows, []string{name, kept[name], paced[name], fresh[name]})
		}
	}
	r.table("stages", rows)
	return nil
}

// stageCosts are the cells of a column, by stage.
func (h *house) stageCosts(ctx context.Context, load func(target, time.Duration) (outcome, error)) (map[string]string, error) {
	s, address, err := h.profiledSite(ctx, h.ecdsa)
	if err != nil {
		return nil, err
	}
	l := newLedger("", manySegments)
	if _, err := load(s.target(l), h.each); err != nil { // the first posts start the actors
		return nil, err
	}
	var o outcome
	profiled := 2 * h.each
	sums, err := during(address, profiled, func() (err error) {
		o, err = load(s.target(l), profiled+time.Second)
		return err
	})
	if err != nil {
		return nil, err
	}
	posts := float64(o.posts) * profiled.Seconds() / o.took.Seconds()
	cells := map[string]string{}
	for stage, sum := range sums {
		cells[stage] = fmt.Sprintf("%.1f us", sum.Seconds()*1e6/posts)
	}
	if cells[commitStage], err = s.commitWait(); err != nil {
		return nil, err
	}
	return cells, (&ledgered{s, l}).finish(ctx)
}

// stageNames are all stages, in their order.
func stageNames() (names []string) {
	for _, stage := range stages {
		names = append(names, stage.name)
	}
	return append(names, otherStage)
}

// commitWait says how long a commit took and how many operations shared it.
func (s *site) commitWait() (string, error) {
	m, err := s.relay.Metrics()
	if err != nil {
		return "", err
	}
	commits := max(1, m["audiences_journal_commit_seconds_count"])
	return fmt.Sprintf("%s for %.0f posts at once", millis(time.Duration(m["audiences_journal_commit_seconds_sum"]/commits*float64(time.Second))),
		m["audiences_journal_commit_operations_sum"]/max(1, m["audiences_journal_commit_operations_count"])), nil
}

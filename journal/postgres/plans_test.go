//go:build e2e

package postgres

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	server "audiences/sandbox/postgres"
)

// paper is a server's log.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

var (
	writes = regexp.MustCompile(`(?s)Query Text: .*?(INSERT INTO|UPDATE|DELETE FROM) (pending|parked|segment)`)
	// strays are the ways to rows that do not follow the index.
	strays = regexp.MustCompile(`Seq Scan on (pending|parked|segment)|Bitmap|Hash Join|Merge Join|HashAggregate|Hash Semi|Hash Anti`)
)

// TestPlansKeepTheOrder: every statement that locks rows of keys or segments comes to them by
// an index, and so in their order, whether the tables are empty or full, and whatever the
// database believes of them.
func TestPlansKeepTheOrder(t *testing.T) {
	log := &paper{}
	own, err := server.Start(t.Context(), server.Options{Log: log, Settings: map[string]string{
		"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	}()
	c := newCluster(t)
	c.url = own.URL()
	j := c.owner()
	who, other := tenant("token"), tenant("other")
	s := segment(who, "s")
	move := func(from, to audience.Tenant) {
		if err := wait(c, func(done func(error)) {
			j.MoveTenant(from.ID, to.ID, func(_ []audience.Segment, _ int, err error) { done(err) })
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		c.accept(j, s, audience.Add, numbered(0, 900))
		entries := c.load(j, s).Entries
		c.settle(j, s, drawn(entries[:300]), journal.Receipt{At: time.Now(), Verb: audience.Add})
		c.park(j, s, audience.Add, drawn(entries[300:600]), "why")
		c.unpark(j, s, false, numbered(300, 310))
		c.unpark(j, s, true, numbered(310, 320))
		move(who, other)
		move(other, who)
		c.park(j, s, audience.Add, drawn(c.load(j, s).Entries[:10]), "why")
		c.unpark(j, s, false, "")
		if err := j.ask(j.tidy); err != nil {
			t.Fatal(err)
		}
		if _, err := own.SQL(t.Context(), "VACUUM ANALYZE"); err != nil {
			t.Fatal(err)
		}
		if err := j.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = j.Close() // the next round plans anew
		j = c.owner()

	}
	seen := 0
	for _, plan := range strings.Split(log.String(), "LOG:  duration:") {
		if !writes.MatchString(plan) {
			continue
		}
		seen++
		if stray := strays.FindString(plan); stray != "" {
			t.Errorf("%s in %s", stray, plan)
		}
	}
	if seen < 40 {
		t.Errorf("only %d plans are in the log", seen)
	}
}

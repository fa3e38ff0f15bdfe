//go:build e2e

package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// twice has the next task of a lane done twice, as where the database did it and its answer
// was lost.
func (c *cluster) twice(l *lane) {
	c.Helper()
	release, waits := make(chan struct{}), make(chan struct{})
	l.put(task{do: func(context.Context, *pgx.Conn) error { close(waits); <-release; return nil }})
	<-waits
	go func() {
		defer close(release)
		for range 1000 {
			l.mu.Lock()
			if len(l.queue) > 0 {
				do := l.queue[0].do
				l.queue[0].do = func(ctx context.Context, conn *pgx.Conn) error {
					if err := do(ctx, conn); err != nil {
						return err
					}
					return do(ctx, conn)
				}
				l.mu.Unlock()
				return
			}
			l.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}()
}

// TestDoneTwice: whatever is repeated because its answer was lost has the effect of one.
func TestDoneTwice(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	who := tenant("token")
	s := segment(who, "s")
	lane := j.laneOf(idOf(s))
	at := time.Now().UTC().Truncate(time.Microsecond)
	version := c.accept(j, s, audience.Add, "1 2 3 4")
	c.twice(lane)
	equal(t, "settled", c.settle(j, s, covered("1", version), journal.Receipt{At: at, Verb: audience.Add, Call: 7}), "")
	equal(t, "receipts", sql[int64](c, `SELECT count(*) FROM receipt`), 1)
	c.twice(lane)
	equal(t, "parked", c.park(j, s, audience.Add, covered("2 3", version), "why"), "")
	c.twice(lane)
	c.unpark(j, s, false, "2")
	c.twice(lane)
	c.unpark(j, s, true, "3")
	equal(t, "what is left", c.pending(j, s)+c.parked(j, s), "+2 +4")
	c.twice(j.lanes[0])
	if err := wait(c, func(done func(error)) { j.NoteEvent(journal.Event{Number: 3, Text: []byte("event")}, done) }); err != nil {
		t.Fatal(err)
	}
	equal(t, "events", sql[int64](c, `SELECT count(*) FROM event`), 1)
	to := segment(tenant("other"), "s")
	err := make(chan error, 1)
	j.MoveTenant(who.ID, to.Tenant, func(_ []audience.Segment, _ int, e error) { err <- e })
	c.twice(j.behind)
	if err := <-err; err != nil {
		t.Fatal(err)
	}
	equal(t, "moved", c.pending(j, to)+c.pending(j, s), "+2 +4")
}

// TestEventsComeLast: an event of a node that counts from far behind is not older than those
// of the others.
func TestEventsComeLast(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	sql[int64](c, `WITH made AS (INSERT INTO event SELECT n, 0, n, 'old' FROM generate_series(5001, 6500) n RETURNING 1) SELECT count(*) FROM made`)
	if err := j.ask(j.tidy); err != nil {
		t.Fatal(err)
	}
	if err := wait(c, func(done func(error)) { j.NoteEvent(journal.Event{Number: 11, Text: []byte("new")}, done) }); err != nil {
		t.Fatal(err)
	}
	var last journal.Event
	for e, err := range j.Events() {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	equal(t, "last event", fmt.Sprintf("%d %s", last.Number, last.Text), "6501 new")
}

// TestReceiptsOfWrongClocks are kept, and do not keep a key from being settled.
func TestReceiptsOfWrongClocks(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	for _, days := range []int{-400, -2, 0, 9, 400} {
		at := time.Now().AddDate(0, 0, days).UTC().Truncate(time.Microsecond)
		c.settle(j, s, covered("1", c.accept(j, s, audience.Add, "1")), journal.Receipt{At: at, Verb: audience.Add, Call: uint64(1000 + days)})
	}
	equal(t, "pending", c.pending(j, s), "")
	found := wait(c, func(done func(journal.Found)) { j.Find(journal.Find{Segment: s, Key: keys("1")[0], Done: done}) })
	equal(t, "deliveries", len(found.Sightings), 5)
}

// TestFindOfWhatIsIdle: a segment that has had no key for hours is still found by who looks
// for its deliveries.
func TestFindOfWhatIsIdle(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	version := c.accept(j, s, audience.Add, "1")
	sql[int64](c, `WITH s AS (UPDATE segment SET seen = now() - interval '30 days' RETURNING 1) SELECT count(*) FROM s`)
	c.settle(j, s, covered("1", version), journal.Receipt{At: time.Now(), Verb: audience.Add, Call: 7})
	if err := j.ask(j.tidy); err != nil {
		t.Fatal(err)
	}
	found := wait(c, func(done func(journal.Found)) { j.Find(journal.Find{Tenant: s.Tenant, Key: keys("1")[0], Done: done}) })
	equal(t, "sightings", len(found.Sightings), 1)
}

// TestDamagedRecords is I6 and I8: one record that cannot be read hides no other one.
func TestDamagedRecords(t *testing.T) {
	c := newCluster(t)
	told := make(chan Hint, 100)
	j := c.owner(func(o *Options) { o.Hinted = func(h Hint) { told <- h } })
	var all []audience.Segment // of one slot, the first one is to be damaged
	for n := 0; len(all) < 3; n++ {
		if who := tenant(fmt.Sprint("token", n)); who.ID.Slot() == 7 {
			j.PutTenant(who)
			all = append(all, segment(who, "s"))
			c.accept(j, all[len(all)-1], audience.Add, "1")
		}
	}
	slices.SortFunc(all, func(a, b audience.Segment) int { return cmp.Compare(string(a.Tenant[:]), string(b.Tenant[:])) })
	id := all[0].Tenant
	sql[int64](c, `WITH t AS (UPDATE tenant SET token = 'x' WHERE id = $1 RETURNING 1), s AS (UPDATE segment SET state = '[]' WHERE tenant = $1 RETURNING 1) SELECT count(*) FROM s, t`, id[:])
	heard := map[audience.Segment]bool{}
	for len(told) > 0 { // from before the damage
		<-told
	}
	for deadline := time.After(20 * time.Second); len(heard) < 2; {
		select {
		case h := <-told:
			if h.Segment != all[0] {
				heard[h.Segment] = true
			}
		case <-deadline:
			t.Fatalf("only %d segments are heard of", len(heard))
		}
	}
	for what, list := range map[string]func(func(error)){
		"segments": func(note func(error)) {
			for _, err := range j.Segments(audience.AllSlots()) {
				note(err)
			}
		},
		"tenants": func(note func(error)) {
			for _, err := range j.Tenants(audience.AllSlots()) {
				note(err)
			}
		},
	} {
		var good, bad int
		list(func(err error) {
			if err == nil {
				good++
			} else {
				bad++
			}
		})
		equal(t, "readable "+what, good, 2)
		equal(t, "damaged "+what, bad, 1)
	}
}

// TestOddTexts: whatever a key or a message of Split's is made of comes back as it was.
func TestOddTexts(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	odd := []string{"\x00", "a\x00b", "'; DROP TABLE pending; --", `\x41`, "NULL", "null", "{}", "{1,2}", `"`, "ü", "\U0001F600", "é", "e\u0301", "-0", "007",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", string(long('k', 250)), string(long('\U0001F600', 250))}
	var all []audience.Key
	for _, text := range odd {
		key, err := audience.ParseKey(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, key)
	}
	done := make(chan error, 1)
	version := j.Append(journal.Append{Tenant: s.Tenant, Done: func(err error) { done <- err },
		Changes: []journal.Change{{Segment: s, Verb: audience.Add, Keys: audience.KeysOf(all...)}}})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	equal(t, "pending", len(c.load(j, s).Entries), len(odd))
	refusal := journal.Refusal{Reason: "bad_request", Message: "a NUL \x00, a tag <é> and what is no UTF-8", At: time.Now().UTC().Truncate(time.Second)}
	err := wait(c, func(done func(error)) {
		j.Park(journal.Park{Segment: s, Verb: audience.Add, Selection: journal.Selection{Keys: slices.Values(all), NotAfter: version}, Refusal: refusal,
			Done: func(_ []audience.Key, err error) { done(err) }})
	})
	if err != nil {
		t.Fatal(err)
	}
	page := wait(c, func(done func(journal.ParkedPage)) { j.Parked(journal.ParkedQuery{Segment: s, Limit: 100, Done: done}) })
	seen := map[string]bool{}
	for _, e := range page.Entries {
		seen[e.Key.Text()] = e.Refusal == refusal
	}
	for _, text := range odd {
		if !seen[text] {
			t.Errorf("%.20q is not parked as it was", text)
		}
	}
	state := journal.SegmentState{Parked: &refusal, PausedBy: "\x00"}
	if err := wait(c, func(done func(error)) { j.SetSegmentState(s, state, done) }); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", *c.load(j, s).State.Parked, refusal)
}

func long(of rune, n int) (text []rune) {
	for range n {
		text = append(text, of)
	}
	return text
}

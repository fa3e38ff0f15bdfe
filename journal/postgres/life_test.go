//go:build e2e

package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/vault"
	"audiences/placement"
)

// TestLifeOfAKey is all that happens to keys, on two nodes of which one owns all tenants.
func TestLifeOfAKey(t *testing.T) {
	c := newCluster(t)
	one, two := c.owner(), c.node()
	who := tenant("token")
	s := segment(who, "s")
	two.PutTenant(who)
	c.accept(two, s, audience.Add, "1 2 3 x")
	equal(t, "seen by the owner", c.pending(one, s), "+1 +2 +3 +x")
	c.accept(one, s, audience.Delete, "2 4")
	page := c.load(one, s)
	c.accept(two, s, audience.Delete, "3") // after the page
	equal(t, "newer", c.settle(one, s, drawn(page.Entries), journal.Receipt{}), "3")
	equal(t, "settled", c.pending(two, s), "-3")

	version := c.accept(one, s, audience.Add, "5 6")
	c.accept(two, s, audience.Delete, "6")
	equal(t, "covered and newer", c.settle(one, s, covered("5 6", version), journal.Receipt{}), "6")
	equal(t, "settled by what covers", c.pending(one, s), "-3 -6")

	equal(t, "not parked", c.park(one, s, audience.Delete, drawn(c.load(one, s).Entries), "bad_request"), "")
	equal(t, "parked", c.parked(one, s), "-3:bad_request -6:bad_request")
	c.accept(two, s, audience.Add, "3") // takes its place
	equal(t, "superseded", c.parked(one, s)+" "+c.pending(one, s), "-6:bad_request +3")
	equal(t, "tried again", c.unpark(one, s, false, ""), 1)
	equal(t, "pending again", c.parked(one, s)+c.pending(one, s), "+3 -6")
	c.park(one, s, audience.Add, drawn(c.load(one, s).Entries), "gone")
	equal(t, "given up", c.unpark(one, s, true, "3 7"), 1)
	equal(t, "what is left", c.parked(one, s)+c.pending(one, s), "+6:gone") // Park was told that its verb is add
}

// TestLastVerbOfAGroup: of two changes of one key in one post the later one counts.
func TestLastVerbOfAGroup(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	done := make(chan error, 1)
	j.Append(journal.Append{Tenant: s.Tenant, Done: func(err error) { done <- err }, Changes: []journal.Change{
		{Segment: s, Verb: audience.Add, Keys: audience.KeysOf(keys("1 2")...)},
		{Segment: s, Verb: audience.Delete, Keys: audience.KeysOf(keys("2 3")...)},
	}})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	equal(t, "pending", c.pending(j, s), "+1 -2 -3")
}

// TestLateBeat: a beat that was given up, and comes after a newer one, does nothing.
func TestLateBeat(t *testing.T) {
	c := newCluster(t)
	one, two := c.owner(), c.node()
	c.beat(two, placement.Beat{Lease: time.Millisecond})
	c.beat(one, placement.Beat{})
	time.Sleep(10 * time.Millisecond)
	var view placement.View
	late := placement.Beat{Lease: time.Hour, Leaving: true, Bury: always, Release: audience.AllSlots()}
	err := one.onTable(t.Context(), func() *pgx.Batch { return one.beat(1, late, &view) })
	if err != nil || len(view.Members) != 2 || view.Members[0].Leaving || view.Of(one.Self()) != audience.AllSlots() {
		t.Errorf("after a late beat: %+v, %v", view, err)
	}
}

// always has all be declared dead whose lease is over.
var always = placement.Burial{Foreseen: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}

// TestLateBurial: a beat that comes when its node's own lease is over by the database's clock
// declares nobody dead, as where the server stood still for as long as all leases.
func TestLateBurial(t *testing.T) {
	c := newCluster(t)
	one, two := c.node(), c.node()
	c.beat(one, placement.Beat{Lease: time.Millisecond})
	c.beat(two, placement.Beat{Lease: time.Millisecond})
	time.Sleep(10 * time.Millisecond)
	equal(t, "members after a beat that came late", len(c.beat(one, placement.Beat{Bury: always}).Members), 2)
	early := placement.Burial{Foreseen: time.Now().Add(-time.Minute)}
	c.beat(one, placement.Beat{Lease: time.Minute})
	equal(t, "members after one whose clock was set ahead", len(c.beat(one, placement.Beat{Lease: time.Minute, Bury: early}).Members), 2)
	late := placement.Burial{Foreseen: always.Foreseen, Late: time.Minute}
	equal(t, "members after one for which it is too early", len(c.beat(one, placement.Beat{Lease: time.Minute, Bury: late}).Members), 2)
	equal(t, "members after one that came in time", len(c.beat(one, placement.Beat{Bury: always}).Members), 1)
}

// TestFenceOfTheDead is F1: a node that was declared dead writes nothing.
func TestFenceOfTheDead(t *testing.T) {
	c := newCluster(t)
	one, two := c.owner(), c.node()
	s := segment(tenant("token"), "s")
	c.beat(two, placement.Beat{Lease: time.Millisecond})
	time.Sleep(10 * time.Millisecond)
	equal(t, "members", len(c.beat(one, placement.Beat{Bury: always}).Members), 1)
	if _, err := accept(two, s, audience.Add, "1"); !errors.Is(err, errFenced) {
		t.Errorf("a dead node's change: %v", err)
	}
	if view, err := two.Beat(t.Context(), placement.Beat{Lease: time.Hour, Claim: audience.AllSlots()}); err != nil || !view.Dead {
		t.Errorf("a dead node's beat: %+v, %v", view, err)
	}
	equal(t, "pending", c.pending(one, s), "")
	equal(t, "owned by the other one", sql[int64](c, `SELECT count(*) FROM slot WHERE owner = $1`, int64(one.Self())), int64(audience.SlotCount))
}

// TestFenceOfTheLate is F1: what a row kept waiting for too long is not written, and a newer
// change that was answered meanwhile stands. Without the fence it is overwritten.
func TestFenceOfTheLate(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(fmt.Sprintf("without %v", without), func(t *testing.T) {
			c := newCluster(t)
			one := c.owner()
			two := c.node(func(o *Options) { o.Without.Deadline = without })
			s := segment(tenant("token"), "s")
			c.accept(one, s, audience.Add, "1")
			// The post waits in the node, as in a process that stands still.
			two.intake.mu.Lock()
			two.intake.gathering(time.Now().Add(-5*time.Second), 1)
			two.intake.mu.Unlock()
			c.accept(one, s, audience.Delete, "1") // its caller gave up, and the next change came to the other node
			_, err := accept(two, s, audience.Add, "1")
			if late := err != nil; late == without {
				t.Errorf("%v", err)
			}
			want := "-1"
			if without {
				want = "+1"
			}
			equal(t, "what is left", c.pending(one, s), want)
		})
	}
}

// TestDeadlineInTheDatabase: the fence also looks at the database's clock, for what stood
// still on its way there.
func TestDeadlineInTheDatabase(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	j.clock.heard(j.clock.at(time.Now()).Add(-time.Minute), time.Now(), time.Now()) // as if the answer had taken a minute
	if _, err := accept(j, s, audience.Add, "1"); !errors.Is(err, errFenced) {
		t.Errorf("%v", err)
	}
	c.beat(j, placement.Beat{})
	c.accept(j, s, audience.Add, "1")
}

// TestFenceOfVersions is F2: with it, a change that came after the page was read is not
// settled with what Split got; without it, it is lost.
func TestFenceOfVersions(t *testing.T) {
	for without, want := range map[bool]string{false: "-1", true: ""} {
		c := newCluster(t)
		one, two := c.owner(func(o *Options) { o.Without.Versions = without }), c.node()
		s := segment(tenant("token"), "s")
		c.accept(one, s, audience.Add, "1")
		page := c.load(one, s)
		c.accept(two, s, audience.Delete, "1")
		c.settle(one, s, drawn(page.Entries), journal.Receipt{})
		equal(t, fmt.Sprintf("without the fence %v", without), c.pending(one, s), want)
	}
}

// TestOtherKey: a node with another key for the tokens is refused, and says why.
func TestOtherKey(t *testing.T) {
	c := newCluster(t)
	c.node()
	other, _ := vault.Make()
	if _, err := Open(t.Context(), Options{URL: c.url, Vault: other}); err == nil {
		t.Error("it is taken")
	}
}

// TestOlderAndNewerFormats: a program goes on with the next format, and not with the one
// after that.
func TestOlderAndNewerFormats(t *testing.T) {
	c := newCluster(t)
	c.node()
	for format, taken := range map[int]bool{formatVersion + 1: true, formatVersion + 2: false} {
		sql[int](c, `UPDATE meta SET format = $1 RETURNING format`, format)
		j, err := Open(t.Context(), Options{URL: c.url, Vault: c.key})
		if (err == nil) != taken {
			t.Errorf("format %d: %v", format, err)
		}
		if err == nil {
			_ = j.Close()
		}
	}
}

// TestManyStartAtOnce on an empty database.
func TestManyStartAtOnce(t *testing.T) {
	c := newCluster(t)
	type opened struct {
		j   *Journal
		err error
	}
	all := make(chan opened)
	for range 6 {
		go func() {
			j, err := Open(context.Background(), Options{URL: c.url, Vault: c.key})
			all <- opened{j, err}
		}()
	}
	seen := map[placement.NodeID]bool{}
	for range 6 {
		o := <-all
		if o.err != nil {
			t.Error(o.err)
			continue
		}
		seen[o.j.Self()] = true
		defer func() { _ = o.j.Close() }()
	}
	equal(t, "numbers", len(seen), 6)
}

// TestStates are kept for the owner alone.
func TestStates(t *testing.T) {
	c := newCluster(t)
	one, two := c.owner(), c.node()
	who := tenant("token")
	s := segment(who, "s")
	one.PutTenant(who)
	state := journal.SegmentState{Paused: true, PausedBy: "me", PausedSince: time.Now().UTC().Truncate(time.Second)}
	set := func(j *Journal, state journal.SegmentState) error {
		return wait(c, func(done func(error)) { j.SetSegmentState(s, state, done) })
	}
	if err := set(one, state); err != nil {
		t.Fatal(err)
	}
	if err := set(two, journal.SegmentState{}); !errors.Is(err, errNotOwner) {
		t.Errorf("a node that owns nothing: %v", err)
	}
	c.accept(two, s, audience.Add, "1")
	equal(t, "state", c.load(two, s).State, state)
	c.accept(one, s, audience.Add, "1") // and with it the tenant's token
	if err := wait(c, func(done func(error)) { one.SetTenantState(who.ID, journal.TenantState{Paused: true}, done) }); err != nil {
		t.Fatal(err)
	}
	one.Prove(who.ID)
	n := 0
	for known, err := range two.Tenants(audience.AllSlots()) {
		n++
		if err != nil || known.Tenant != who || !known.State.Paused {
			t.Errorf("%+v, %v", known.State, err)
		}
	}
	for range two.Tenants(audience.Slots{}) {
		n++
	}
	equal(t, "tenants", n, 1)
	for listed, err := range two.Segments(audience.AllSlots()) {
		n++
		if err != nil || listed.Segment != s || !listed.Pending || listed.Keys != 1 || listed.Parked || listed.State != state {
			t.Errorf("%+v, %v", listed, err)
		}
	}
	for listed, err := range two.SegmentsOf(who.ID) {
		n++
		if err != nil || listed.Segment != s {
			t.Errorf("%+v, %v", listed, err)
		}
	}
	equal(t, "and segments", n, 3)
	c.until("the tenant is proven", func() bool {
		for id, err := range two.Proven(audience.AllSlots()) {
			if err == nil && id == who.ID {
				return true
			}
		}
		return false
	})
}

// until waits for something to come about.
func (c *cluster) until(what string, holds func() bool) {
	c.Helper()
	for range 300 {
		if holds() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.Fatalf("it did not come about that %s", what)
}

// TestEventsOfAllNodes have numbers of their own.
func TestEventsOfAllNodes(t *testing.T) {
	c := newCluster(t)
	one, two := c.node(), c.node()
	for i, j := range []*Journal{one, two, one} {
		e := journal.Event{Number: 7 + uint64(i/2), Text: fmt.Appendf(nil, "event %d", i)}
		if err := wait(c, func(done func(error)) { j.NoteEvent(e, done) }); err != nil {
			t.Fatal(err)
		}
	}
	var got string
	for e, err := range two.Events() {
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprintf("%d %s, ", e.Number, e.Text)
	}
	equal(t, "events", got, "7 event 0, 8 event 1, 9 event 2, ")
}

// TestMoveTenant: all keys go, unless the other tenant has them.
func TestMoveTenant(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	two := c.node()
	old, new := tenant("old"), tenant("new")
	from, to := segment(old, "s"), segment(new, "s")
	c.accept(two, from, audience.Add, "1 2 3 4")
	if err := wait(c, func(done func(error)) { j.SetSegmentState(from, journal.SegmentState{Paused: true}, done) }); err != nil {
		t.Fatal(err)
	}
	c.park(j, from, audience.Add, covered("3 4", two.Newest()), "why")
	c.accept(j, to, audience.Delete, "1 3")
	type answer struct {
		segments []audience.Segment
		keys     int
		err      error
	}
	got := wait(c, func(done func(answer)) {
		j.MoveTenant(old.ID, new.ID, func(s []audience.Segment, n int, err error) { done(answer{s, n, err}) })
	})
	if got.err != nil || len(got.segments) != 1 || got.segments[0] != to || got.keys != 2 {
		t.Errorf("%+v", got)
	}
	equal(t, "there", c.pending(j, to), "-1 +2 -3 +4")
	equal(t, "left behind", c.pending(j, from)+c.parked(j, from), "")
	// Another node wrote the row of the old segment lately, and does not write it again.
	c.accept(two, from, audience.Add, "9")
	listed := ""
	for l, err := range j.SegmentsOf(old.ID) {
		listed += fmt.Sprintln(l.Segment.Name, l.Keys, l.State.Paused, err)
	}
	equal(t, "posted since", listed, "s 1 false <nil>\n")
}

// TestMoveKeepsAPause: what an operator holds stays held under the other token.
func TestMoveKeepsAPause(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	from, to := segment(tenant("old"), "s"), segment(tenant("new"), "s")
	c.accept(j, from, audience.Add, "1")
	paused := journal.SegmentState{Paused: true, PausedBy: "me", PausedSince: time.Now().UTC().Truncate(time.Second)}
	if err := wait(c, func(done func(error)) { j.SetSegmentState(from, paused, done) }); err != nil {
		t.Fatal(err)
	}
	wait(c, func(done func(error)) {
		j.MoveTenant(from.Tenant, to.Tenant, func(_ []audience.Segment, _ int, err error) { done(err) })
	})
	equal(t, "of the new one", c.load(j, to).State, paused)
	equal(t, "of the old one", c.load(j, from).State, journal.SegmentState{})
}

// TestEventReplaces: a draft goes with the event that takes its place, whatever numbers both
// have got.
func TestEventReplaces(t *testing.T) {
	c := newCluster(t)
	one, two := c.node(), c.node()
	for i, note := range []struct {
		j *Journal
		e journal.Event
	}{{two, journal.Event{Number: 9}}, {one, journal.Event{Number: 3}}, {one, journal.Event{Number: 4, Replaces: 3}}} {
		note.e.Text = fmt.Append(nil, i)
		if err := wait(c, func(done func(error)) { note.j.NoteEvent(note.e, done) }); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "events", sql[string](c, `SELECT string_agg(convert_from(text, 'utf8'), ' ' ORDER BY number) FROM event`), "0 2")
}

// TestFind: what waits, what is parked, and what was delivered when.
func TestFind(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	who := tenant("token")
	s, other := segment(who, "s"), segment(who, "other")
	at := time.Now().UTC().Truncate(time.Microsecond)
	for n := range 3 {
		c.settle(j, s, covered("1 2", c.accept(j, s, audience.Add, "1 2")), journal.Receipt{At: at.Add(time.Duration(n) * time.Second), Verb: audience.Add, Call: uint64(n)})
	}
	c.accept(j, s, audience.Delete, "1")
	c.park(j, other, audience.Add, covered("1", c.accept(j, other, audience.Add, "1")), "why")
	for what, of := range map[string]journal.Find{"tenant": {Tenant: who.ID}, "all": {}, "segment": {Segment: s},
		"like": {Like: audience.Segment{Tenant: who.ID, Environment: "e", Name: "s"}}} {
		for limit := range 3 {
			var got []string
			find := of
			find.Key, find.Limit = keys("1")[0], limit
			known := false
			for more := true; more; {
				found := wait(c, func(done func(journal.Found)) { find.Done = done; j.Find(find) })
				if found.Err != nil || found.Since.IsZero() {
					t.Fatal(found.Err, found.Since)
				}
				for _, x := range found.Sightings {
					got = append(got, fmt.Sprintf("%s %s %d", x.Segment.Name, x.State, x.Call))
				}
				more, find.After, known = found.More, found.Next, found.Known
			}
			if about := find.Segment != find.Like; known != about {
				t.Errorf("%s: known %v", what, known)
			}
			want := map[string]bool{"s pending 0": true, "s delivered 0": true, "s delivered 1": true, "s delivered 2": true}
			if what == "tenant" || what == "all" {
				want["other parked 0"] = true
			}
			for _, line := range got {
				if !want[line] {
					t.Errorf("%s, %d at a time: %v", what, limit, got)
				}
				delete(want, line)
			}
			if len(want) > 0 {
				t.Errorf("%s, %d at a time: %v is not found", what, limit, want)
			}
		}
	}
	for what, of := range map[string]journal.Find{"segment": {Segment: segment(who, "x")}, "like": {Like: audience.Segment{Tenant: who.ID, Environment: "e", Name: "x"}}} {
		of.Key = keys("1")[0]
		if found := wait(c, func(done func(journal.Found)) { of.Done = done; j.Find(of) }); found.Known || len(found.Sightings) > 0 {
			t.Errorf("%s: %+v", what, found)
		}
	}
	bad := wait(c, func(done func(journal.Found)) { j.Find(journal.Find{Key: keys("1")[0], After: "!", Done: done}) })
	if !errors.Is(bad.Err, journal.ErrBadCursor) {
		t.Errorf("%v", bad.Err)
	}
}

// TestCount counts what waits and what is parked.
func TestCount(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	c.park(j, s, audience.Add, covered("1", c.accept(j, s, audience.Add, "1 2 3")), "why")
	equal(t, "counts", wait(c, func(done func(journal.Counts)) { j.Count(journal.Count{Segment: s, Done: done}) }), journal.Counts{Pending: 2, Parked: 1})
}

// TestHints: who owns a tenant hears of keys that another node took, soon; and of all, after
// a while, where the hint is lost.
func TestHints(t *testing.T) {
	c := newCluster(t)
	told := make(chan Hint, 100)
	c.owner(func(o *Options) { o.Hinted = func(h Hint) { told <- h } })
	two := c.node()
	who := tenant("token")
	hear := func(s audience.Segment) {
		t.Helper()
		for deadline := time.After(15 * time.Second); ; {
			select {
			case h := <-told:
				if h.Segment == s && h.Tenant == who {
					return
				}
			case <-deadline:
				t.Fatalf("nothing is heard of %s", s.Name)
			}
		}
	}
	two.PutTenant(who)
	hinted, lost := segment(who, "hinted"), segment(who, "lost")
	done := make(chan error, 1)
	two.Append(journal.Append{Tenant: who.ID, Hint: true, Done: func(err error) { done <- err },
		Changes: []journal.Change{{Segment: hinted, Verb: audience.Add, Keys: audience.KeysOf(keys("1")...)}}})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	hear(hinted)
	c.accept(two, lost, audience.Add, "1")
	hear(lost)
}

// TestTidy removes what has nothing and was not seen for long, and no other row.
func TestTidy(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	who, idle := tenant("token"), tenant("idle")
	empty, full, parked, paused, fresh := segment(who, "empty"), segment(who, "full"), segment(who, "parked"), segment(who, "paused"), segment(who, "fresh")
	j.PutTenant(who)
	j.PutTenant(idle)
	for _, s := range []audience.Segment{empty, full, parked, paused} {
		version := c.accept(j, s, audience.Add, "1")
		switch s {
		case parked:
			c.park(j, s, audience.Add, covered("1", version), "why")
		case empty, paused:
			c.settle(j, s, covered("1", version), journal.Receipt{})
		}
	}
	if err := wait(c, func(done func(error)) { j.SetSegmentState(paused, journal.SegmentState{Paused: true}, done) }); err != nil {
		t.Fatal(err)
	}
	sql[int64](c, `WITH s AS (UPDATE segment SET seen = now() - interval '3 days' RETURNING 1), t AS (UPDATE tenant SET seen = now() - interval '31 days' RETURNING 1) SELECT count(*) FROM s, t`)
	c.settle(j, fresh, covered("1", c.accept(j, fresh, audience.Add, "1")), journal.Receipt{})
	if err := j.ask(j.tidy); err != nil {
		t.Fatal(err)
	}
	equal(t, "segments", sql[string](c, `SELECT string_agg(name, ' ' ORDER BY name) FROM segment`), "fresh full parked paused")
	equal(t, "tenants", sql[int64](c, `SELECT count(*) FROM tenant`), 1)
}

// TestPlans: whatever is done with keys, no statement reads a whole table of them, and none
// of segments.
func TestPlans(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	who := tenant("token")
	for n := range 20 {
		s := segment(who, fmt.Sprint("s", n))
		c.park(j, s, audience.Add, covered(numbered(0, 200), c.accept(j, s, audience.Add, numbered(0, 500))), "why")
	}
	s := segment(who, "s1")
	c.accept(j, s, audience.Delete, numbered(0, 100))
	c.settle(j, s, drawn(c.load(j, s).Entries[:50]), journal.Receipt{At: time.Now(), Verb: audience.Add})
	c.unpark(j, s, false, "150 151")
	c.unpark(j, s, true, "")
	_ = c.parked(j, segment(who, "s2"))
	wait(c, func(done func(journal.Counts)) { j.Count(journal.Count{Segment: s, Done: done}) })
	wait(c, func(done func(journal.Found)) { j.Find(journal.Find{Key: keys("1")[0], Done: done}) })
	for range j.Segments(audience.AllSlots()) {
	}
	for range j.SegmentsOf(who.ID) {
	}
	if err := j.ask(j.tidy); err != nil {
		t.Fatal(err)
	}
	on := newLine(j.accept.config, time.Minute)
	j.scan(on, audience.AllSlots())
	on.drop()
	var compiled string
	if err := j.ask(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SHOW jit`).Scan(&compiled)
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, "plans are compiled", compiled, "off") // which takes longer than what they do
	if err := j.Close(); err != nil {               // its sessions tell the statistics what they did
		t.Fatal(err)
	}
	c.until("the statistics are in", func() bool {
		return sql[int64](c, `SELECT coalesce(sum(idx_scan), 0)::int8 FROM pg_stat_user_tables WHERE relname IN ('pending', 'parked', 'segment')`) > 100
	})
	for _, table := range []string{"pending", "parked", "segment"} {
		const reads = `SELECT seq_scan - (SELECT count(*) FROM pg_index i WHERE i.indrelid = t.relid) FROM pg_stat_user_tables t WHERE relname = $1`
		equal(t, "whole reads of "+table+", beside those that made its indexes", sql[int64](c, reads, table), 0)
	}
}

// TestForgottenNode: a database that has forgotten a node, as after a failover to a standby
// that was behind, may give its number to another one. The first is dead then: it writes
// nothing and owns nothing.
func TestForgottenNode(t *testing.T) {
	c := newCluster(t)
	one := c.owner()
	s := segment(tenant("token"), "s")
	c.accept(one, s, audience.Add, "1")
	sql[int64](c, `WITH n AS (DELETE FROM node), l AS (DELETE FROM life), s AS (UPDATE slot SET owner = 0) UPDATE meta SET nodes = nodes - 1 RETURNING nodes`)
	two := c.owner()
	equal(t, "number", two.Self(), one.Self())
	if _, err := accept(one, s, audience.Delete, "1"); !errors.Is(err, errFenced) {
		t.Errorf("its change: %v", err)
	}
	if view, err := one.Beat(t.Context(), placement.Beat{Lease: time.Hour, Release: audience.AllSlots()}); err != nil || !view.Dead {
		t.Errorf("its beat: %+v, %v", view, err)
	}
	if err := one.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	c.accept(two, s, audience.Add, "2")
	view := c.beat(two, placement.Beat{})
	equal(t, "slots of the other one", view.Of(two.Self()), audience.AllSlots())
	equal(t, "pending", c.pending(two, s), "+1 +2")
}

// TestFenceOfTheStalled is F4: a post that lay in the kernel while its node stood still has a
// fresh deadline when the node goes on, and is refused all the same; without the fence it is
// written over the newer change that another node has answered meanwhile.
func TestFenceOfTheStalled(t *testing.T) {
	for _, without := range []bool{false, true} {
		c := newCluster(t)
		stall := placement.NewStall(time.Minute)
		one := c.owner()
		two := c.node(func(o *Options) {
			if !without {
				o.Refuse = stall.Refuse
			}
		})
		s := segment(tenant("token"), "s")
		time.Sleep(1100 * time.Millisecond) // nobody watches: the process stands still
		c.accept(one, s, audience.Delete, "1")
		_, err := accept(two, s, audience.Add, "1")
		want := "-1"
		if without {
			want = "+1"
		}
		if got := c.pending(one, s); got != want || errors.Is(err, placement.ErrStalled) == without {
			t.Errorf("without the fence %v: %s, %v", without, got, err)
		}
	}
}

// TestLateArrival is F1 for what waited in the node before it came to the journal.
func TestLateArrival(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	put := func(age time.Duration, texts string) error {
		return wait(c, func(done func(error)) {
			j.Append(journal.Append{Tenant: s.Tenant, Came: time.Now().Add(-age), Done: done,
				Changes: []journal.Change{{Segment: s, Verb: audience.Add, Keys: audience.KeysOf(keys(texts)...)}}})
		})
	}
	if err := put(acceptWithin+time.Millisecond, "1"); !errors.Is(err, errLate) {
		t.Errorf("a change that came too long ago: %v", err)
	}
	if err := put(acceptWithin/10, "2"); err != nil {
		t.Errorf("one that came a moment ago: %v", err)
	}
	equal(t, "pending", c.pending(j, s), "+2")
	now := time.Now()
	j.intake.mu.Lock()
	defer j.intake.mu.Unlock()
	g := j.intake.gathering(now, 1)
	j.intake.gathering(now.Add(-acceptWithin/2), 1)
	j.intake.gathering(now.Add(-acceptWithin/4), 1)
	equal(t, "a group's earliest post", g.began, now.Add(-acceptWithin/2))
	j.intake.waiting = nil
}

// TestLateState: a state that the network delivers when nobody waits for it any more is not
// written, and one that only seems late, since the database's clock was set ahead, is.
func TestLateState(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	id := tenant("token").ID
	j.PutTenant(tenant("token"))
	c.accept(j, segment(tenant("token"), "s"), audience.Add, "1")
	state := journal.TenantState{Paused: true}
	j.clock.mu.Lock()
	j.clock.said = j.clock.said.Add(-time.Hour)
	j.clock.mu.Unlock()
	written := make(chan error, 1)
	j.SetTenantState(id, state, func(err error) { written <- err })
	time.Sleep(300 * time.Millisecond) // it is tried at once
	stored := func() bool { return sql[bool](c, `SELECT state IS NOT NULL FROM tenant WHERE id = $1`, id[:]) }
	if stored() {
		t.Error("a late state was written")
	}
	c.beat(j, placement.Beat{Lease: time.Hour}) // by which it hears of the clock
	if err := <-written; err != nil || !stored() {
		t.Errorf("once the clock is known: %v", err)
	}
}

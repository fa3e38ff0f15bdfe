//go:build e2e

package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// TestHeldRow is F1: a change that has to wait for a row is refused in time for the lambda,
// and is not written later, when the row is free.
func TestHeldRow(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	c.accept(j, s, audience.Add, "1")
	release := c.hold(`UPDATE pending SET verb = verb`)
	began := time.Now()
	_, err := accept(j, s, audience.Delete, "1")
	if !isCode(err, "57014", "55P03") || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if err := j.Refuse(); err != nil {
		t.Errorf("others are refused as well: %v", err)
	}
	release()
	c.accept(j, s, audience.Add, "2")
	equal(t, "pending", c.pending(j, s), "+1 +2")
}

// TestNoRoom: what was handed in while the database has no room for it is done when it has.
func TestNoRoom(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	version := c.accept(j, s, audience.Add, "1")
	sqlOf(c, `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
		CREATE TRIGGER full_disk BEFORE DELETE ON pending FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	done := make(chan error, 1)
	j.Settle(journal.Settle{Segment: s, Selection: covered("1", version), Done: func(_ []audience.Key, err error) { done <- err }})
	select {
	case err := <-done:
		t.Fatalf("it is given up: %v", err)
	case <-time.After(4 * time.Second):
	}
	sqlOf(c, `DROP TRIGGER full_disk ON pending`)
	if err := <-done; err != nil {
		t.Error(err)
	}
	equal(t, "pending", c.pending(j, s), "")
}

// sqlOf carries out statements as the user of the relay.
func sqlOf(c *cluster, statements string) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.url)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(c.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		c.Fatal(err)
	}
}

// TestStateMeetsClaim: a state that is written while another node takes the tenant over is
// either seen by that one or refused.
func TestStateMeetsClaim(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	release := c.hold(`UPDATE slot SET owner = 0`)
	done := make(chan error, 1)
	j.SetSegmentState(s, journal.SegmentState{Paused: true}, func(err error) { done <- err })
	select {
	case err := <-done:
		t.Errorf("it does not wait for the claim: %v", err)
	case <-time.After(300 * time.Millisecond):
		release() // the claim fails
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	c.beat(j, placement.Beat{Release: audience.AllSlots()})
	if err := wait(c, func(done func(error)) { j.SetSegmentState(s, journal.SegmentState{}, done) }); !errors.Is(err, errNotOwner) {
		t.Errorf("%v", err)
	}
}

// TestCloseLeavesNoConnection, nor anything that goes on.
func TestCloseLeavesNoConnection(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	c.accept(j, segment(tenant("token"), "s"), audience.Add, "1")
	const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audiences'`
	if n := sql[int64](c, sessions); n == 0 || n > 7 {
		t.Errorf("%d connections", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.until("no connection is left", func() bool { return sql[int64](c, sessions) == 0 })
	if _, err := j.Beat(t.Context(), placement.Beat{Lease: time.Hour}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("a beat after the end: %v", err)
	}
	if _, err := accept(j, segment(tenant("token"), "s"), audience.Add, "2"); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("a post after the end: %v", err)
	}
}

// TestHintsWait: hints are not lost where the database takes longer than a post may wait.
func TestHintsWait(t *testing.T) {
	c := newCluster(t)
	j := c.node()
	release := c.hold(`LOCK TABLE hint IN EXCLUSIVE MODE`)
	s := segment(tenant("token"), "s")
	err := wait(c, func(done func(error)) {
		j.Append(journal.Append{Tenant: s.Tenant, Done: done, Hint: true, Changes: []journal.Change{{Segment: s, Verb: audience.Add, Keys: audience.KeysOf(keys("1")...)}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(acceptTime + 500*time.Millisecond)
	release()
	c.until("the hint is there", func() bool { return sql[int64](c, `SELECT count(*) FROM hint`) == 1 })
}

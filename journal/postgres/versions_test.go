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

// hold keeps what a statement locks until the returned function is called.
func (c *cluster) hold(statement string, args ...any) (release func()) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.url)
	if err != nil {
		c.Fatal(err)
	}
	tx, err := conn.Begin(c.Context())
	if err == nil {
		_, err = tx.Exec(c.Context(), statement, args...)
	}
	if err != nil {
		c.Fatal(err)
	}
	return func() { _ = conn.Close(context.Background()) }
}

// put appends one change and does not wait.
func put(j *Journal, s audience.Segment, verb audience.Verb, texts string) (journal.Version, chan error) {
	done := make(chan error, 1)
	return j.Append(journal.Append{Tenant: s.Tenant, Done: func(err error) { done <- err },
		Changes: []journal.Change{{Segment: s, Verb: verb, Keys: audience.KeysOf(keys(texts)...)}}}), done
}

// TestVersionsInOneGroup is I2: two posts that one statement carries have versions of their
// own. A chunk that was cut after the first of them settles nothing of the second one.
func TestVersionsInOneGroup(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	c.accept(j, s, audience.Add, "1 9")
	release := c.hold(`UPDATE pending SET verb = verb`)
	_, before := put(j, s, audience.Add, "9")
	c.until("a group is under way", func() bool {
		j.intake.mu.Lock()
		defer j.intake.mu.Unlock()
		return j.intake.under != nil
	})
	first, one := put(j, s, audience.Add, "2")
	second, two := put(j, s, audience.Delete, "1") // in the same group
	if second <= first || j.Newest() != second {
		t.Errorf("versions %d and %d, the newest is %d", first.Counter(), second.Counter(), j.Newest().Counter())
	}
	release()
	for _, done := range []chan error{before, one, two} {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "newer", c.settle(j, s, covered("1 2 9", first), journal.Receipt{}), "1")
	equal(t, "pending", c.pending(j, s), "-1")
}

// TestSince: each node tells when a version of any node was given.
func TestSince(t *testing.T) {
	c := newCluster(t)
	one := c.owner()
	gone := c.node()
	s := segment(tenant("token"), "s")
	versions := []journal.Version{c.accept(one, s, audience.Add, "1"), c.accept(gone, s, audience.Add, "2")}
	c.unpark(one, s, false, "3")
	versions = append(versions, one.Newest())
	if err := gone.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	two := c.node()
	versions = append(versions, c.accept(two, s, audience.Add, "4"))
	for range 20_000 {
		versions[2] = one.newVersion() // faster than the clock
	}
	for _, j := range []*Journal{one, two} {
		if at, ok := j.Since(journal.MakeVersion(uint32(two.Self()+9), 1)); ok {
			t.Errorf("a version of nobody was given at %v", at)
		}
		if at, ok := j.Since(5); ok {
			t.Errorf("one of an embedded journal was given at %v", at)
		}
		c.beat(j, placement.Beat{})
		for i, v := range versions {
			if at, ok := j.Since(v); !ok || time.Since(at).Abs() > 5*time.Second {
				t.Errorf("version %d was given %v ago, %v", i, time.Since(at), ok)
			}
		}
	}
}

// TestVersionsAreUsedUp: where the clock was set far ahead, the node's number stays what it
// is, and no version is written twice.
func TestVersionsAreUsedUp(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	j.clock.heard(j.clock.at(time.Now()).AddDate(30, 0, 0), time.Now(), time.Now())
	version, done := put(j, s, audience.Add, "1")
	if err := <-done; !errors.Is(err, errWornOut) {
		t.Errorf("%v", err)
	}
	equal(t, "node", version.Node(), uint32(j.Self()))
}

//go:build e2e

package mover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded"
	"audiences/journal/postgres"
	"audiences/journal/vault"
	"audiences/placement"
	server "audiences/sandbox/postgres"
)

// shared is the server that all tests have databases of their own on.
var shared *server.Server

func TestMain(m *testing.M) { os.Exit(server.Share(m, &shared)) }

// database is a journal in PostgreSQL.
type database struct {
	url string
	key vault.Vault
}

func newDatabase(t *testing.T) database {
	t.Helper()
	url, err := shared.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := vault.Make()
	return database{url: url, key: key}
}

// open opens it, and has what is opened as a relay own all slots.
func (d database) open(moving bool) (store, error) {
	j, err := postgres.Open(context.Background(), postgres.Options{URL: d.url, Vault: d.key, Name: "n", Egress: "e", Moving: moving,
		Without: postgres.Without{Deadline: true}}) // for a machine that is busy
	if err != nil || moving {
		return j, err
	}
	_, err = j.Beat(context.Background(), placement.Beat{Lease: time.Hour, Claim: audience.AllSlots()})
	return leaving{j}, err
}

// crash is nothing: a server that is killed keeps what it confirmed.
func (d database) crash(*rand.Rand) place { return d }

// leaving is a node that leaves the table when it is closed.
type leaving struct{ *postgres.Journal }

func (l leaving) Close() error {
	return errors.Join(l.Journal.Close(), l.Leave(context.Background()))
}

// TestKilledAndResumedPostgres is TestKilledAndResumed from a disk to a database, and the
// other way.
func TestKilledAndResumedPostgres(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		for _, to := range []int{0, 1} {
			t.Run(fmt.Sprintf("%d to %d", seed, to), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, 200+seed)
				s.places[to], s.odd = newDatabase(t), strings.Repeat("\x00", to)
				killedAndResumed(s, 1+s.random.IntN(5))
			})
		}
	}
}

// TestThereAndBackPostgres is TestThereAndBack, from a disk to a database and back.
func TestThereAndBackPostgres(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		s := newSite(t, 300+seed)
		s.places[seed%2], s.odd = newDatabase(t), ""
		thereAndBack(s)
	}
}

// TestNodesAreKeptOut: a database that is in use is not moved, and the node is named; while it
// is moved no node begins, and after that none does either.
func TestNodesAreKeptOut(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	alive, err := d.open(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.open(true); err == nil || !strings.Contains(err.Error(), "in use by n") {
		t.Errorf("beside a node that is alive: %v", err)
	}
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
	from, err := d.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	began := make(chan error, 1)
	go func() {
		_, err := d.open(false)
		began <- err
	}()
	select {
	case err := <-began:
		t.Errorf("a node begins, or gives up, beside a move: %v", err)
	case <-time.After(time.Second):
	}
	to, err := embedded.Open(embedded.Options{Dir: "/j", Memory: embedded.NewMemory(), Moving: true})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := New(Side{Journal: from, Place: "database"}, Side{Journal: to, Place: "disk"}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-began; err == nil || !strings.Contains(err.Error(), "was moved to disk") {
		t.Errorf("a node that waited for the move: %v", err)
	}
}

// TestZombieIsBuried: a node whose lease is over, and that may come back, can write nothing
// once a move has begun.
func TestZombieIsBuried(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	zombie, err := postgres.Open(t.Context(), postgres.Options{URL: d.url, Vault: d.key, Name: "zombie", Egress: "e"})
	if err != nil {
		t.Fatal(err)
	}
	defer zombie.Close()
	if _, err := zombie.Beat(t.Context(), placement.Beat{Lease: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	moving, err := d.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer moving.Close()
	change := journal.Change{Segment: segmentOf(tenantOf(1), 1), Verb: audience.Add, Keys: audience.KeysOf(audience.NumericKey(1)), Describe: true}
	if _, err := (Side{Journal: zombie}).append(t.Context(), change.Segment.Tenant, change); err == nil {
		t.Error("it writes a change")
	}
	if view, err := zombie.Beat(t.Context(), placement.Beat{Lease: time.Hour}); err != nil || !view.Dead {
		t.Errorf("it is not dead: %v, %v", view.Dead, err)
	}
	if err := moving.Held(); err != nil {
		t.Error(err)
	}
}

// TestStatesAfterAKill: a move goes on that was killed when it owned all slots, also with what
// an owner alone may write.
func TestStatesAfterAKill(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	killed, err := d.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer killed.Close() // it does nothing until then, as if it were not there
	d.endSessions(t, "")
	again, err := d.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for what, set := range map[string]func(done func(error)){
		"segment": func(done func(error)) {
			again.SetSegmentState(segmentOf(tenantOf(1), 1), journal.SegmentState{Paused: true}, done)
		},
		"tenant": func(done func(error)) {
			again.SetTenantState(tenantOf(1).ID, journal.TenantState{Paused: true}, done)
		},
	} {
		if err := failed(t.Context(), set); err != nil {
			t.Errorf("pause a %s: %v", what, err)
		}
	}
}

// endSessions ends the sessions of the database for which more holds.
func (d database) endSessions(t *testing.T, more string) {
	t.Helper()
	name := d.url[strings.LastIndex(d.url, "/")+1 : strings.LastIndex(d.url, "?")]
	if _, err := shared.SQL(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'"+more); err != nil {
		t.Fatal(err)
	}
}

// TestHoldIsLost: where the connection that keeps others out was cut, a node may begin on the
// source, so the move must not end.
func TestHoldIsLost(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	relay, err := d.open(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.Close(); err != nil {
		t.Fatal(err)
	}
	from, err := d.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := embedded.Open(embedded.Options{Dir: "/j", Memory: embedded.NewMemory(), Moving: true})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	d.endSessions(t, " AND state = 'idle in transaction'")
	if _, err := New(Side{Journal: from, Place: "database"}, Side{Journal: to, Place: "disk"}).Run(t.Context()); err == nil {
		t.Error("the move has ended")
	}
	if from.Held() == nil || to.Mark() == nil {
		t.Error("nobody has noticed, or the target can be started")
	}
	if relay, err = d.open(false); err != nil {
		t.Fatalf("a node does not begin on the source: %v", err)
	}
	if err := relay.Close(); err != nil {
		t.Fatal(err)
	}
}

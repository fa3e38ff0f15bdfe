//go:build e2e

package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"audiences/test/harness"
)

// longStop is one more time that TestStops stops a node for.
var longStop []time.Duration

func init() {
	flag.Func("cluster.stop", "one more time that TestStops stops a node for", func(text string) error {
		d, err := time.ParseDuration(text)
		longStop = append(longStop, d)
		return err
	})
}

var (
	kills       = flag.Int("cluster.kills", 20, "how often TestKills kills a node")
	rollingRate = flag.Int("cluster.rate", 300, "posts a second while TestRolling replaces nodes")
)

// TestOneNode delivers what it accepts, and leaves nothing when it stops.
func TestOneNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	n := s.begin()
	l := s.load(4, 20*time.Millisecond)
	time.Sleep(3 * time.Second)
	l.finish()
	if code := n.process.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestKills kills one of three nodes again and again with SIGKILL, under load.
func TestKills(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	time.Sleep(time.Second)
	l.longestGap()
	for range *kills {
		all := s.all()
		victim := all[rand.IntN(len(all))]
		victim.process.Kill()
		s.forget(victim)
		time.Sleep(time.Duration(rand.Int64N(int64(*leaseTime))))
		s.begin()
	}
	t.Logf("after %d kills: the longest time without a 200 was %v", *kills, l.longestGap().Round(time.Millisecond))
	l.finish()
}

// TestStops stops one of three nodes with SIGSTOP, for less than a lease and for more: others take its tenants
// over, and when it goes on it makes no call.
func TestStops(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	for _, pause := range append([]time.Duration{1500 * time.Millisecond, *leaseTime + 2*time.Second, *leaseTime + 5*time.Second}, longStop...) {
		time.Sleep(2 * time.Second)
		n := s.all()[0]
		s.signal(n, syscall.SIGSTOP)
		time.Sleep(pause)
		s.signal(n, syscall.SIGCONT)
		if pause > *leaseTime {
			if code := n.process.Wait(harness.Patience); code != standingStill {
				t.Errorf("after a stop of %v: exit code %d", pause, code)
			}
			s.forget(n)
			s.begin()
		}
	}
	l.finish()
}

// TestRolling replaces three nodes one after the other, under load: no post fails. How long it
// takes until all that a node owned has other owners is told.
func TestRolling(t *testing.T) {
	t.Parallel()
	s := three(t)
	const callers = 32
	l := s.load(callers, 2*callers*time.Second/time.Duration(*rollingRate))
	began := time.Now()
	for _, n := range s.all() {
		time.Sleep(time.Second)
		s.begin()
		took := s.handOver(n)
		if code := n.process.Terminate(); code != 0 && code != standingStill {
			t.Errorf("exit code %d", code)
		}
		t.Logf("%s handed over in %v", n.name, <-took)
		s.forget(n)
	}
	t.Logf("%.0f posts a second were accepted", float64(l.ledger.Accepted())/time.Since(began).Seconds())
	l.finish()
	if failed := l.failed.Load(); failed > 0 {
		t.Errorf("%d posts failed", failed)
	}
}

// handOver tells how long it takes from now until all slots that a node owns have another
// owner, which may call from then on.
func (s *site) handOver(n *node) <-chan time.Duration {
	s.T.Helper()
	const owned = `SELECT coalesce(string_agg(s.id::text, ','), '') FROM slot s JOIN node n ON n.id = s.owner WHERE n.name = '%s' AND NOT n.dead`
	slots, err := s.database.SQL(s.T.Context(), fmt.Sprintf(owned, n.name))
	if err != nil || slots == "" {
		s.T.Fatalf("%s owns the slots %q: %v", n.name, slots, err)
	}
	took := make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		_, err := s.database.SQL(s.T.Context(), fmt.Sprintf(`DO $$ BEGIN
			WHILE EXISTS (SELECT 1 FROM slot s LEFT JOIN node n ON n.id = s.owner WHERE s.id IN (%s) AND (n.id IS NULL OR n.name = '%s'))
			LOOP PERFORM pg_sleep(0.005); END LOOP; END $$`, slots, n.name))
		if err != nil {
			s.T.Errorf("the slots of %s have no other owner: %v", n.name, err)
		}
		took <- time.Since(began).Round(time.Millisecond)
	}()
	return took
}

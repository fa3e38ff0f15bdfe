//go:build e2e

package cluster

import (
	"flag"
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

var kills = flag.Int("cluster.kills", 20, "how often TestKills kills a node")

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
	for range *kills {
		all := s.all()
		victim := all[rand.IntN(len(all))]
		victim.process.Kill()
		s.forget(victim)
		time.Sleep(time.Duration(rand.Int64N(int64(*leaseTime))))
		s.begin()
	}
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

// TestRolling replaces three nodes one after the other, under load: no post fails.
func TestRolling(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	for _, n := range s.all() {
		time.Sleep(time.Second)
		s.begin()
		if code := n.process.Terminate(); code != 0 && code != standingStill {
			t.Errorf("exit code %d", code)
		}
		s.forget(n)
	}
	l.finish()
	if failed := l.failed.Load(); failed > 0 {
		t.Errorf("%d posts failed", failed)
	}
}

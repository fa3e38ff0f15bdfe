package admin

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestStatesAreShown: every state of tenants and segments is a series from the start, and
// a scrape that the relay does not answer shows what the one before has shown.
func TestStatesAreShown(t *testing.T) {
	registry, relay := prometheus.NewRegistry(), busy()
	s := New(Options{Relay: relay, Registerer: registry})
	const want = `
# HELP audiences_segments Segments by what they are about; those that were let go with nothing pending or parked are missing.
# TYPE audiences_segments gauge
audiences_segments{state="calling"} 1
audiences_segments{state="gathering"} 3
audiences_segments{state="held"} 0
audiences_segments{state="idle"} 1
audiences_segments{state="parked"} 1
audiences_segments{state="paused"} 0
audiences_segments{state="reading"} 0
audiences_segments{state="repeating"} 0
audiences_segments{state="token_refused"} 0
audiences_segments{state="waiting"} 0
`
	for range 2 {
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "audiences_segments"); err != nil {
			t.Error(err)
		}
		relay.mu.Lock()
		relay.fail = errors.New("the relay is busy")
		relay.mu.Unlock()
		s.snapshots.forget()
	}
	if n := testutil.CollectAndCount(s.states(), "audiences_tenants"); n != 10 {
		t.Errorf("%d series of tenants", n)
	}
}

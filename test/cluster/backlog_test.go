//go:build e2e

package cluster

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var backlogKeys = flag.Int("cluster.keys", 200_000, "how many keys wait in TestBacklog")

// TestBacklog: however many keys wait in the database, a node is ready at once, takes no more
// memory for them, and delivers them.
func TestBacklog(t *testing.T) {
	s := newSite(t, nil, func(o *sandbox.Options) { o.MaxMembers = 100_000_000; o.Allowed = nil })
	n := s.begin()
	n.process.MustPost(harness.Change{Segment: "s", Keys: []string{"0"}})
	harness.Eventually(t, harness.Patience, "the first key is delivered", func() bool { return len(s.Members("s")) == 1 })
	if code := n.process.Terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.forget(n)
	began := time.Now()
	// The keys are as journal.AppendKey writes numbers.
	if _, err := s.database.SQL(t.Context(), fmt.Sprintf(`INSERT INTO pending (ver, segment, verb, key)
		SELECT 1, (SELECT id FROM segment), 1, '\x6e'::bytea || int8send((n # (1::int8 << 63))) FROM generate_series(1, %d) n ORDER BY n; ANALYZE pending`, *backlogKeys)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys written in %v", *backlogKeys, time.Since(began).Round(time.Second))
	began = time.Now()
	n = s.begin()
	ready := time.Since(began)
	peak := 0
	harness.Eventually(t, 30*time.Minute, "all is delivered", func() bool {
		now, _ := n.process.Resident()
		peak = max(peak, now)
		return s.Split.Counts().Keys > *backlogKeys
	})
	t.Logf("ready after %v; all delivered after %v; %d MiB of memory at most", ready.Round(10*time.Millisecond), time.Since(began).Round(100*time.Millisecond), peak>>20)
	if peak > 150<<20 {
		t.Errorf("%d MiB of memory", peak>>20)
	}
}

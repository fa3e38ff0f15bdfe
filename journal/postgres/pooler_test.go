//go:build e2e

package postgres

import (
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestWithoutPreparedStatements: with a default_query_exec_mode in the URL, which some poolers
// need, a key lives as with the driver's default; check takes the parameter, too. Modes in
// which posts could not be written are refused at the start.
func TestWithoutPreparedStatements(t *testing.T) {
	for _, mode := range []string{"cache_describe", "describe_exec"} {
		t.Run(mode, func(t *testing.T) { liveWith(t, mode) })
	}
	for _, mode := range []string{"exec", "simple_protocol"} {
		url := strings.Replace(shared.URL(), "?", "?default_query_exec_mode="+mode+"&", 1)
		if _, err := Open(t.Context(), Options{URL: url}); err == nil || !strings.Contains(err.Error(), "cache_describe") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func liveWith(t *testing.T, mode string) {
	c := newCluster(t)
	c.url = strings.Replace(c.url, "?", "?default_query_exec_mode="+mode+"&", 1)
	j := c.owner()
	who := tenant("token")
	s := segment(who, "s")
	j.PutTenant(who)
	c.accept(j, s, audience.Add, "1 2 3")
	page := c.load(j, s)
	c.accept(j, s, audience.Delete, "3")
	equal(t, "newer", c.settle(j, s, drawn(page.Entries), journal.Receipt{}), "3")
	c.park(j, s, audience.Delete, drawn(c.load(j, s).Entries), "gone")
	equal(t, "parked", c.parked(j, s), "-3:gone")
	equal(t, "tried again", c.unpark(j, s, false, ""), 1)
	equal(t, "pending", c.pending(j, s), "-3")
	lines, worst := examined(t, Examination{URL: c.url, KeyCheck: c.key.Check()})
	if worst == Fault || strings.Contains(lines, "as behind a pooler") {
		t.Error(lines)
	}
}

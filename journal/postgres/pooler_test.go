//go:build e2e

package postgres

import (
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestWithoutPreparedStatements: with default_query_exec_mode=cache_describe in the URL, which
// some poolers need, a key lives as with the driver's default; check takes the parameter, too.
func TestWithoutPreparedStatements(t *testing.T) {
	c := newCluster(t)
	c.url = strings.Replace(c.url, "?", "?default_query_exec_mode=cache_describe&", 1)
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
	if worst == Fault || strings.Contains(lines, "a pooler drops it") {
		t.Error(lines)
	}
}

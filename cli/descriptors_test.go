package cli

import (
	"testing"

	"audiences/config"
)

// TestDescriptorsAreDivided: whatever the limit is, the parts fit into it, each
// has what it needs at least, and only the connections grow with it.
func TestDescriptorsAreDivided(t *testing.T) {
	for limit := leastFiles; limit <= mostFiles; limit += max(1, limit/50) {
		for _, cfg := range []config.Config{{MaxConcurrentCalls: 64}, {MaxConcurrentCalls: 1}, {MaxConcurrentCalls: 10_000}, {MaxConcurrentCalls: 64, MaxConnections: 20}, {MaxConcurrentCalls: 64, MaxConnections: 100_000}} {
			d, err := shareDescriptors(limit, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if sum := fixedFiles + d.tables + d.calls + d.admin + d.connections; sum > limit {
				t.Errorf("limit %d, %d calls, %d connections: %d given away", limit, cfg.MaxConcurrentCalls, cfg.MaxConnections, sum)
			}
			if d.tables < 16 || d.calls < 8 || d.admin < 4 || d.connections < 8 {
				t.Errorf("limit %d: %+v", limit, d)
			}
			if cfg.MaxConnections > 0 && d.connections > cfg.MaxConnections {
				t.Errorf("limit %d: %d connections, and %d are allowed", limit, d.connections, cfg.MaxConnections)
			}
		}
	}
	usual := config.Config{MaxConcurrentCalls: 64}
	if d, err := shareDescriptors(20_000, usual); err != nil || d.connections != mostConnections || d.calls < 64 || len(d.warnings(usual)) != 0 {
		t.Errorf("with room: %+v %v", d, d.warnings(usual))
	}
	if d, err := shareDescriptors(256, usual); err != nil || len(d.warnings(usual)) != 2 {
		t.Errorf("without room: %+v %v", d, d.warnings(usual))
	}
	few := config.Config{MaxConcurrentCalls: 8, MaxConnections: 20}
	if d, err := shareDescriptors(256, few); err != nil || len(d.warnings(few)) != 0 {
		t.Errorf("as little as was asked for: %+v %v", d, d.warnings(few))
	}
	if _, err := shareDescriptors(leastFiles-1, usual); err == nil {
		t.Error("too few, and no word of it")
	}
}

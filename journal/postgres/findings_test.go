package postgres

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// sound are facts that a check has nothing to say against.
func sound() *facts {
	return &facts{
		Examination: Examination{KeyCheck: "k", Lease: 3 * time.Second}, version: 15_00_04,
		settings: map[string]string{"server_version": "15.4", "server_encoding": "UTF8", "synchronous_commit": "on", "synchronous_standby_names": "*", "fsync": "on",
			"full_page_writes": "on", "autovacuum": "on", "track_counts": "on", "default_transaction_read_only": "off", "statement_timeout": "5000", "plan_cache_mode": "force_generic_plan"},
		trips: []time.Duration{time.Millisecond, time.Millisecond, 2 * time.Millisecond, time.Second, time.Second}, ahead: -3 * time.Millisecond,
		schema: "s", owner: true, meta: true, format: formatVersion, keyCheck: "k", used: 20, limit: 100,
		tables: []tableFacts{{name: "meta", own: true}, {name: "pending", own: true}}, standbys: []standbyFacts{{"a", "streaming", "sync"}},
	}
}

// TestFindings: what no server here can be brought to say.
func TestFindings(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*facts)
		mark   Mark // the worst
		says   string
	}{
		"nothing":                          {func(*facts) {}, Fine, "an answer takes 2.0 ms"},
		"version 12":                       {func(f *facts) { *f = facts{version: 12_00_22, settings: map[string]string{"server_version": "12.22"}} }, Fault, "12.22 is too old"},
		"version 13":                       {func(f *facts) { f.version = 13_00_00 }, Warning, "15 and newer are tested"},
		"version 14":                       {func(f *facts) { f.version = 14_00_99 }, Warning, "15 and newer are tested"},
		"an encoding":                      {func(f *facts) { f.settings["server_encoding"] = "LATIN1" }, Warning, "LATIN1"},
		"a clock that is behind":           {func(f *facts) { f.ahead = -1500 * time.Millisecond }, Warning, "1.5s behind this"},
		"a clock that is ahead":            {func(f *facts) { f.ahead = time.Minute }, Warning, "1m0s ahead of this"},
		"a slow network":                   {func(f *facts) { f.trips[2] = 501 * time.Millisecond }, Warning, "a sixth of leaseTime"},
		"no question answered":             {func(f *facts) { f.trips = nil }, Fine, "tokens are sealed"},
		"a pooler in between":              {func(f *facts) { f.settings["statement_timeout"] = "0" }, Fault, "as behind a pooler"},
		"no standby":                       {func(f *facts) { f.standbys, f.settings["synchronous_standby_names"] = nil, "" }, Note, "no standby follows"},
		"none that is waited for is there": {func(f *facts) { f.standbys = nil }, Warning, "no change would be answered"},
		"standbys that it may not see":     {func(f *facts) { f.standbys[0] = standbyFacts{name: "a"} }, Note, "pg_read_all_stats"},
		"asynchronous ones, unseen": {func(f *facts) {
			f.standbys[0], f.settings["synchronous_standby_names"] = standbyFacts{name: "a"}, ""
		}, Warning, "at a failover to a "},
		"one of each":            {func(f *facts) { f.standbys = append(f.standbys, standbyFacts{"b", "streaming", "async"}) }, Note, "do not fail over to it"},
		"commits that are local": {func(f *facts) { f.settings["synchronous_commit"] = "local" }, Warning, "synchronous_commit is local"},
		"commits to memory":      {func(f *facts) { f.settings["synchronous_commit"] = "remote_write" }, Note, "remote_write"},
		"few connections":        {func(f *facts) { f.used = 94 }, Warning, "6 of 100 connections are free"},
		"enough connections":     {func(f *facts) { f.used = 93 }, Fine, "7 of 100 connections are free"},
		"a held snapshot":        {func(f *facts) { f.held = snapshot{by: "a session", age: 301 * time.Second} }, Warning, "a session for 5m1s"},
		"no key":                 {func(f *facts) { f.KeyCheck = "" }, Fine, "format 1"},
		"an older format":        {func(f *facts) { f.format = 0 }, Note, "a start makes that 1"},
	} {
		f := sound()
		c.change(f)
		worst, lines := Fine, ""
		for _, found := range f.findings() {
			worst, lines = max(worst, found.Mark), lines+found.Text+"\n"
		}
		if worst != c.mark || !strings.Contains(lines, c.says) {
			t.Errorf("%s: %d, want %d and %q in\n%s", what, worst, c.mark, c.says, lines)
		}
	}
}

// TestOurTables: a check looks at every table.
func TestOurTables(t *testing.T) {
	made := []string{"meta"}
	for _, step := range migrations {
		for _, name := range regexp.MustCompile(`CREATE (?:UNLOGGED )?TABLE (\w+)`).FindAllStringSubmatch(step, -1) {
			made = append(made, name[1])
		}
	}
	if !slices.Equal(made, ourTables) {
		t.Errorf("%q are made, %q are looked at", made, ourTables)
	}
}

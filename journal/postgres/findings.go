package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mark is how much a finding matters to a start.
type Mark int

// The marks.
const (
	Fine    Mark = iota
	Note         // worth knowing
	Warning      // a start succeeds, but look at this
	Fault        // a start fails
)

// Finding is one line about the database.
type Finding struct {
	Mark Mark
	Text string
}

func fine(format string, args ...any) Finding { return Finding{Fine, fmt.Sprintf(format, args...)} }
func note(format string, args ...any) Finding { return Finding{Note, fmt.Sprintf(format, args...)} }
func warning(format string, args ...any) Finding {
	return Finding{Warning, fmt.Sprintf(format, args...)}
}
func fault(format string, args ...any) Finding { return Finding{Fault, fmt.Sprintf(format, args...)} }

const (
	leastVersion  = 13_00_00 // below it the tables cannot be made
	testedVersion = 15_00_00
	mostSkew      = time.Second     // between the clocks
	mostHeld      = 5 * time.Minute // of a snapshot
	nodeLines     = 7               // connections of a node
)

// findings judges the facts; those that are not known it passes over.
func (f *facts) findings() (all []Finding) {
	for _, judge := range []func() []Finding{f.ofServer, f.ofTrips, f.ofSchema, f.ofTables, f.ofKey, f.ofDurability, f.ofStandbys, f.ofConnections, f.ofVacuum, f.ofNodes} {
		all = append(all, judge()...)
	}
	return all
}

func (f *facts) ofServer() (found []Finding) {
	version := "PostgreSQL " + f.settings["server_version"]
	switch {
	case f.version < leastVersion:
		return []Finding{fault("%s is too old: 15 and newer are tested, and 13 is needed", version)}
	case f.standby:
		found = append(found, fault("%s is a standby, in recovery, and takes no changes: name the primary, or all hosts and target_session_attrs=read-write", version))
	case f.settings["default_transaction_read_only"] == "on":
		found = append(found, fault("default_transaction_read_only is on: nothing could be written"))
	case f.version < testedVersion:
		found = append(found, warning("%s: 15 and newer are tested", version))
	default:
		found = append(found, fine("%s, no standby", version))
	}
	if encoding := f.settings["server_encoding"]; encoding != "UTF8" {
		found = append(found, warning("its encoding is %s: posts with names that this cannot write would fail; make the database with ENCODING 'UTF8'", encoding))
	}
	if f.settings["plan_cache_mode"] != "force_generic_plan" || f.settings["statement_timeout"] == "0" {
		found = append(found, fault("%v", errPooler))
	}
	return found
}

func (f *facts) ofTrips() (found []Finding) {
	if len(f.trips) == 0 {
		return nil
	}
	median, beat := f.trips[len(f.trips)/2], f.Lease/6
	if median > beat {
		found = append(found, warning("an answer takes %s (the median of %d): over %s, a sixth of leaseTime; this node would hardly keep its lease", milliseconds(median), len(f.trips), milliseconds(beat)))
	} else {
		found = append(found, fine("an answer takes %s, the median of %d", milliseconds(median), len(f.trips)))
	}
	way := "ahead of"
	if f.ahead < 0 {
		way = "behind"
	}
	if apart := f.ahead.Abs(); apart > mostSkew {
		return append(found, warning("its clock is %s %s this machine's: times of the log, of events and of pauses are wrong by that", apart.Round(time.Millisecond), way))
	}
	return append(found, fine("its clock is %s %s this machine's", milliseconds(f.ahead.Abs()), way))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

// ofSchema foretells what a start makes of the schema.
func (f *facts) ofSchema() []Finding {
	names := f.names(func(t tableFacts) bool { return t.name != "meta" })
	switch {
	case f.schema == "":
		return []Finding{fault("there is no schema that the search_path of this user names: make one, or set search_path")}
	case !f.owner && (f.Receipts || !f.meta):
		return []Finding{fault("this user may not make tables in the schema %s, which the first start has to, and receipts need for each day: GRANT CREATE ON SCHEMA", f.schema)}
	case !f.meta && f.has("meta"): // an empty one, or not ours; the latter could not be read, which is a finding
		return nil
	case !f.meta && len(f.names(func(t tableFacts) bool { return t.name == "meta" })) > 0:
		return nil // it lacks the right, which is a finding
	case !f.meta && len(names) > 0:
		return []Finding{fault("there are tables named %s that are of no relay: give it a schema or a database of its own", strings.Join(names, ", "))}
	case !f.meta:
		return []Finding{fine("the schema %s has no tables of a relay: the first start makes them", f.schema)}
	case f.format > formatVersion+1:
		return []Finding{fault("its tables have format %d, and this program knows up to %d: use a newer program", f.format, formatVersion+1)}
	case f.format > formatVersion:
		return []Finding{note("its tables have format %d, of a newer program; this one goes on with it", f.format)}
	case f.format < formatVersion:
		return []Finding{note("its tables have format %d; a start makes that %d", f.format, formatVersion)}
	}
	return []Finding{fine("its tables have format %d, in the schema %s", f.format, f.schema)}
}

func (f *facts) names(which func(tableFacts) bool) (names []string) {
	for _, t := range f.tables {
		if which(t) {
			names = append(names, t.name)
		}
	}
	return names
}

// ofTables are the rights that this user lacks.
func (f *facts) ofTables() (found []Finding) {
	if len(f.names(func(t tableFacts) bool { return t.name == "meta" })) == 0 {
		return nil // there are none, or they are of no relay
	}
	lacking := map[string][]string{}
	for _, t := range f.tables {
		if rights := strings.Join(t.lacking, ", "); rights != "" {
			lacking[rights] = append(lacking[rights], t.name)
		}
	}
	for rights, tables := range lacking {
		found = append(found, fault("this user lacks %s on %s", rights, strings.Join(tables, ", ")))
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
	if others := f.names(func(t tableFacts) bool { return !t.own }); slices.Contains(others, "receipt") {
		found = append(found, warning("this user does not own %s: the tables of the days to come cannot be made, so that a start after today fails unless receiptsMaxAge is 0", strings.Join(others, ", ")))
	} else if len(others) > 0 {
		found = append(found, warning("this user does not own %s: a newer program could not bring the tables to its format", strings.Join(others, ", ")))
	}
	return found
}

func (f *facts) ofKey() []Finding {
	switch {
	case !f.meta || f.KeyCheck == "":
		return nil
	case f.keyCheck != f.KeyCheck:
		return []Finding{fault("the key in journalKeyFile is not the one that this database's tokens are sealed with; all nodes need the same")}
	}
	return []Finding{fine("its tokens are sealed with the key in journalKeyFile")}
}

// ofDurability says what a crash may cost.
func (f *facts) ofDurability() (found []Finding) {
	if f.settings["synchronous_commit"] == "off" {
		found = append(found, warning("synchronous_commit is off: what was answered 200 in the last moments before a crash of the server, up to three times wal_writer_delay, is lost; take it out of the URL"))
	}
	if f.settings["fsync"] == "off" {
		found = append(found, warning("fsync is off: a power loss or a crash of its system can leave the whole database unreadable"))
	}
	if f.settings["full_page_writes"] == "off" {
		found = append(found, warning("full_page_writes is off: a page that was half written when the power was lost stays damaged"))
	}
	if f.version >= leastVersion && len(found) == 0 {
		found = append(found, fine("a change is on its disk before it is answered"))
	}
	return found
}

// ofStandbys says what a failover may cost.
func (f *facts) ofStandbys() (found []Finding) {
	if f.version < leastVersion || f.standby {
		return nil
	}
	var waitedFor, behind, unseen []string
	for _, s := range f.standbys {
		switch s.sync {
		case "sync", "quorum":
			waitedFor = append(waitedFor, s.name)
		case "":
			unseen = append(unseen, s.name)
		default:
			behind = append(behind, s.name)
		}
	}
	named := f.settings["synchronous_standby_names"]
	switch commit := f.settings["synchronous_commit"]; {
	case len(unseen) > 0 && named != "":
		found = append(found, note("standbys follow: %s; whether commits wait for them this user may not see: GRANT pg_read_all_stats, or pg_monitor", strings.Join(unseen, ", ")))
	case len(unseen) > 0:
		behind = append(behind, unseen...)
	case named != "" && len(waitedFor) == 0:
		found = append(found, warning("commits wait for synchronous_standby_names, and none of these follows: no change would be answered"))
	case len(waitedFor) > 0 && (commit == "local" || commit == "off"):
		found = append(found, warning("commits do not wait for the synchronous standby %s, as synchronous_commit is %s: at a failover the last changes that were answered 200 are lost", strings.Join(waitedFor, ", "), commit))
	case len(waitedFor) > 0 && commit == "remote_write":
		found = append(found, note("commits wait until %s has them, but not until they are on its disk: synchronous_commit is remote_write", strings.Join(waitedFor, ", ")))
	case len(waitedFor) > 0:
		found = append(found, fine("commits wait for the standby %s", strings.Join(waitedFor, ", ")))
	}
	switch {
	case len(behind) > 0 && len(waitedFor) == 0:
		found = append(found, warning("commits wait for no standby: at a failover to %s the last changes that were answered 200 are lost, and deliveries that were noted are made again; name it in synchronous_standby_names", strings.Join(behind, " or ")))
	case len(behind) > 0:
		found = append(found, note("commits do not wait for the standby %s: do not fail over to it while the others live", strings.Join(behind, ", ")))
	case len(f.standbys) == 0 && named == "":
		found = append(found, note("no standby follows: what it holds is on its own disk, and on what that is copied to"))
	}
	return found
}

func (f *facts) ofConnections() []Finding {
	left := max(f.limit-f.used, 0)
	switch {
	case f.limit == 0:
		return nil
	case left < nodeLines:
		return []Finding{warning("%d of %d connections are free, and a node takes %d: raise max_connections", left, f.limit, nodeLines)}
	}
	return []Finding{fine("%d of %d connections are free; a node takes %d", left, f.limit, nodeLines)}
}

// ofVacuum says what keeps rows of delivered keys from being cleared away.
func (f *facts) ofVacuum() (found []Finding) {
	for _, setting := range []string{"autovacuum", "track_counts"} {
		if f.settings[setting] == "off" {
			found = append(found, warning("%s is off: the rows of delivered keys are not cleared away, and everything gets slower", setting))
		}
	}
	if f.held.age > mostHeld {
		found = append(found, warning("%s for %s: the rows of keys that were delivered since are not cleared away", f.held.by, f.held.age.Round(time.Second)))
	}
	return found
}

func (f *facts) ofNodes() []Finding {
	if len(f.nodes) == 0 {
		return nil
	}
	found := []Finding{note("nodes at work: %s", strings.Join(f.nodes, ", "))}
	if programs := slices.Compact(slices.Sorted(slices.Values(f.programs))); len(programs) > 1 {
		found = append(found, note("their programs differ: %s", strings.Join(programs, ", ")))
	}
	return found
}

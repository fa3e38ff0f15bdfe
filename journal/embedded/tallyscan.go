package embedded

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"audiences/journal"
)

// scanTally counts what was parked and paused when the journal was opened. It is
// called before anything is written, and comes back at once: a million parked
// records take the counter about a second, and the start does not wait for it.
func (j *Journal) scanTally() {
	snapshot := j.db.NewSnapshot()
	j.counts.put(func() {
		defer func() { _ = snapshot.Close() }()
		s := tallyScan{j: j, from: snapshot, found: newSums()}
		if s.run() {
			j.tally.scanned(s.found, s.errs > 0)
			s.report()
		}
	})
}

// scanned adds what the scan found.
func (t *tally) scanned(found sums, incomplete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sums.add(found)
	t.missing = incomplete
}

// tallyScan is one run over the store.
type tallyScan struct {
	j      *Journal
	from   *pebble.Snapshot
	found  sums
	within int // segments that have parked keys
	errs   int // places that could not be read
}

// run reports false when the journal was closed meanwhile.
func (s *tallyScan) run() bool { return s.keys() && s.segments() && s.tenants() }

// keys decodes a record only where it differs from the one before: those of one
// refusal are the same.
func (s *tallyScan) keys() bool {
	var last record
	var reason string
	first := true
	return s.each(prefixParked, func(r record) {
		if first || r.id != last.id {
			s.within++
		}
		if first || !bytes.Equal(r.value, last.value) {
			reason = reasonOf(r.value)
		}
		first, last = false, r
		s.found.keys[reason]++
	})
}

func (s *tallyScan) segments() bool {
	return s.each(prefixSegmentState, func(r record) {
		var state journal.SegmentState
		if decodeJSON(r.value, &state) == nil { // else reported by Segments
			s.found.segment(state, +1)
		}
	})
}

func (s *tallyScan) tenants() bool {
	return s.each(prefixTenantState, func(r record) {
		var state journal.TenantState
		if decodeJSON(r.value, &state) == nil { // else reported by Tenants
			s.found.tenant(state, +1)
		}
	})
}

// each walks over the records under a prefix, while no read waits for a reader.
func (s *tallyScan) each(prefix byte, count func(record)) bool {
	n := 0
	for r, err := range records(s.from, prefix) {
		if n%countStep == 0 && !s.j.reads.idle() {
			return false
		}
		n++
		if err != nil {
			s.errs++
			continue
		}
		count(r)
	}
	return true
}

// report writes the line that an operator looks for after a restart.
func (s *tallyScan) report() {
	if s.errs > 0 {
		s.j.log.Warn().Int("places", s.errs).Msg("some parked keys or states in the journal could not be read: what is parked and paused is counted too low")
	}
	parkedKeys, keyReasons := s.reasons(s.found.keys)
	parkedSegments, segmentReasons := s.reasons(s.found.segments)
	segments, tenants := inForce(s.found.paused), inForce(s.found.tenants)
	if parkedKeys+parkedSegments+segments+tenants == 0 {
		return
	}
	s.j.log.Info().Int("keysParked", parkedKeys).Int("inSegments", s.within).Dict("keyReasons", keyReasons).
		Int("segmentsParked", parkedSegments).Dict("segmentReasons", segmentReasons).
		Int("segmentsPaused", segments).Int("tenantsPaused", tenants).
		Msg("the journal holds what was parked or paused before this start")
}

func (s *tallyScan) reasons(sum map[string]int) (all int, dict *zerolog.Event) {
	dict = zerolog.Dict()
	byReason := s.j.tally.byReason(sum)
	names := make([]string, 0, len(byReason))
	for reason := range byReason {
		names = append(names, reason)
	}
	slices.Sort(names)
	for _, reason := range names {
		if n := byReason[reason]; n > 0 {
			all += n
			dict = dict.Int(reason, n)
		}
	}
	return all, dict
}

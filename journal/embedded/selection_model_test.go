package embedded

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

// versioned is what a key of a segment has to be.
type versioned struct {
	verb    audience.Verb
	version journal.Version
}

// selections is a journal beside a model that compares every version, which the journal
// does only where it has to.
type selections struct {
	t       *rapid.T
	options Options
	j       *Journal
	writer  journal.Intake // another node; nil: not yet since the start
	pending map[audience.Segment]map[audience.Key]versioned
	parked  map[audience.Segment]map[audience.Key]audience.Verb
	seen    []journal.Version // that somebody may settle by
	page    map[audience.Segment][]journal.Entry
}

// some is a run of keys, or every third of one, and a text.
func (s *selections) some() (list []audience.Key) {
	ends := []int{0, 0, 1, 1, 3, 5, 520, 540}
	from, to := rapid.SampledFrom(ends).Draw(s.t, "from"), rapid.SampledFrom(ends).Draw(s.t, "to")
	step := rapid.SampledFrom([]int{1, 1, 3}).Draw(s.t, "step")
	for n := from; n < to; n += step {
		list = append(list, audience.NumericKey(int64(n)))
	}
	if rapid.Bool().Draw(s.t, "text") || len(list) == 0 {
		list = append(list, keys("a")...)
	}
	return list
}

func (s *selections) append(seg audience.Segment, elsewhere bool, verb audience.Verb, some []audience.Key) {
	intake := journal.Intake(s.j)
	if elsewhere {
		if s.writer == nil {
			s.writer = s.j.Writer(1)
		}
		intake = s.writer
	}
	version := intake.Append(appendOf(seg, verb, audience.KeysOf(some...), true, nil))
	for _, key := range some {
		s.pending[seg][key] = versioned{verb, version}
		delete(s.parked[seg], key)
	}
	if !elsewhere {
		s.seen = append(s.seen, version)
	}
}

// choose is a selection, and how the keys of it that are pending are compared.
func (s *selections) choose(seg audience.Segment) (journal.Selection, map[audience.Key]func(journal.Version) bool) {
	meant, notAfter := map[audience.Key]func(journal.Version) bool{}, rapid.SampledFrom(s.seen).Draw(s.t, "not after")
	var own []audience.Key
	if rapid.Bool().Draw(s.t, "own") {
		own = s.some()
	}
	for _, key := range own {
		meant[key] = notAfter.Covers
	}
	drawn := map[audience.Key]journal.Version{}
	if rapid.Bool().Draw(s.t, "drawn") {
		for _, e := range s.page[seg] {
			if meant[e.Key] == nil {
				drawn[e.Key] = e.Version
				meant[e.Key] = func(v journal.Version) bool { return v == e.Version }
			}
		}
	}
	return journal.Selection{Keys: slices.Values(own), NotAfter: notAfter, Drawn: maps.All(drawn)}, meant
}

// remove is what the selection does, and which keys are newer.
func (s *selections) remove(seg audience.Segment, meant map[audience.Key]func(journal.Version) bool) map[audience.Key]bool {
	newer := map[audience.Key]bool{}
	for key, means := range meant {
		if was, pending := s.pending[seg][key]; pending && !means(was.version) {
			newer[key] = true
		} else {
			delete(s.pending[seg], key)
		}
	}
	return newer
}

func (s *selections) expectNewer(want map[audience.Key]bool) (done func([]audience.Key, error), check func()) {
	answer := make(chan []audience.Key, 1)
	return func(newer []audience.Key, _ error) { answer <- newer }, func() {
		got := map[audience.Key]bool{}
		for _, key := range <-answer {
			got[key] = true
		}
		if !maps.Equal(got, want) {
			s.t.Fatalf("%d keys were newer, want %d", len(got), len(want))
		}
	}
}

func (s *selections) settle(seg audience.Segment) {
	selection, meant := s.choose(seg)
	done, check := s.expectNewer(s.remove(seg, meant))
	s.j.Settle(journal.Settle{Segment: seg, Selection: selection, Done: done})
	check()
}

func (s *selections) park(seg audience.Segment, verb audience.Verb) {
	selection, meant := s.choose(seg)
	newer := s.remove(seg, meant)
	for key := range meant {
		if !newer[key] {
			s.parked[seg][key] = verb
		}
	}
	done, check := s.expectNewer(newer)
	s.j.Append(appendOf(seg, verb, audience.Keys{}, true, nil)) // a move may have taken the name
	s.j.Park(journal.Park{Segment: seg, Verb: verb, Selection: selection, Done: done})
	check()
}

func (s *selections) unpark(seg audience.Segment) {
	if n, err := unpark(s.j, journal.Unpark{Segment: seg}); err != nil || n != len(s.parked[seg]) {
		s.t.Fatalf("%d keys were unparked, want %d: %v", n, len(s.parked[seg]), err)
	}
	for key, verb := range s.parked[seg] {
		if _, pending := s.pending[seg][key]; !pending {
			s.pending[seg][key] = versioned{verb, s.j.Newest()}
		}
	}
	clear(s.parked[seg])
}

func (s *selections) move(from, to audience.Segment) {
	done := make(chan error, 1)
	s.j.MoveTenant(from.Tenant, to.Tenant, func(_ []audience.Segment, _ int, err error) { done <- err })
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	take := func(key audience.Key, verb audience.Verb) {
		_, pending := s.pending[to][key]
		if _, parked := s.parked[to][key]; !pending && !parked {
			s.pending[to][key] = versioned{verb, s.j.Newest()}
		}
	}
	for key, was := range s.pending[from] {
		take(key, was.verb)
	}
	for key, verb := range s.parked[from] {
		take(key, verb)
	}
	clear(s.pending[from])
	clear(s.parked[from])
}

func (s *selections) reopen() {
	if s.j != nil {
		if err := s.j.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	var err error
	if s.j, err = Open(s.options); err != nil {
		s.t.Fatal(err)
	}
	s.writer, s.seen = nil, append(s.seen, s.j.Newest())
}

func (s *selections) look(seg audience.Segment) {
	page := load(s.j, journal.Load{Segment: seg, Limit: 1 << 20})
	got := map[audience.Key]versioned{}
	for _, e := range page.Entries {
		got[e.Key] = versioned{e.Verb, e.Version}
	}
	if page.Err != nil || !maps.Equal(got, s.pending[seg]) {
		s.t.Fatalf("%v: %d are pending, want %d, or others", page.Err, len(got), len(s.pending[seg]))
	}
	if counts := count(s.j, seg); counts.Parked != len(s.parked[seg]) {
		s.t.Fatalf("%d are parked, want %d", counts.Parked, len(s.parked[seg]))
	}
	s.page[seg] = page.Entries
}

// TestSelections covers I2 and I3: whatever the journal does not look up, and whatever it
// deletes as a range, it removes exactly what a Selection means and names what is newer,
// over restarts, with another node, retries and moves.
func TestSelections(t *testing.T) {
	defer fewer(t)()
	rapid.Check(t, func(t *rapid.T) {
		segments := []audience.Segment{segment(tenant("a"), "s"), segment(tenant("b"), "s")}
		s := &selections{t: t, options: inMemory(), pending: map[audience.Segment]map[audience.Key]versioned{},
			parked: map[audience.Segment]map[audience.Key]audience.Verb{}, page: map[audience.Segment][]journal.Entry{}}
		for _, seg := range segments {
			s.pending[seg], s.parked[seg] = map[audience.Key]versioned{}, map[audience.Key]audience.Verb{}
		}
		s.reopen()
		defer func() { _ = s.j.Close() }()
		one, verb := rapid.SampledFrom(segments), rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete})
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) { s.append(one.Draw(t, "segment"), false, verb.Draw(t, "verb"), s.some()) },
			"append elsewhere": func(t *rapid.T) {
				s.append(one.Draw(t, "segment"), true, verb.Draw(t, "verb"), s.some())
			},
			"settle": func(t *rapid.T) { s.settle(one.Draw(t, "segment")) },
			"park":   func(t *rapid.T) { s.park(one.Draw(t, "segment"), verb.Draw(t, "verb")) },
			"unpark": func(t *rapid.T) { s.unpark(one.Draw(t, "segment")) },
			"move":   func(*rapid.T) { s.move(segments[0], segments[1]) },
			"reopen": func(*rapid.T) { s.reopen() },
			"look":   func(t *rapid.T) { s.look(one.Draw(t, "segment")) },
		})
		for _, seg := range segments {
			s.look(seg)
		}
	})
}

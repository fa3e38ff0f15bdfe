package actors

import (
	"strconv"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestSteadyTrafficGathers: under steady traffic of both verbs there is one call
// per verb and flush interval, also when memory is short and every key stays in
// the journal. Keys that came during the call for one verb found the other one
// overdue and rode along at once: calls followed each other without a pause, with
// a handful of keys each.
func TestSteadyTrafficGathers(t *testing.T) {
	for name, options := range map[string]Options{
		"in memory":      {},
		"in the journal": {MaxKeysInMemory: -1},
	} {
		t.Run(name, func(t *testing.T) {
			slowly := sandbox.Options{Faults: []sandbox.Rule{{Kind: sandbox.Slow, Delay: 300 * time.Millisecond}}}
			play(t, slowly, options, func(s *scene) {
				const minutes = 2
				for i := range minutes * 60 * 10 {
					verb := audience.Add
					if i%3 == 0 {
						verb = audience.Delete
					}
					s.accept("token", "s", verb, strconv.Itoa(i))
					s.at(time.Duration(i+1) * 100 * time.Millisecond)
				}
				intervals := minutes * 6
				if calls := s.split.Counts().Calls; calls > 2*intervals+2 || calls < intervals {
					t.Errorf("%d calls in %d intervals of steady traffic with two verbs", calls, intervals)
				}
			})
		})
	}
}

// TestFullCallsFirst: a whole call's worth of keys goes before less of the other
// verb, but a stream of full calls does not starve the other one for ever.
func TestFullCallsFirst(t *testing.T) {
	const most, patience = 3, 10 * time.Second
	for name, c := range map[string]struct {
		adds, deletes int
		overdue       time.Duration // of the deletes; the adds are due now
		last, want    audience.Verb
	}{
		"nothing":                     {},
		"one verb":                    {deletes: 1, last: audience.Delete, want: audience.Delete},
		"due first":                   {adds: 1, deletes: 1, overdue: 1, want: audience.Delete},
		"due together":                {adds: 1, deletes: 1, last: audience.Add, want: audience.Delete},
		"a full call":                 {adds: most, deletes: 1, overdue: patience - 1, want: audience.Add},
		"patience is over":            {adds: most, deletes: 1, overdue: patience, want: audience.Delete},
		"two full calls alternate":    {adds: most, deletes: most, overdue: time.Hour, last: audience.Delete, want: audience.Add},
		"a full call that is overdue": {adds: 1, deletes: most, overdue: time.Hour, want: audience.Delete},
	} {
		b := batch{maxChunk: most, last: c.last}
		for n := range c.adds {
			b.adds.Add(audience.NumericKey(int64(n)))
		}
		for n := range c.deletes {
			b.deletes.Add(audience.NumericKey(int64(100 + n)))
		}
		d := dues{adds: noon, deletes: noon.Add(-c.overdue)}
		if got := d.next(&b, noon, patience); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestHastenKeepsWhatIsOverdue: a page of stored keys made what had waited for
// longer look new, and so wait behind each page that followed.
func TestHastenKeepsWhatIsOverdue(t *testing.T) {
	d := dues{adds: noon.Add(-time.Minute), deletes: noon.Add(time.Minute)}
	d.hasten(noon)
	if want := (dues{adds: noon.Add(-time.Minute), deletes: noon, stored: noon}); d != want {
		t.Errorf("%v, want %v", d, want)
	}
}

package standing

import (
	"errors"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var limits = Limits{NotFoundGrace: time.Minute, ProbeInterval: time.Hour}

var (
	forbidden = journal.Refusal{Reason: string(splitclient.Forbidden), At: noon}
	isFull    = journal.Refusal{Reason: string(splitclient.SegmentFull), At: noon}
	absent    = splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.NotFound, Scope: splitclient.ScopeSegment}
)

// begun is the standing of a segment whose first page told this record.
func begun(record journal.SegmentState) *Standing {
	s := New(limits)
	s.FirstPage(record, noon)
	s.Counted()
	return &s
}

// TestLeave: what a segment may do in each of its states.
func TestLeave(t *testing.T) {
	unread, unreadable := New(limits), New(limits)
	unreadable.ReadFailed()
	discards, yields := begun(journal.SegmentState{Parked: &isFull}), begun(journal.SegmentState{})
	discards.Discard(1, 9)
	yields.Yield()
	for name, c := range map[string]struct {
		standing    *Standing
		want        Leave
		deletesOnly bool
	}{
		"not read yet":     {standing: &unread, want: Reading},
		"unreadable":       {standing: &unreadable, want: Calls},
		"nothing is wrong": {standing: begun(journal.SegmentState{}), want: Calls},
		"paused":           {standing: begun(journal.SegmentState{Paused: true}), want: Nothing},
		"parked":           {standing: begun(journal.SegmentState{Parked: &forbidden}), want: Probes},
		"full":             {standing: begun(journal.SegmentState{Parked: &isFull}), want: DeletesProbes, deletesOnly: true},
		"paused and full":  {standing: begun(journal.SegmentState{Paused: true, Parked: &isFull}), want: Nothing, deletesOnly: true},
		"being discarded":  {standing: discards, want: Nothing},
		"yielded":          {standing: yields, want: Nothing},
	} {
		if got := c.standing.Leave(); got != c.want || c.standing.DeletesOnly() != c.deletesOnly {
			t.Errorf("%s: leave %d, want %d; deletes only %v", name, got, c.want, c.standing.DeletesOnly())
		}
	}
}

// TestRecordOutlivesARestart: what is written is what is read.
func TestRecordOutlivesARestart(t *testing.T) {
	for _, record := range []journal.SegmentState{
		{}, {Paused: true}, {Paused: true, PausedUntil: noon.Add(1), PausedSince: noon, PausedBy: "ana"}, {Parked: &isFull}, {Paused: true, Parked: &forbidden},
	} {
		if got := begun(record).Record(); got != record {
			t.Errorf("%+v became %+v", record, got)
		}
	}
}

// TestPauseEnds: by itself at its time, or with Resume, and not before.
func TestPauseEnds(t *testing.T) {
	s := begun(journal.SegmentState{})
	s.Pause(noon.Add(time.Minute), noon, "ana")
	if s.EndPause(noon.Add(time.Minute-1)) || !s.Paused() {
		t.Error("the pause ended early")
	}
	if !s.EndPause(noon.Add(time.Minute)) || s.Record() != (journal.SegmentState{}) {
		t.Errorf("after its time the record is %+v", s.Record())
	}
	s.Pause(time.Time{}, noon, "ana")
	if s.EndPause(noon.AddDate(1, 0, 0)) {
		t.Error("a pause without an end ended by itself")
	}
	if s.Resume(); s.Record() != (journal.SegmentState{}) || s.Leave() != Calls {
		t.Errorf("after Resume the record is %+v", s.Record())
	}
	if s.Pause(noon, noon, "ana"); s.PausedUntil() != noon {
		t.Error("the end of a pause is not told")
	}
}

// TestGraceOfA404: it begins with the first 404 in a row, another outcome ends it, and
// a segment that is parked has had it.
func TestGraceOfA404(t *testing.T) {
	s := begun(journal.SegmentState{})
	expect := func(after time.Duration, want Concern) {
		t.Helper()
		s.Outcome(splitclient.NotFound)
		if got := s.Judge(absent, audience.Add, noon.Add(after)); got != want {
			t.Errorf("404 after %v: concern %d, want %d", after, got, want)
		}
	}
	expect(0, NotYet)
	expect(59*time.Second, NotYet)
	s.Outcome(splitclient.ServerError)
	expect(time.Hour, NotYet)
	if s.MissingSince() != noon.Add(time.Hour) {
		t.Error("another outcome did not end the row")
	}
	expect(time.Hour+time.Minute-1, NotYet)
	expect(time.Hour+time.Minute, OfSegment)
	if !s.Park(journal.Refusal{Reason: string(splitclient.NotFound)}, noon) || !s.MissingSince().IsZero() {
		t.Error("it is not parked")
	}
	expect(2*time.Hour, OfSegment)
}

// TestRetryOpensTheGraceAnew: an operator who has made the segment in Split has it
// tried again. Split knows it some seconds later, and it must not be parked at once
// for a 404 of the days before.
func TestRetryOpensTheGraceAnew(t *testing.T) {
	s := begun(journal.SegmentState{})
	s.Judge(absent, audience.Add, noon)
	if s.Judge(absent, audience.Add, noon.Add(time.Minute)) != OfSegment {
		t.Fatal("the grace has no end")
	}
	s.Park(journal.Refusal{Reason: string(splitclient.NotFound)}, noon)
	if !s.Retry() {
		t.Fatal("it was not parked")
	}
	if got := s.Judge(absent, audience.Add, noon.Add(time.Hour)); got != NotYet {
		t.Errorf("concern %d, want %d", got, NotYet)
	}
}

// TestConcerns: whom a permanent refusal is about.
func TestConcerns(t *testing.T) {
	of := func(scope splitclient.Scope) splitclient.Outcome {
		return splitclient.Outcome{Kind: splitclient.Permanent, Scope: scope, Reason: splitclient.BadRequest}
	}
	open, parked, full := journal.SegmentState{}, journal.SegmentState{Parked: &forbidden}, journal.SegmentState{Parked: &isFull}
	for _, c := range []struct {
		record journal.SegmentState
		scope  splitclient.Scope
		verb   audience.Verb
		want   Concern
	}{
		{open, splitclient.ScopeTenant, audience.Add, OfTenant},
		{full, splitclient.ScopeTenant, audience.Delete, OfTenant},
		{open, splitclient.ScopeSegment, audience.Add, OfSegment},
		{open, splitclient.ScopeKeys, audience.Add, OfKeys},
		{parked, splitclient.ScopeKeys, audience.Delete, OfSegment}, // one key of which nobody knows
		{full, splitclient.ScopeKeys, audience.Add, OfSegment},
		{full, splitclient.ScopeKeys, audience.Delete, OfKeys},
	} {
		if got := begun(c.record).Judge(of(c.scope), c.verb, noon); got != c.want {
			t.Errorf("%+v: concern %d", c, got)
		}
	}
}

// TestParkIsNewsOnce: a parked segment that is refused again stays parked for its first
// reason, and is tried one interval later; but a full one that is refused for another
// reason is no longer held to be full.
func TestParkIsNewsOnce(t *testing.T) {
	for _, c := range []struct {
		before *journal.Refusal
		why    journal.Refusal
		news   bool
		reason string
	}{
		{nil, forbidden, true, forbidden.Reason},
		{nil, isFull, true, isFull.Reason},
		{&forbidden, isFull, false, forbidden.Reason},
		{&isFull, isFull, false, isFull.Reason},
		{&isFull, forbidden, true, forbidden.Reason},
	} {
		s := begun(journal.SegmentState{Parked: c.before})
		if news := s.Park(c.why, noon.Add(time.Minute)); news != c.news || s.Record().Parked.Reason != c.reason {
			t.Errorf("%+v: news %v, reason %q", c, news, s.Record().Parked.Reason)
		}
		if want := noon.Add(time.Minute + time.Hour); s.ProbeAt() != want {
			t.Errorf("%+v: tried at %v, want %v", c, s.ProbeAt(), want)
		}
	}
}

// TestProbeIsAnInterval after a restart; or when it was before the segment dozed.
func TestProbeIsAnInterval(t *testing.T) {
	if s := begun(journal.SegmentState{Parked: &forbidden}); s.ProbeAt() != noon.Add(time.Hour) {
		t.Errorf("tried at %v", s.ProbeAt())
	}
	s := New(limits)
	s.Restore(time.Time{}, noon.Add(time.Minute))
	if s.FirstPage(journal.SegmentState{Parked: &forbidden}, noon); s.ProbeAt() != noon.Add(time.Minute) {
		t.Errorf("tried at %v", s.ProbeAt())
	}
	if s.Retry(); !s.ProbeAt().IsZero() {
		t.Error("what is not parked is not tried")
	}
	s = New(limits)
	s.Restore(noon.Add(-time.Minute), time.Time{})
	if s.Judge(absent, audience.Add, noon) != OfSegment {
		t.Error("a 404 from before it dozed is forgotten")
	}
}

// TestDeliveredUnparks: whatever Split takes, but for deletes of a full segment, which
// only make room for a probe.
func TestDeliveredUnparks(t *testing.T) {
	for _, c := range []struct {
		before   *journal.Refusal
		verb     audience.Verb
		unparked bool
		probeAt  time.Time
	}{
		{nil, audience.Add, false, time.Time{}},
		{&forbidden, audience.Delete, true, time.Time{}},
		{&isFull, audience.Add, true, time.Time{}},
		{&isFull, audience.Delete, false, noon.Add(time.Second)},
	} {
		s := begun(journal.SegmentState{Parked: c.before})
		if got := s.Delivered(c.verb, noon.Add(time.Second)); got != c.unparked || s.ProbeAt() != c.probeAt {
			t.Errorf("%+v: unparked %v, tried at %v", c, got, s.ProbeAt())
		}
	}
}

// TestDiscard: only what is parked is discarded, once, until its end; that also ends
// the parking. Keys that were accepted meanwhile are spared for as long.
func TestDiscard(t *testing.T) {
	s := begun(journal.SegmentState{})
	if s.Discard(1, 9); s.Discarding() {
		t.Error("a segment that is not parked loses its keys")
	}
	s = begun(journal.SegmentState{Parked: &forbidden})
	s.Discard(3, 9)
	s.Spare(audience.KeysOf(audience.NumericKey(1)))
	if s.Discard(5, 9); s.LastPass() != 3 {
		t.Error("the second wish put the end off")
	}
	if !s.Discarding() || s.Spared().Len() != 1 || s.AtRest() {
		t.Error("nothing is discarded")
	}
	if s.Discarded(); s.Discarding() || s.Spared().Len() != 0 || s.Record() != (journal.SegmentState{}) || !s.AtRest() {
		t.Errorf("after the end the record is %+v", s.Record())
	}
}

// TestOlderRecordIsOverruled: where the journal could not be read at first, what was
// decided meanwhile is newer than what it tells later; else its word counts.
func TestOlderRecordIsOverruled(t *testing.T) {
	s := New(limits)
	s.ReadFailed()
	if !s.Known() || s.FirstPageIn() {
		t.Error("changes are not served while the journal cannot be read")
	}
	s.Pause(time.Time{}, noon, "ana")
	s.ReadFailed()
	if s.FirstPage(journal.SegmentState{}, noon); !s.Paused() || !s.FirstPageIn() {
		t.Error("the pause is undone by an older record")
	}
	s = New(limits)
	s.ReadFailed()
	if s.FirstPage(journal.SegmentState{Paused: true}, noon); !s.Paused() {
		t.Error("the journal's record does not count")
	}
}

// TestMove: the keys and the record are given up, and looked for again afterwards.
func TestMove(t *testing.T) {
	s := begun(journal.SegmentState{Paused: true, PausedUntil: noon, Parked: &forbidden})
	s.KeysParked(4)
	if s.MoveOver() {
		t.Error("a move is over that never was")
	}
	s.Yield()
	if !s.Yielded() || !s.Known() || !s.Stateless() || s.AtRest() {
		t.Errorf("given up with %+v and %d parked keys", s.Record(), s.ParkedKeys())
	}
	s.Pause(time.Time{}, noon, "ana") // is written, and read again
	if !s.MoveOver() || s.Known() || s.Leave() != Nothing {
		t.Error("after the move the segment does not begin anew, or forgets the pause")
	}
	if s.FirstPage(journal.SegmentState{}, noon); s.Paused() || s.Leave() != Calls {
		t.Error("the journal's record does not count")
	}
}

// TestParkedKeysAreCounted: what was known is part of the count, what came since is
// added; an error leaves one at least, so that the journal does not forget the segment.
func TestParkedKeysAreCounted(t *testing.T) {
	s := New(limits)
	s.FirstPage(journal.SegmentState{}, noon)
	s.KeysParked(2)
	known := s.ParkedKeys()
	s.KeysParked(1)
	if !s.WantsCount() || s.AllCounted() {
		t.Error("parked keys need not be counted")
	}
	if s.CountedParked(10, known, nil); s.ParkedKeys() != 11 || s.WantsCount() || !s.AllCounted() {
		t.Errorf("%d parked keys, want 11", s.ParkedKeys())
	}
	s = New(limits)
	s.FirstPage(journal.SegmentState{}, noon)
	if s.CountedParked(0, 0, errors.New("damaged")); s.ParkedKeys() != 1 || s.Stateless() {
		t.Error("keys that could not be counted are forgotten")
	}
}

// TestUnparkedKeys: those that are parked while the others are taken back stay parked;
// after an error all may be.
func TestUnparkedKeys(t *testing.T) {
	s := begun(journal.SegmentState{})
	s.KeysParked(5)
	parked := s.Unpark()
	s.KeysParked(2)
	if parked != 5 || s.AtRest() {
		t.Errorf("%d keys are taken back, want 5", parked)
	}
	if s.Unparked(parked, nil); s.ParkedKeys() != 2 || !s.AtRest() {
		t.Errorf("%d keys are parked, want 2", s.ParkedKeys())
	}
	parked = s.Unpark()
	if s.Unparked(parked, errors.New("damaged")); s.ParkedKeys() != 2 {
		t.Errorf("%d keys are parked after an error, want 2", s.ParkedKeys())
	}
	s.Release()
	if s.AtRest() {
		t.Error("at rest, with keys on their way back")
	}
	if s.Released(3); s.ParkedKeys() != 0 || !s.AtRest() {
		t.Errorf("%d keys are parked, want none", s.ParkedKeys())
	}
}

// TestACountWaitsForKeysThatAreTakenBack: it is not known which of them it would see.
func TestACountWaitsForKeysThatAreTakenBack(t *testing.T) {
	s := New(limits)
	s.FirstPage(journal.SegmentState{}, noon)
	parked := s.Unpark()
	if s.WantsCount() {
		t.Error("it does not wait")
	}
	if s.Unparked(parked, nil); !s.WantsCount() {
		t.Error("it waits for ever")
	}
}

// TestWayOfACall: the phases, as an operator sees them.
func TestWayOfACall(t *testing.T) {
	s := New(limits)
	expect := func(want string) {
		t.Helper()
		if got := s.Phase(); got != want {
			t.Errorf("phase %q, want %q", got, want)
		}
	}
	expect("gathering")
	if s.Ask(); !s.Waiting() || s.Gathering() {
		t.Error("no permit is waited for")
	}
	expect("waiting for a permit")
	if s.Fetch(); !s.Fetching() || s.Waiting() {
		t.Error("nothing is fetched")
	}
	expect("reading from the journal")
	if s.Call(); !s.Calling() || s.Fetching() {
		t.Error("no call is under way")
	}
	expect("calling")
	s.Outcome(splitclient.OK)
	expect("gathering")
	s.Ask()
	s.GiveBack()
	expect("gathering")
	s.Call() // with a permit that was asked for before a crash
	expect("calling")
}

// TestFlushTriesAParkedSegment at once.
func TestFlushTriesAParkedSegment(t *testing.T) {
	s := begun(journal.SegmentState{Parked: &forbidden})
	if s.Flush(noon); s.ProbeAt() != noon {
		t.Errorf("tried at %v", s.ProbeAt())
	}
}

// TestAsleepKnowsAll: what had nothing in the journal need not be read or counted.
func TestAsleepKnowsAll(t *testing.T) {
	s := New(limits)
	if s.AtRest() || s.Leave() != Reading {
		t.Error("at rest before anything is known")
	}
	if s.Empty(); !s.AtRest() || !s.Stateless() || !s.AllCounted() || s.Leave() != Calls {
		t.Error("something is to be read or counted")
	}
}

// TestDrainHurriesOnce: one attempt is all that a stop waits for.
func TestDrainHurriesOnce(t *testing.T) {
	s := begun(journal.SegmentState{})
	if s.Hurries() || s.Stopping() {
		t.Error("hurries before the stop")
	}
	if s.Drain(); !s.Hurries() || !s.Stopping() {
		t.Error("does not hurry")
	}
	if s.Drained(); s.Hurries() || !s.Stopping() {
		t.Error("hurries for ever")
	}
}

// TestSettlingIsNoRest: a segment is not let go while the journal has not answered a
// settle, after which keys may be pending again.
func TestSettlingIsNoRest(t *testing.T) {
	s := begun(journal.SegmentState{})
	if !s.AtRest() {
		t.Fatal("there is nothing to do")
	}
	s.Settle()
	s.Settle()
	s.Settled()
	if s.AtRest() {
		t.Error("at rest with a settle under way")
	}
	if s.Settled(); !s.AtRest() {
		t.Error("not at rest after the last answer")
	}
}

// TestParkedBeforeTheFirstPage: the journal's record is older than the refusal of a call
// that was made while the journal could not be read.
func TestParkedBeforeTheFirstPage(t *testing.T) {
	s := New(limits)
	s.ReadFailed()
	s.Park(forbidden, noon)
	s.FirstPage(journal.SegmentState{}, noon)
	if !s.ParkedSegment() || s.Record().Parked == nil {
		t.Error("an older record took the refusal away")
	}
}

// TestParkedKeysAreNeverLessThanNone: keys that turn out not to be parked after all may
// have been taken off before.
func TestParkedKeysAreNeverLessThanNone(t *testing.T) {
	s := begun(journal.SegmentState{})
	s.KeysParked(2)
	s.KeysParked(-5)
	if s.ParkedKeys() != 0 {
		t.Errorf("%d keys are parked", s.ParkedKeys())
	}
}

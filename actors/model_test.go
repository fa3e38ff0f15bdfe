package actors

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// fewer has rapid draw 50 histories in the place of a hundred, until it is ended: with the
// race detector they take a minute. -rapid.checks says how many it is to be.
func fewer(t *testing.T) (end func()) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return func() {}
	}
	if err := checks.Value.Set("50"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = checks.Value.Set(checks.DefValue) } // its own value
}

// TestModel is the heart of the tests (I1 to I6, I9): random histories of
// changes, of this process and of a second writer, waits, faults of Split, panics,
// passivation, crashes, pauses and rotated tokens; at rest Split has what the accepted
// changes make, and parked is what Split refuses.
func TestModel(t *testing.T) {
	defer fewer(t)()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			h := newHouse(t)
			defer h.close()
			if rapid.Bool().Draw(t, "poisoned") {
				h.poison()
			}
			t.Repeat(map[string]func(*rapid.T){
				"accept": func(t *rapid.T) { h.accept(h.drawChange(t)) },
				"burst": func(t *rapid.T) {
					h.accept(rapid.SliceOfN(rapid.Custom(h.drawChange), 2, 6).Draw(t, "changes")...)
				},
				"elsewhere": func(t *rapid.T) { h.acceptElsewhere(h.drawPosts(t, true)) },
				"wait": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 30_000).Draw(t, "ms")) * time.Millisecond)
				},
				"idle": func(*rapid.T) { time.Sleep(2*h.idle + time.Second) },
				"race": func(t *rapid.T) { h.race(t) },
				"panic": func(t *rapid.T) {
					at := rapid.Custom(func(t *rapid.T) method { return method(rapid.IntRange(0, int(methods)-1).Draw(t, "method")) }).Draw(t, "at")
					h.countsFail = h.countsFail || at == count
					h.faulty.traps[at].set(rapid.Int32Range(0, 2).Draw(t, "after"), rapid.Int32Range(1, 2).Draw(t, "times"), at.answers() && rapid.Bool().Draw(t, "fails"))
				},
				"fault":   func(t *rapid.T) { h.fault(drawFault(t)) },
				"heal":    func(*rapid.T) { h.heal() },
				"crash":   func(*rapid.T) { h.crash() },
				"operate": func(t *rapid.T) { h.drawOperation(t) },
				"discard": func(t *rapid.T) { h.discard(h.drawPlace(t), rapid.Bool().Draw(t, "tenant")) },
				"try":     func(t *rapid.T) { h.drawTrial(t) },
				"rotate":  func(t *rapid.T) { h.rotate(t, rapid.SampledFrom(houseOrganisations).Draw(t, "organisation")) },
			})
			h.rest()
		})
	})
}

func (h *house) drawPlace(t *rapid.T) place {
	return rapid.SampledFrom(h.places()).Draw(t, "place")
}

func (h *house) drawChange(t *rapid.T) change {
	texts := rapid.SampledFrom([]string{"1", "2", "3", "4", "5", poisonKey, "-7", "08", "a", "b"})
	return change{
		place: h.drawPlace(t),
		verb:  rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete}).Draw(t, "verb"),
		keys:  rapid.SliceOfN(texts, 1, 6).Draw(t, "keys"),
	}
}

func (h *house) drawOperation(t *rapid.T) {
	op := rapid.SampledFrom([]status.Remedy{status.Pause, status.Resume, status.Flush, status.Retry}).Draw(t, "op")
	var until time.Time
	if op == status.Pause && rapid.Bool().Draw(t, "until") {
		until = time.Now().Add(time.Minute)
	}
	h.operate(h.drawPlace(t), rapid.Bool().Draw(t, "tenant"), op, until)
}

// drawTrial is a dry run, of which the model is told nothing: it changes nothing.
func (h *house) drawTrial(t *rapid.T) {
	op := rapid.SampledFrom([]status.Remedy{status.Pause, status.Resume, status.Flush, status.Retry, status.Discard}).Draw(t, "op")
	w := h.wish(h.drawPlace(t), rapid.Bool().Draw(t, "tenant"), op, time.Time{})
	w.DryRun = true
	h.note("try %v of %v", op, w.Segment)
	h.must(h.ask(func(ctx context.Context) error {
		_, err := h.relay.Remedy(ctx, w)
		return err
	}))
}

// discard gives up what may be discarded: until it is accepted again nobody knows whether
// Split has it.
func (h *house) discard(at place, whole bool) {
	for _, of := range h.places() {
		if of != at && !(whole && of.organisation == at.organisation) {
			continue
		}
		// A key may be parked at this very moment: the pending ones are listed first.
		keys := h.pendingKeys(h.segment(of))
		maps.Copy(keys, h.parkedKeys(of))
		for key := range keys {
			h.givenUp[placedKey{of, key}] = true
			if key == poisonKey {
				delete(h.poisonVerb, of)
			}
		}
	}
	h.operate(at, whole, status.Discard, time.Time{})
}

// drawFault makes Split misbehave for some calls or some time.
func drawFault(t *rapid.T) sandbox.Rule {
	rule := rapid.SampledFrom([]sandbox.Rule{
		{Kind: sandbox.Status, Code: 500},
		{Kind: sandbox.Status, Code: 503, Applied: true},
		{Kind: sandbox.Status, Code: 404},
		{Kind: sandbox.Status, Code: 408},
		{Kind: sandbox.Throttle, Reset: houseThrottle},
		{Kind: sandbox.Throttle, Reset: houseThrottle, Scope: sandbox.IP},
		{Kind: sandbox.Hang},
		{Kind: sandbox.Hang, Applied: true},
		{Kind: sandbox.Slow, Delay: houseSlow},
		{Kind: sandbox.Reset},
		{Kind: sandbox.Reset, Applied: true},
		{Kind: sandbox.Conflict},
		{Kind: sandbox.HTMLBadGateway},
		{Kind: sandbox.Redirect},
		{Kind: sandbox.Unauthorized},
		{Kind: sandbox.Forbidden},
		{Kind: sandbox.Approvals},
		{Kind: sandbox.Full},
		{Kind: sandbox.TooLarge, Keys: 1},
		{Kind: sandbox.EmptyBadRequest},
		{Kind: sandbox.Poison, Key: "1"},
	}).Draw(t, "fault")
	rule.Segment = rapid.SampledFrom([]string{"", "sA"}).Draw(t, "of")
	if rapid.Bool().Draw(t, "counted") {
		rule.Count = rapid.IntRange(1, 3).Draw(t, "count")
	} else {
		rule.For = time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second
	}
	return rule
}

// rest waits until nothing but refused keys is left, and compares (I2, I3).
func (h *house) rest() {
	h.heal()
	h.faulty.disarm()
	for _, at := range h.places() {
		h.operate(at, true, status.Resume, time.Time{})
		h.operate(at, false, status.Resume, time.Time{})
	}
	if !h.poisoned {
		h.retryParked()
		h.settle()
		h.retryParked() // a hunt that was on when the fault ended may have blamed its last keys since
	}
	h.settle()
	h.look()
	h.settle()
	if h.poisoned {
		refused := h.refusedKeys()
		h.compare(refused)
		h.comparePoisoned(refused)
		h.cure()
		h.retryParked()
		h.settle()
	}
	h.compare(nil)
	if refused := h.refusedKeys(); len(refused) > 0 {
		h.t.Errorf("at rest there are parked keys: %v", refused)
	}
	h.expectQuiet()
	violations := slices.DeleteFunc(h.split.Violations(), func(v sandbox.Violation) bool {
		// Two tokens of one organisation are two tenants (I9), and do not know of each
		// other's 429.
		return v.Promise == sandbox.TooSoon && h.tokens > len(houseOrganisations)
	})
	if len(violations) > 0 {
		h.t.Errorf("broken promises: %v\nthe calls: %v", violations, h.calls())
	}
}

// expectQuiet: whoever has nothing to do is let go, and nothing is left in memory.
func (h *house) expectQuiet() {
	time.Sleep(4*h.idle + 2*houseProbe) // a segment that waits for a permit of a refused token gets it within one
	views, err := h.relay.Segments(context.Background())
	h.must(err)
	parked := map[audience.Segment]bool{} // kept in sight, by right
	for listed, err := range h.relay.Journal.Segments(audience.AllSlots()) {
		h.must(err)
		parked[listed.Segment] = listed.Parked
	}
	for _, v := range views {
		parked[v.Segment] = parked[v.Segment] || h.countsFail && v.Phase.Parked > 0 // or kept, as it is not known
	}
	views = slices.DeleteFunc(views, func(v SegmentView) bool { // of a token that went out of use while it was paused
		return parked[v.Segment] && v.Adds+v.Deletes+v.Stored == 0 || !slices.ContainsFunc(slices.Collect(maps.Values(h.current)), func(t audience.Tenant) bool { return t.ID == v.Segment.Tenant })
	})
	if n := h.relay.inMemory.Load(); n != 0 || len(views) > 0 {
		h.t.Errorf("at rest %d keys are counted as in memory, and these segments are active: %v\nthe diary: %v", n, views, h.diary)
	}
}

// compare holds Split against the model; keys that Split refuses are left out.
func (h *house) compare(refused map[place]map[string]audience.Verb) {
	for _, at := range h.places() {
		want := slices.Sorted(maps.Keys(h.model[at]))
		has := h.split.Members(at.organisation, "env", at.name)
		isRefused := func(key string) bool { return refused[at][key] != 0 || h.givenUp[placedKey{at, key}] }
		want, has = slices.DeleteFunc(want, isRefused), slices.DeleteFunc(slices.Clone(has), isRefused)
		if !slices.Equal(has, want) {
			for _, key := range append(has, want...) {
				h.note("%v %s: %v", at, key, h.split.History(at.organisation, "env", at.name, key))
			}
			h.note("refused %v; waiting %v", h.refusedKeys(), h.waiting())
			h.t.Errorf("%v has %v, want %v\nthe diary: %v\nthe calls: %v", at, has, want, h.diary, h.calls())
		}
	}
}

// comparePoisoned: the poisoned key waits with its last verb wherever it was
// accepted; and, if nothing else was refused for a while, nothing else does.
func (h *house) comparePoisoned(refused map[place]map[string]audience.Verb) {
	for at, verb := range h.poisonVerb {
		if at.name != "sB" {
			continue
		}
		if got := refused[at][poisonKey]; got != verb {
			h.t.Errorf("%v: the poisoned key waits to %v, want to %v", at, got, verb)
		}
	}
	for at, keys := range refused {
		for key := range keys {
			if key != poisonKey && !h.refusedKeysOnce {
				h.t.Errorf("%v: %s is parked, and was never refused\nthe diary: %v\nthe calls: %v", at, key, h.diary, h.calls())
			}
		}
	}
}

// calls lists what the look-alike saw, for the story of a failure.
func (h *house) calls() (lines []string) {
	for _, c := range h.split.Calls() {
		lines = append(lines, fmt.Sprintf("\n%s-%s %s %s %s %d keys: %d %s applied %v", c.Start.Format("15:04:05.000000"), c.End.Format("05.000000"),
			c.Tenant, c.Segment, c.Verb, c.Keys, c.Status, c.Outcome, c.Applied))
	}
	return lines
}

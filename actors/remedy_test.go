package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"
)

// kept is all that the journal has, to see that nothing was changed.
func (s *scene) kept() string {
	s.Helper()
	var lines []string
	for known, err := range s.store.Tenants(audience.AllSlots()) {
		s.must(err)
		lines = append(lines, fmt.Sprintf("%v %+v", known.Tenant.ID, known.State))
	}
	for l, err := range s.store.Segments(audience.AllSlots()) {
		s.must(err)
		page, err := s.relay.parked(context.Background(), l.Segment, journal.Cursor{}, 1000)
		s.must(err)
		var parked []string
		for _, entry := range page.Entries {
			parked = append(parked, entry.Key.Text())
		}
		reply := make(chan journal.Page, 1)
		s.store.Load(journal.Load{Segment: l.Segment, Limit: 1000, Done: func(p journal.Page) { reply <- p }})
		pending := 0
		for range (<-reply).Entries {
			pending++
		}
		refused := l.State.Parked != nil
		l.State.Parked = nil
		lines = append(lines, fmt.Sprintf("%v %s: %d pending, parked %v %v, %+v", l.Segment.Tenant, l.Segment.Name, pending, parked, refused, l.State))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// deeds are the events that an operator has caused, the newest first.
func (s *scene) deeds() []status.Event {
	s.Helper()
	events, err := s.relay.Events(context.Background(), 0, journal.EventsKept)
	s.must(err)
	return slices.DeleteFunc(events, func(e status.Event) bool { return e.Who == "" })
}

// remedy tries a wish, then carries it out, and sees that both tell the same, that the
// trial changed nothing, and that the deed alone is an event.
func (s *scene) remedy(w status.Wish) (status.Effect, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	kept, told := s.kept(), s.shownTo(ctx)
	before := len(s.deeds())
	w.DryRun = true
	would, errWould := s.relay.Remedy(ctx, w)
	if after, toldAfter := s.kept(), s.shownTo(ctx); after != kept || toldAfter != told || len(s.deeds()) > before {
		s.Errorf("a trial of %s changed\n%s\n%s\nto\n%s\n%s\nevents %v", w.Remedy, kept, told, after, toldAfter, s.deeds())
	}
	w.DryRun = false
	did, err := s.relay.Remedy(ctx, w)
	synctest.Wait()
	if fmt.Sprint(err) != fmt.Sprint(errWould) || would.Segments != did.Segments || would.Keys != did.Keys || would.More != did.More || !would.Until.Equal(did.Until) {
		s.Errorf("%s would be %+v, %v; and is %+v, %v", w.Remedy, would, errWould, did, err)
	}
	if err == nil && (!would.DryRun || did.DryRun || would.Sentence == did.Sentence) {
		s.Errorf("%q and %q", would.Sentence, did.Sentence)
	}
	if events := len(s.deeds()) - before; (err == nil) != (events == 1) {
		s.Errorf("%s, %v: %d events", w.Remedy, err, events)
	}
	return did, err
}

func (s *scene) shownTo(ctx context.Context) string {
	s.Helper()
	tenants, err := s.relay.Status(ctx)
	s.must(err)
	for _, t := range tenants {
		slices.SortFunc(t.Segments, func(a, b status.Segment) int { return strings.Compare(a.Segment, b.Segment) })
	}
	return fmt.Sprintf("%+v", tenants)
}

// TestRemedies: what each concerns, of a segment and of a tenant that has one segment
// with parked keys and no actor, one that is parked, one that gathers keys and one that is
// paused.
func TestRemedies(t *testing.T) {
	for _, c := range []struct {
		remedy status.Remedy
		name   string // of the segment; "": the tenant
		want   string
	}{
		{status.Flush, "", "2 segments, 5 keys"},
		{status.Flush, "gathers", "1 segments, 2 keys"},
		{status.Flush, "refused", "1 segments, 3 keys"},
		{status.Flush, "keys", status.ErrNotNeeded.Error()},
		{status.Flush, "paused", status.ErrPausedNow.Error()},
		{status.Pause, "", "4 segments, 6 keys"},
		{status.Pause, "gathers", "1 segments, 2 keys"},
		{status.Pause, "keys", "1 segments, 0 keys"},
		{status.Resume, "", status.ErrNotNeeded.Error()},
		{status.Resume, "paused", "1 segments, 1 keys"},
		{status.Resume, "gathers", status.ErrNotNeeded.Error()},
		{status.Retry, "", "2 segments, 5 keys"},
		{status.Retry, "keys", "1 segments, 2 keys"},
		{status.Retry, "refused", "1 segments, 3 keys"},
		{status.Retry, "gathers", status.ErrNotNeeded.Error()},
		{status.Discard, "", "2 segments, 5 keys"},
		{status.Discard, "keys", "1 segments, 2 keys"},
		{status.Discard, "refused", "1 segments, 3 keys"},
		{status.Discard, "paused", status.ErrNotNeeded.Error()},
		{status.Move, "", "4 segments, 8 keys"},
	} {
		t.Run(strings.TrimSpace(fmt.Sprint(c.remedy, " ", c.name)), func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.troubled()
				s.accept("new", "s", audience.Add, "1") // makes it known
				w := s.wish("token", c.name, c.remedy, time.Time{})
				if c.remedy == status.Move {
					w.To = s.tenant("new").ID
				}
				effect, err := s.remedy(w)
				got := fmt.Sprintf("%d segments, %d keys", effect.Segments, effect.Keys)
				if err != nil {
					got = strings.TrimPrefix(err.Error(), string(c.remedy)+": ")
				}
				if got != c.want {
					s.Errorf("%s, want %s", got, c.want)
				}
				if err != nil {
					return
				}
				e := s.deeds()[0]
				if e.Kind != kinds[c.remedy] || e.Who != "ana" || e.Tenant != s.tenant("token").ID.String() || e.Segment != c.name || e.Keys != effect.Keys || !e.At.Equal(time.Now()) {
					s.Errorf("the event is %+v", e)
				}
				if e.To != "" != (c.remedy == status.Move) || e.To != "" && e.To != s.tenant("new").ID.String() {
					s.Errorf("moved to %q", e.To)
				}
			})
		})
	}
}

// troubled makes the segments that TestRemedies tells of.
func (s *scene) troubled() {
	s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "8", Segment: "keys"})
	s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "9", Segment: "keys"})
	s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "refused"})
	s.accept("token", "refused", audience.Add, "1-3")
	s.accept("token", "keys", audience.Add, "1-4 9") // one bad key a call: there is no doubt
	s.at(15 * time.Second)
	s.accept("token", "keys", audience.Add, "5-7 8")
	s.at(time.Minute)
	s.restart()
	s.at(2 * time.Minute)
	s.accept("token", "paused", audience.Add, "1")
	s.operateOn("token", "paused", status.Pause, time.Time{})
	s.at(3 * time.Minute)
	s.accept("token", "gathers", audience.Add, "1 2")
}

// TestRemediesOfATenant: retry makes all of it go, discard takes parked keys and those of
// parked segments, and what is paused by itself stays.
func TestRemediesOfATenant(t *testing.T) {
	for remedy, want := range map[status.Remedy][]string{
		status.Retry:   {"1-9", "1-3"},
		status.Discard: {"1-7", ""},
	} {
		t.Run(string(remedy), func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.troubled()
				s.split.ClearFaults()
				s.operateOn("token", "", remedy, time.Time{})
				s.at(time.Hour)
				s.expectMembersOf("token", "keys", want[0])
				s.expectMembersOf("token", "refused", want[1])
				s.expectMembersOf("token", "gathers", "1 2")
				s.expectMembersOf("token", "paused", "")
				s.expectPending("token", "paused", "1")
				if page := s.parked("token", "keys", 10); len(page.Entries) > 0 {
					s.Errorf("%d keys are still parked", len(page.Entries))
				}
			})
		})
	}
}

// TestFlushOfWhatIsPaused is refused, while a tenant that is not paused flushes the
// segments that are not.
func TestFlushOfWhatIsPaused(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.accept("token", "t", audience.Add, "2")
		s.operate(status.Pause)
		refused := func(name string) {
			s.Helper()
			if _, err := s.relay.Remedy(context.Background(), s.wish("token", name, status.Flush, time.Time{})); !errors.Is(err, status.ErrPausedNow) {
				s.Errorf("flush of %q: %v", name, err)
			}
		}
		refused("s")
		s.at(time.Second)
		s.operateOn("token", "", status.Flush, time.Time{})
		s.at(2 * time.Second)
		s.expectCalls("1s t add 1: 200")
		s.operateOn("token", "", status.Pause, s.began.Add(time.Minute))
		s.accept("token", "t", audience.Add, "3")
		refused("t")
		refused("")
		s.at(time.Hour)
		s.expectCalls("1m0s t add 1: 200")
		s.accept("token", "t", audience.Add, "4")
		s.operateOn("token", "", status.Flush, time.Time{}) // the pause is over
		s.at(time.Hour + time.Second)
		s.expectCalls("1h0m0s t add 1: 200")
	})
}

// TestResumeOfATenant leaves a segment paused that was paused by itself, whichever pause
// came first.
func TestResumeOfATenant(t *testing.T) {
	for what, pauses := range map[string][]string{"segment first": {"s", ""}, "tenant first": {"", "s"}} {
		t.Run(what, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.add("1")
				s.accept("token", "t", audience.Add, "2")
				for _, name := range pauses {
					s.operateOn("token", name, status.Pause, time.Time{})
				}
				s.at(time.Minute)
				s.operateOn("token", "", status.Resume, time.Time{})
				s.at(time.Hour)
				s.expectCalls("1m0s t add 1: 200")
				s.operate(status.Resume)
				s.at(2 * time.Hour)
				s.expectCalls("1h0m0s add 1: 200")
			})
		})
	}
}

// TestPauseOfATenantRecallsPermits: a segment that has its permit and still reads its keys
// makes no call once the tenant is paused.
func TestPauseOfATenantRecallsPermits(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 3, MaxKeysInMemory: -1}, func(s *scene) {
		s.add("1-3") // in the journal alone
		s.faulty.loadTakes.Store(int64(5 * time.Second))
		s.at(11 * time.Second)
		if d := s.inspect("token", "s"); d.Phase != "reading from the journal" {
			s.Fatalf("phase %q", d.Phase)
		}
		s.operateOn("token", "", status.Pause, time.Time{})
		if d := s.inspect("token", "s"); d.Phase != "gathering" {
			s.Errorf("the pause is on, and the segment is %s", d.Phase)
		}
		s.at(time.Hour)
		s.expectCalls()
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(2 * time.Hour)
		s.expectCalls("1h0m0s add 3: 200")
		s.expectRest()
	})
}

// TestPauseStopsWhatGoesOnByItself: a repetition, a probe, the trial of a refused token,
// and what a stop would still send.
func TestPauseStopsWhatGoesOnByItself(t *testing.T) {
	for what, fault := range map[string]sandbox.Rule{
		"repetition": {Kind: sandbox.Status, Code: 503}, "probe": {Kind: sandbox.Forbidden}, "deletes of a full segment": {Kind: sandbox.Full},
		"token": {Kind: sandbox.Unauthorized}, "wait": {Kind: sandbox.Throttle, Reset: time.Minute},
	} {
		for _, name := range []string{"s", ""} {
			t.Run(what+" "+name, func(t *testing.T) {
				play(t, sandbox.Options{}, Options{}, func(s *scene) {
					s.split.Fault(fault)
					s.add("1-3")
					s.at(20 * time.Second)
					s.operateOn("token", name, status.Pause, time.Time{})
					s.remove("3")
					s.calls()
					s.at(5 * time.Hour)
					s.stop(time.Minute)
					s.expectCalls()
					s.start()
					s.at(10 * time.Hour)
					s.expectCalls()
					s.split.ClearFaults()
					s.operateOn("token", name, status.Resume, time.Time{})
					s.at(20 * time.Hour)
					s.expectMembers("1 2")
				})
			})
		}
	}
}

// TestPauseIsTold: by whom and since when, also after a restart, of a tenant that has no
// key, and of one that dozes.
func TestPauseIsTold(t *testing.T) {
	for what, o := range map[string]Options{"active": {}, "dozing": sleepy()} {
		t.Run(what, func(t *testing.T) {
			play(t, sandbox.Options{}, o, func(s *scene) {
				s.add("1") // and never delivers anything
				s.at(time.Second)
				s.operateOn("token", "s", status.Pause, s.began.Add(time.Hour))
				s.accept("empty", "t", audience.Add, "2")
				s.at(time.Minute)
				s.operateOn("empty", "", status.Pause, time.Time{})
				const paused = "paused since 1 until 3600: 1 by ana"
				s.expectStatus(paused, paused)
				s.restart()
				s.expectStatus(paused, paused)
				s.operateOn("token", "", status.Pause, time.Time{})
				s.at(30 * time.Minute)
				s.expectStatus(paused, "paused since 60 until -: 1 by ana")
				s.restart()
				s.at(35 * time.Minute)
				s.expectStatus(paused, "paused since 60 until -: 1 by ana")
				tenants, err := s.relay.Status(context.Background())
				s.must(err)
				for _, told := range tenants {
					if told.Tenant == s.tenant("empty").ID.String() && told.State == status.Paused && told.By == "ana" && told.Since.Equal(s.began.Add(time.Minute)) {
						return
					}
				}
				s.Errorf("the tenant without keys is not told of: %+v", tenants)
			})
		})
	}
}

// TestPauseOfAnEarlierProgram: its record does not say who it was, nor since when.
func TestPauseOfAnEarlierProgram(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		kept := make(chan error, 1)
		s.store.SetSegmentState(s.segment("token", "s"), journal.SegmentState{Paused: true}, func(err error) { kept <- err })
		s.must(<-kept)
		s.restart()
		s.at(time.Minute)
		s.expectStatus("paused since - until -: 1", "paused since - until -: 1")
	})
}

// TestMoveLeavesTheOldTenantPaused, by who moved it, also after a restart.
func TestMoveLeavesTheOldTenantPaused(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1-3")
		s.accept("new", "t", audience.Add, "60")
		s.faulty.beforeMove = func() { s.add("4") }
		s.faulty.afterMove = func() { s.add("5") }
		s.move("token", "new")
		s.add("6")
		s.expectStatus("paused since 0 until -: 2 by ana", "paused since 0 until -: 2 by ana")
		s.restart()
		s.at(time.Hour)
		s.expectMembers("1-4")
		s.expectPending("token", "s", "5 6")
		s.move("token", "new") // once more, for what came too late
		s.at(2 * time.Hour)
		s.expectMembers("1-6")
		s.expectRest()
	})
}

// TestDiscardCoversWhatWasBefore: the key that is accepted once the operator has asked
// stays, also where it takes a while until the segment hears of that, or knows itself.
func TestDiscardCoversWhatWasBefore(t *testing.T) {
	for what, leave := range map[string]func(*scene){"active": func(*scene) {}, "just started": (*scene).restart} {
		t.Run(what, func(t *testing.T) {
			rejected(t, func(s *scene, heal func()) {
				heal()
				s.faulty.loadTakes.Store(int64(5 * time.Second))
				leave(s)
				discarded := make(chan error, 1)
				go func() {
					_, err := s.relay.Remedy(context.Background(), s.wish("token", "s", status.Discard, time.Time{}))
					discarded <- err
				}()
				s.at(61 * time.Second)
				s.add("2 40")
				s.must(<-discarded)
				s.at(time.Hour)
				s.expectMembers("2 40")
				s.expectRest()
			})
		})
	}
}

// TestRemedyGoesInSteps: 64 segments at a time; meanwhile others are served, and an
// operator who goes away leaves the rest as it was and is told of the part.
func TestRemedyGoesInSteps(t *testing.T) {
	const segments = 5 * strides
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		for n := range segments {
			name := fmt.Sprint("s", n)
			s.accept("token", name, audience.Add, "1")
			s.store.Park(journal.Park{Segment: s.segment("token", name), Verb: audience.Add, Refusal: journal.Refusal{Reason: "bad_request", At: time.Now()},
				Selection: journal.Selection{Keys: slices.Values(keysOf("1")), NotAfter: s.store.Newest()}})
		}
		s.restart()
		s.faulty.unparkTakes.Store(int64(time.Second))
		retry := s.wish("token", "", status.Retry, time.Time{})
		ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		effect, err := s.relay.Remedy(ctx, retry)
		events := s.deeds()
		if effect.Segments != strides || effect.Keys != strides || !errors.Is(err, context.DeadlineExceeded) || len(events) != 1 || events[0].Keys != strides {
			s.Errorf("%+v, %v, %+v; want %d of each", effect, err, events, strides)
		}
		s.at(5 * time.Second) // what was under way is done too
		answered := make(chan time.Duration, 1)
		time.AfterFunc(1500*time.Millisecond, func() {
			s.add("7")
			answered <- time.Since(s.began)
		})
		effect, err = s.relay.Remedy(context.Background(), retry)
		if s.must(err); effect.Keys != segments-2*strides || time.Since(s.began) != 8*time.Second {
			s.Errorf("%+v, at %v", effect, time.Since(s.began))
		}
		if at := <-answered; at != 6500*time.Millisecond {
			s.Errorf("the post was answered at %v", at)
		}
		s.at(time.Hour)
		s.expectRest()
	})
}

// TestRemedyThatFailsForOne: a segment that fails is told of, and keeps none of the others
// from the remedy.
func TestRemedyThatFailsForOne(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.troubled()
		s.faulty.traps[unpark].set(0, 1, true)
		effect, err := s.relay.Remedy(context.Background(), s.wish("token", "", status.Retry, time.Time{}))
		if !errors.Is(err, errStruck) || effect.Segments != 1 || effect.Keys != 2 && effect.Keys != 3 {
			s.Errorf("%+v, %v; want one of two segments and an error", effect, err)
		}
	})
}

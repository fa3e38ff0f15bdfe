package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"
)

// where is what the relay says of a key in segment s of token: state, verb, and when, as
// seconds since the scene began.
func (s *scene) where(key string) string {
	s.Helper()
	k, err := audience.ParseKey(key)
	s.must(err)
	w, err := s.relay.Where(context.Background(), s.segment("token", "s"), k, "")
	s.must(err)
	said := []string{}
	for _, seen := range w.Sightings {
		line := fmt.Sprintf("%s %s %.0f", seen.State, seen.Verb, seen.At.Sub(s.began).Seconds())
		if seen.State == status.KeyInFlight {
			line = fmt.Sprintf("%s %s", seen.State, seen.Verb)
		}
		if seen.Reason != "" {
			line += " " + seen.Reason
		}
		if (seen.Call != 0) != (seen.State == status.KeyDelivered || seen.State == status.KeyInFlight) || seen.Sentence == "" {
			s.Errorf("%+v", seen)
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return w.Sentence
	}
	return strings.Join(said, "; ")
}

func (s *scene) expectWhere(key, want string) {
	s.Helper()
	if got := s.where(key); got != want {
		s.Errorf("%v: key %s: %s, want %s", time.Since(s.began), key, got, want)
	}
}

// TestWhere: where a key is on each station of its way, and what became of it, also after
// a restart; a negative answer says how far back it goes.
func TestWhere(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.expectWhere("1", "pending add 0")
		s.expectWhere("9", "Not seen since 00:00:00: it is neither pending nor parked; what was delivered before is not known.")
		hang := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		s.at(11 * time.Second)
		s.expectWhere("1", "in_flight add")
		hang()
		s.at(15 * time.Second)
		s.expectWhere("1", "delivered add 11")
		bad := s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "2"})
		s.add("2 3")
		s.at(time.Minute)
		s.expectWhere("2", "parked add 25 bad_request")
		bad()
		s.remove("1")
		s.expectWhere("1", "pending delete 60; delivered add 11")
		s.at(2 * time.Minute)
		s.restart()
		s.expectWhere("1", "delivered delete 70; delivered add 11")
		s.expectWhere("2", "parked add 25 bad_request")
		s.expectWhere("3", "delivered add 25")
	})
}

// TestSegmentDetail: what an operator is told of one segment, its last calls among it.
func TestSegmentDetail(t *testing.T) {
	limits := sandbox.Limits{Org: sandbox.Limit{Calls: 100, Window: time.Minute}, HeadersOnSuccess: true}
	play(t, sandbox.Options{Limits: limits}, Options{}, func(s *scene) {
		_, err := s.relay.Segment(context.Background(), s.segment("token", "s"))
		if !errors.Is(err, status.ErrUnknown) {
			s.Errorf("a tenant that nobody knows: %v", err)
		}
		for i := range 22 {
			s.add(fmt.Sprint(i))
			s.at(time.Duration(i+1) * 15 * time.Second)
		}
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
		s.add("100 101")
		s.at(340*time.Second + time.Millisecond)
		d, err := s.relay.Segment(context.Background(), s.segment("token", "s"))
		s.must(err)
		if d.State != status.Repeating || d.Pending != 2 || d.Adds != 2 || d.LastReason != "server_error" || d.Oldest.Sub(s.began) != 330*time.Second || len(d.Calls) != 20 {
			s.Errorf("%+v", d)
		}
		last, before := d.Calls[0], d.Calls[1]
		if last.Status != 503 || last.Keys != 2 || last.Reason != "server_error" || last.Attempt != 1 || last.Transaction == "" || last.At.Sub(s.began) != 340*time.Second || last.Verb != "add" {
			s.Errorf("%+v", last)
		}
		if before.Status != 200 || before.Reason != "delivered" || !before.Organisation.Known || before.Number >= last.Number {
			s.Errorf("%+v", before)
		}
		if _, err := s.relay.Segment(context.Background(), s.segment("token", "other")); !errors.Is(err, status.ErrUnknown) {
			s.Errorf("a segment that nobody knows: %v", err)
		}
		budgets, err := s.relay.Budgets(context.Background())
		s.must(err)
		if len(budgets) != 2 || budgets[1].Tenant != s.tenant("token").ID.String() || !budgets[1].Known || budgets[0].Known {
			s.Errorf("%+v", budgets)
		}
	})
}

// TestRecentForgets who was put longest ago.
func TestRecentForgets(t *testing.T) {
	r := newRecent[int, string](2)
	r.put(1, "a")
	r.put(2, "b")
	r.put(1, "c")
	r.put(3, "d")
	if all := r.all(); len(all) != 2 || all[1] != "c" || all[3] != "d" || r.order.Len() != 2 {
		t.Error(all)
	}
}

// TestEvents: what changes is an event as well as a line of the log, numbered and the
// newest first, page by page.
func TestEvents(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "s"})
		s.add("1 2")
		s.at(time.Minute)
		heal()
		s.operateOn("token", "s", status.Retry, time.Time{})
		s.at(2 * time.Minute)
		s.operateOn("token", "", status.Pause, s.began.Add(time.Hour))
		s.must(s.relay.Note(context.Background(), status.Event{At: time.Now(), Kind: status.EventRevealed, Who: "ana", Keys: 3}))
		page, err := s.relay.Events(context.Background(), 0, 2)
		s.must(err)
		rest, err := s.relay.Events(context.Background(), page[1].Number, 100)
		s.must(err)
		var said []string
		for _, e := range append(page, rest...) {
			said = append(said, strings.ReplaceAll(e.Sentence, s.tenant("token").ID.String(), "T"))
		}
		want := []string{
			"Keys revealed, 3 keys by ana.",
			"Tenant T: paused until 01:00:00 by ana.",
			"env/s of tenant T: retried, 2 keys by ana.",
			"env/s of tenant T: Split refuses the segment: parked (forbidden, status 403); tried again at 00:15:10.",
		}
		if strings.Join(said, "\n") != strings.Join(want, "\n") {
			s.Errorf("%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
		}
		for _, end := range []func(){s.restart, s.crash} {
			end()
			s.must(s.relay.Note(context.Background(), status.Event{At: time.Now(), Kind: status.EventRevealed, Who: "bob"}))
			again, err := s.relay.Events(context.Background(), 0, 100)
			s.must(err)
			kept := slices.DeleteFunc(slices.Clone(again), func(e status.Event) bool { return e.Who == "bob" })
			if fmt.Sprint(kept) != fmt.Sprint(append(page, rest...)) || again[0].Who != "bob" || again[0].Number <= again[1].Number {
				s.Errorf("after a restart\n%+v\nwant\n%+v", kept, append(page, rest...))
			}
		}
	})
}

// TestEventsThatCannotBeRead do not keep the others from being shown, nor new ones from
// being kept.
func TestEventsThatCannotBeRead(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.must(s.relay.Note(context.Background(), status.Event{At: time.Now(), Kind: status.EventFlushed, Who: "ana"}))
		told, err := s.relay.Events(context.Background(), 0, 1)
		s.must(err)
		s.store.NoteEvent(journal.Event{Number: told[0].Number + 1, Text: []byte("half an ev")}, nil)
		s.restart()
		s.must(s.relay.Note(context.Background(), status.Event{At: time.Now(), Kind: status.EventPaused, Who: "bob"}))
		told, err = s.relay.Events(context.Background(), 0, 10)
		s.must(err)
		if len(told) != 2 || told[0].Who != "bob" || told[1].Who != "ana" {
			s.Errorf("%+v", told)
		}
	})
}

// TestHistoryIsBounded: where very many segments call, the ones that called longest ago
// are forgotten, and no segment has more than its 20.
func TestHistoryIsBounded(t *testing.T) {
	h := newHistory()
	call := func(n int) {
		h.called(&called{segment: audience.Segment{Name: fmt.Sprint(n)}, call: status.Call{Number: uint64(n)}})
	}
	for range 2 * callsKept {
		call(0)
	}
	for n := range allCallsKept {
		call(1 + n)
	}
	kept := 0
	for _, calls := range h.segments.all() {
		kept += len(calls)
	}
	if _, first := h.segments.get(audience.Segment{Name: "0"}); first || kept != allCallsKept || h.calls != kept {
		t.Errorf("%d calls are kept, of %d", kept, h.calls)
	}
}

// TestParkedTellWhatSplitAnswered: status, Split's id of the call and its words, of a
// segment and of single keys, also after a restart and without an actor; what may be a
// key is masked.
func TestParkedTellWhatSplitAnswered(t *testing.T) {
	const transaction = "00000000-0000-4000-8000-"
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "s"})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "8512839471928374"})
		s.add("1")
		s.accept("token", "keys", audience.Add, "8512839471928374 2")
		s.at(time.Minute)
		look := func(when string) {
			t.Helper()
			tenants, err := s.relay.Status(context.Background())
			s.must(err)
			var sick status.Segment
			for _, each := range tenants[0].Segments {
				if each.Segment == "s" {
					sick = each
				}
			}
			if sick.State != status.Parked || sick.Status != 403 || !strings.HasPrefix(sick.Transaction, transaction) || sick.Message == "" || sick.Since.IsZero() || sick.Until.IsZero() {
				s.Errorf("%s: the segment says %+v", when, sick)
			}
			if sentence := sick.WithSentence(time.Now()).Sentence; !strings.Contains(sentence, "(forbidden, status 403, transaction "+transaction) {
				s.Errorf("%s: %s", when, sentence)
			}
			page, err := s.relay.Parked(context.Background(), s.segment("token", "keys"), "", 10)
			s.must(err)
			if len(page.Keys) != 1 || page.Keys[0].Status != 400 || !strings.HasPrefix(page.Keys[0].Transaction, transaction) {
				s.Errorf("%s: the key says %+v", when, page)
			}
			key, err := audience.ParseKey("8512839471928374")
			s.must(err)
			found, err := s.relay.Where(context.Background(), s.segment("token", "keys"), key, "")
			s.must(err)
			if len(found.Sightings) != 1 || found.Sightings[0].Status != 400 || !strings.Contains(found.Sightings[0].Sentence, "status 400, transaction "+transaction) {
				s.Errorf("%s: %+v", when, found)
			}
		}
		look("at once")
		s.restart()
		look("after a restart")
		s.crash()
		look("after a power loss")
		s.operateOn("token", "keys", status.Retry, time.Time{})
		s.at(2 * time.Minute)
		look("after a retry")
	})
}

// TestSuperseded: a change that a later one replaced in memory, before it was sent, is told
// of beside what became of the key. After a restart nobody knows of it.
func TestSuperseded(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		told := func() (said []string) {
			t.Helper()
			key, err := audience.ParseKey("1")
			s.must(err)
			for _, in := range []audience.Segment{s.segment("token", "s"), {}} {
				w, err := s.relay.Where(context.Background(), in, key, "")
				s.must(err)
				for _, seen := range w.Sightings {
					said = append(said, fmt.Sprint(seen.State, " ", seen.Verb))
				}
			}
			return said
		}
		expect := func(when string, want ...string) {
			t.Helper()
			if got := told(); !slices.Equal(got, append(want, want...)) {
				s.Errorf("%s: %q, want twice %q", when, got, want)
			}
		}
		s.add("1 2")
		s.add("1")
		expect("the same again", "pending add")
		s.at(3 * time.Second)
		s.remove("1")
		expect("replaced", "pending delete", "superseded add")
		s.at(time.Minute)
		expect("delivered", "delivered delete", "superseded add")
		w, err := s.relay.Where(context.Background(), s.segment("token", "s"), audience.NumericKey(1), "")
		s.must(err)
		if want := "Superseded at 00:00:03 (57 s ago): an earlier change, to add it, was never sent, as the opposite came before that."; w.Sightings[1].Sentence != want {
			s.Errorf("%s", w.Sightings[1].Sentence)
		}
		s.add("1")
		s.at(2 * time.Minute)
		expect("sent, then the opposite", "delivered add", "delivered delete", "superseded add")
		s.restart()
		expect("after a restart", "delivered add", "delivered delete")
	})
}

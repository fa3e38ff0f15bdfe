package status

import (
	"math"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 14, 14, 2, 0, 0, time.UTC)

// TestSentences: what an operator reads in each state.
func TestSentences(t *testing.T) {
	some, none := Counts{Pending: 8120}, Counts{}
	for _, c := range []struct {
		condition Condition
		counts    Counts
		want      string
	}{
		{Condition{State: Idle}, none, "No key is pending."},
		{Condition{State: Gathering, Until: now.Add(7 * time.Second)}, Counts{Pending: 1}, "1 key is gathering; the call is made at 14:02:07 (in 7 s)."},
		{Condition{State: Gathering, Until: now.Add(7 * time.Second)}, some, "8,120 keys are gathering; the call is made at 14:02:07 (in 7 s)."},
		{Condition{State: Waiting, WaitsFor: ForInterval, Until: now.Add(9 * time.Second)}, Counts{Pending: 5, More: true}, "At least 5 keys are waiting for the interval; the call is made at 14:02:09 (in 9 s)."},
		{Condition{State: Waiting, WaitsFor: ForTenantLimit, Until: now.Add(90 * time.Second)}, some, "8,120 keys are waiting for the limit of the tenant's organisation until 14:03:30 (in 1 min)."},
		{Condition{State: Waiting, WaitsFor: ForAddressLimit, Until: now.Add(time.Second)}, some, "8,120 keys are waiting for the limit of the relay's address until 14:02:01 (in 1 s); all tenants share it."},
		{Condition{State: Waiting, WaitsFor: ForTurn}, some, "8,120 keys are waiting for a call, and next."},
		{Condition{State: Waiting, WaitsFor: ForTurn, Behind: 1}, some, "8,120 keys are waiting for a call, behind 1 other."},
		{Condition{State: Waiting, WaitsFor: ForTurn, Behind: 1204}, some, "8,120 keys are waiting for a call, behind 1,204 others."},
		{Condition{State: Calling, Since: now.Add(-3 * time.Second)}, some, "A call to Split is under way since 14:01:57 (3 s): 8,120 keys are pending."},
		{Condition{State: Reading}, none, "The journal is being read: 0 keys are pending."},
		{Condition{State: Repeating, Attempts: 4, Until: now.Add(12 * time.Second), Reason: "server_error"}, some, "The last 4 attempts failed (server_error): 8,120 keys are kept; the next one is made at 14:02:12 (in 12 s)."},
		{Condition{State: Repeating, Attempts: 1, Until: now.Add(-time.Second), Reason: "timeout"}, some, "The last call failed (timeout): 8,120 keys are kept; the next one is made at 14:01:59 (now)."},
		{Condition{State: Parked, Since: now.Add(-2 * time.Hour), Until: now.Add(12 * time.Minute), Reason: "forbidden"}, some, "Split refuses this segment since 12:02:00 (2 h) (forbidden): 8,120 keys are kept; one key is tried at 14:14:00 (in 12 min)."},
		{Condition{State: Parked, OnlyAdds: true, Reason: "segment_full"}, Counts{Pending: 2, Parked: 1}, "Split has no room in this segment (segment_full): 2 keys are kept. 1 key is parked, for an operator to retry or discard."},
		{Condition{State: Parked, Reason: "refused", Status: 418, Transaction: "t-1"}, some, "Split refuses this segment (refused, status 418, transaction t-1): 8,120 keys are kept."},
		{Condition{State: Parked, Since: now.Add(-2 * time.Hour), Until: now.Add(time.Hour), Reason: "forbidden", Status: 403, Also: Paused, AlsoSince: now.Add(-time.Hour), By: "ana"}, Counts{Pending: 3}, "Paused by ana since 13:02:00 (1 h) until 15:02:00 (in 1 h), and parked: Split refuses this segment since 12:02:00 (2 h) (forbidden, status 403); 3 keys are kept."},
		{Condition{State: Parked, OnlyAdds: true, Reason: "segment_full", Until: now.Add(time.Minute), Also: TokenRefused, AlsoSince: now.Add(-time.Hour)}, some, "Split refuses the token since 13:02:00 (1 h), and the segment is parked: Split has no room in this segment (segment_full); 8,120 keys are kept; the token is tried again at 14:03:00 (in 1 min)."},
		{Condition{State: Parked, Reason: "forbidden", Also: Calling}, some, "Split refuses this segment (forbidden): 8,120 keys are kept; a call is under way."},
		{Condition{State: Paused, Also: TokenRefused, AlsoSince: now.Add(-time.Hour)}, none, "Paused until somebody resumes it: 0 keys are kept; Split also refuses the token since 13:02:00 (1 h)."},
		{Condition{State: Paused, By: "ana", Since: now.Add(-50 * time.Hour), Until: now.Add(26 * time.Hour)}, some, "Paused by ana since 2026-03-12 12:02:00 (2 d) until 2026-03-15 16:02:00 (in 26 h): 8,120 keys are kept."},
		{Condition{State: Paused}, none, "Paused until somebody resumes it: 0 keys are kept."},
		{Condition{State: Held}, some, "Delivery is switched off in the configuration: 8,120 keys are kept."},
		{Condition{State: Parked, Reason: "forbidden", Also: Held}, some, "Delivery is switched off in the configuration, and the segment is parked: Split refuses this segment (forbidden); 8,120 keys are kept."},
		{Condition{State: TokenRefused, Since: now.Add(-12 * time.Minute), Until: now.Add(3 * time.Minute), Reason: "unauthorized"}, some, "Split refuses the token since 13:50:00 (12 min) (unauthorized): 8,120 keys are kept; the token is tried again at 14:05:00 (in 3 min)."},
		{Condition{State: Idle}, Counts{Parked: 1204}, "No key is pending. 1,204 keys are parked, for an operator to retry or discard."},
	} {
		if got := Sentence(c.condition, c.counts, now); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestEveryStateHasASentence of its own.
func TestEveryStateHasASentence(t *testing.T) {
	said := map[string]State{}
	for _, s := range States() {
		text := Sentence(Condition{State: s}, Counts{Pending: 3}, now)
		if other, twice := said[text]; twice || !strings.HasSuffix(text, ".") {
			t.Errorf("%s says %q, as %q does", s, text, other)
		}
		said[text] = s
	}
	for _, w := range Waits() {
		text := Sentence(Condition{State: Waiting, WaitsFor: w}, Counts{Pending: 3}, now)
		if other, twice := said[text]; twice && w != ForTurn {
			t.Errorf("waiting for %s says %q, as %q does", w, text, other)
		}
		said[text] = State(w)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", math.MaxInt64: "9,223,372,036,854,775,807"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

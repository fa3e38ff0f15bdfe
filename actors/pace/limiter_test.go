package pace

import (
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestLimiterSpacesCallsEvenly(t *testing.T) {
	l := Limiter{Rate: 10}
	var at []time.Duration
	for now := noon; len(at) < 6; {
		if wait := l.Wait(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		l.Begin(now)
		at = append(at, now.Sub(noon))
	}
	// The first two at once, then one every tenth of a second.
	want := []time.Duration{0, 0, 100e6, 200e6, 300e6, 400e6}
	for i := range want {
		if at[i] != want[i] {
			t.Fatalf("calls at %v, want %v", at, want)
		}
	}
}

// TestLimiterStartsAtOnce: subtracting from the distance to the zero time
// overflowed, and a rate limit meant that no call was ever made.
func TestLimiterStartsAtOnce(t *testing.T) {
	for _, l := range []Limiter{{}, {Rate: 0.001}, {Rate: 1000}, {Concurrent: 1}} {
		if wait := l.Wait(noon); wait != 0 {
			t.Errorf("%+v: wait %v before the first call", l, wait)
		}
	}
}

func TestLimiterHoldsBack(t *testing.T) {
	l := Limiter{Concurrent: 1}
	l.Begin(noon)
	if wait := l.Wait(noon); wait != math.MaxInt64 {
		t.Errorf("wait %v with all calls under way; want no end", wait)
	}
	l.End()
	l.block(noon.Add(3 * time.Second))
	l.block(noon.Add(time.Second)) // an earlier end does not shorten it
	if wait := l.Wait(noon); wait != 3*time.Second {
		t.Errorf("wait %v, want the 3 s that Split asked for", wait)
	}
	if wait := l.Wait(noon.Add(3 * time.Second)); wait != 0 {
		t.Errorf("wait %v after the 3 s", wait)
	}
}

// TestLimiterSpreadsAWindow: the calls that a header allows are spread from the
// last call on to the window's end, without the burst, and after it the limiter
// is as before. A burst and a wait reckoned before the header came each cost a 429.
func TestLimiterSpreadsAWindow(t *testing.T) {
	l := Limiter{Rate: 10}
	l.Begin(noon)
	l.Allowed(noon.Add(time.Second), 2, 18*time.Second) // ends at 19 s
	var at []time.Duration
	for now := noon.Add(time.Second); len(at) < 5; {
		if wait := l.Wait(now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		l.Begin(now)
		at = append(at, now.Sub(noon))
	}
	want := []time.Duration{6e9, 12e9, 18e9, 19e9, 19e9}
	for i := range want {
		if at[i] != want[i] {
			t.Fatalf("calls at %v, want %v", at, want)
		}
	}
	l.Allowed(noon.Add(20*time.Second), 0, 5*time.Second)
	if wait := l.Wait(noon.Add(20 * time.Second)); wait != 5*time.Second {
		t.Errorf("wait %v with nothing left, want the 5 s that the window lasts", wait)
	}
}

// TestLimiterFollowsItsShare: what is still to be waited was reckoned with the share of
// then. A node that had joined with a small one made its second call seconds after it had
// got a large one.
func TestLimiterFollowsItsShare(t *testing.T) {
	l := Limiter{Rate: 10}
	expect := func(what string, now time.Time, want time.Duration) {
		t.Helper()
		if wait := l.Wait(now); (wait - want).Abs() > time.Microsecond {
			t.Errorf("%s: wait %v, want %v", what, wait, want)
		}
	}
	l.Share(noon, 0.01)
	l.Begin(noon)
	l.Begin(noon)
	expect("a hundredth", noon, 10*time.Second)
	l.Share(noon, 0.5)
	expect("half", noon, 200*time.Millisecond)
	l.Share(noon.Add(100*time.Millisecond), 0.25)
	expect("a quarter", noon.Add(100*time.Millisecond), 200*time.Millisecond)

	l = Limiter{share: 0.01}
	l.Begin(noon)
	l.Allowed(noon, 1000, 22*time.Second)
	expect("a hundredth of what is left", noon, 2*time.Second)
	l.Share(noon, 0.1)
	expect("a tenth of what is left", noon, 200*time.Millisecond)
}

// TestLimiterGrowsWhatItDoubts: a wait that cannot be believed doubles from one
// 429 to the next; calls that were under way together count once; a good answer
// or a wait that can be believed ends the doubt.
func TestLimiterGrowsWhatItDoubts(t *testing.T) {
	const floor, most = 2 * time.Second, time.Minute
	var l Limiter
	now := noon
	for i, want := range []time.Duration{2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9} {
		for range 3 { // together
			got := l.grown(now, floor, true, most)
			if got != want {
				t.Fatalf("429 number %d: %v, want %v", i+1, got, want)
			}
			l.throttled(now, now.Add(got))
		}
		now = now.Add(want)
	}
	if got := l.grown(now, 90*time.Second, true, most); got != 90*time.Second {
		t.Errorf("%v, want the 90 s that the rest of the answer asks for", got)
	}
	for name, end := range map[string]func(){
		"good answer": func() { l.Allowed(now, -1, -1) },
		"believed":    func() { l.grown(now, time.Second, false, most) },
	} {
		end()
		if got := l.grown(now, floor, true, most); got != floor {
			t.Errorf("%v after a %s, want the floor", got, name)
		}
	}
}

// TestLimiterObeysAGoodAnswerForAMinute: no header of a 2xx makes everybody stand
// still for longer.
func TestLimiterObeysAGoodAnswerForAMinute(t *testing.T) {
	for _, remaining := range []float64{0, 0.5, 1, 3} {
		var l Limiter
		l.Begin(noon)
		l.Allowed(noon, remaining, time.Hour)
		if wait := l.Wait(noon); wait != time.Minute {
			t.Errorf("%v left in an hour: wait %v, want a minute", remaining, wait)
		}
		if wait := l.Wait(noon.Add(time.Minute)); wait != 0 {
			t.Errorf("%v left in an hour: wait %v after the minute", remaining, wait)
		}
	}
	var l Limiter
	l.Begin(noon)
	l.Allowed(noon, 359, time.Hour) // the spacing stays that of the hour
	if wait := l.Wait(noon); wait != 10*time.Second {
		t.Errorf("359 left in an hour: wait %v, want 10 s", wait)
	}
}

// TestLimiterKeepsItsWindow: headers that say nothing, or speak of a window that is
// over, leave what is known of the one before.
func TestLimiterKeepsItsWindow(t *testing.T) {
	for _, said := range []struct {
		remaining float64
		reset     time.Duration
	}{{-1, time.Second}, {5, 0}, {5, -1}, {0, 0}} {
		var l Limiter
		l.Begin(noon)
		l.Allowed(noon, 2, 18*time.Second)
		l.Allowed(noon, said.remaining, said.reset)
		if wait := l.Wait(noon); wait != 6*time.Second {
			t.Errorf("%+v: wait %v, want the 6 s of the window", said, wait)
		}
	}
}

// TestLimiterIsLimitedAnew: what is to be waited follows the rate, and is the whole of it
// after the next call.
func TestLimiterIsLimitedAnew(t *testing.T) {
	l := Limiter{Rate: 0.1}
	l.Begin(noon)
	l.Begin(noon)
	for _, step := range []struct {
		rate       float64
		concurrent int
		want       time.Duration
	}{{0.1, 0, 10 * time.Second}, {1, 0, time.Second}, {0.5, 0, 2 * time.Second}, {0.5, 2, math.MaxInt64}, {0.5, 3, 2 * time.Second}, {0, 0, 0}} {
		if l.Limit(noon, step.rate, step.concurrent); l.Wait(noon) != step.want {
			t.Errorf("%+v: wait %v", step, l.Wait(noon))
		}
	}
}

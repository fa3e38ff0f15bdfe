package status

import (
	"testing"
	"time"

	"audiences/audience"
)

// TestEffectSentences: what an operator reads after each remedy, and before it.
func TestEffectSentences(t *testing.T) {
	tenant := audience.TenantID{0xaa}
	one, whole := audience.Segment{Tenant: tenant, Environment: "e", Name: "s"}, audience.Segment{Tenant: tenant}
	soon := now.Add(time.Hour)
	for _, c := range []struct {
		wish        Wish
		effect      Effect
		done, would string
	}{
		{Wish{Remedy: Flush, Segment: one}, Effect{Segments: 1, Keys: 1}, "Flushed 1 segment with 1 key.", "Would flush 1 segment with 1 key."},
		{Wish{Remedy: Flush, Segment: whole}, Effect{Segments: 41, Keys: 8120, More: true}, "Flushed 41 segments with at least 8,120 keys.", "Would flush 41 segments with at least 8,120 keys."},
		{Wish{Remedy: Pause, Segment: one}, Effect{Segments: 1, Keys: 5, Until: soon}, "Paused 1 segment with 5 keys until 15:02:00 (in 1 h).", "Would pause 1 segment with 5 keys until 15:02:00 (in 1 h)."},
		{Wish{Remedy: Pause, Segment: whole}, Effect{}, "Paused the tenant with 0 segments and 0 keys until somebody resumes it.", "Would pause the tenant with 0 segments and 0 keys until somebody resumes it."},
		{Wish{Remedy: Resume, Segment: whole}, Effect{Segments: 1, Keys: 2}, "Resumed the tenant with 1 segment and 2 keys.", "Would resume the tenant with 1 segment and 2 keys."},
		{Wish{Remedy: Resume, Segment: one}, Effect{Segments: 1}, "Resumed 1 segment with 0 keys.", "Would resume 1 segment with 0 keys."},
		{Wish{Remedy: Retry, Segment: whole}, Effect{Segments: 2, Keys: 3}, "Retried 2 segments with 3 keys.", "Would retry 2 segments with 3 keys."},
		{Wish{Remedy: Discard, Segment: one}, Effect{Segments: 1, Keys: 3}, "Discarded 3 keys of 1 segment.", "Would discard 3 keys of 1 segment."},
		{Wish{Remedy: Move, Segment: whole, To: audience.TenantID{0xbb}}, Effect{Segments: 2, Keys: 3},
			"Moved 2 segments with 3 keys to tenant bb0000000000, and paused the old one.", "Would move 2 segments with 3 keys to tenant bb0000000000, and pause the old one."},
		{Wish{Remedy: Move, Segment: whole, To: audience.TenantID{0xbb}}, Effect{Segments: 2, Keys: 3, Paused: 1},
			"Moved 2 segments with 3 keys to tenant bb0000000000, where 1 of them stays paused, and paused the old one.", "Would move 2 segments with 3 keys to tenant bb0000000000, where 1 of them stays paused, and pause the old one."},
	} {
		if got := EffectSentence(c.wish, c.effect, now); got != c.done {
			t.Errorf("got  %s\nwant %s", got, c.done)
		}
		c.effect.DryRun = true
		if got := EffectSentence(c.wish, c.effect, now); got != c.would {
			t.Errorf("got  %s\nwant %s", got, c.would)
		}
	}
}

package status

import (
	"errors"
	"testing"
)

// TestSumSentences: what an operator reads after a remedy for all that match.
func TestSumSentences(t *testing.T) {
	for want, got := range map[string]string{
		"Flush of 2 segments, with 3 keys.":                                                                              SumSentence(Flush, Effect{Segments: 2, Keys: 3}, 0, 0),
		"Flush of 1 segment, with at least 1 key. 1 segment is paused, and left alone.":                                  SumSentence(Flush, Effect{Segments: 1, Keys: 1, More: true}, 1, 0),
		"Retry of 0 segments, with 0 keys. It failed with 1,000 segments. This is a dry run: nothing was changed.":       SumSentence(Retry, Effect{DryRun: true}, 0, 1000),
		"Retry of 3 segments, with 5 keys. 2 segments of these are paused: nothing of them is sent before that is over.": SumSentence(Retry, Effect{Segments: 3, Keys: 5, Held: 2}, 0, 0),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestNothingDone tells why, and is one of the errors that callers tell apart.
func TestNothingDone(t *testing.T) {
	for _, c := range []struct {
		matching, paused int
		is               error
		says             string
	}{
		{0, 0, ErrNotNeeded, "no segment matches"},
		{3, 0, ErrNotNeeded, ErrNotNeeded.Error()},
		{3, 1, ErrPausedNow, "1 segment is paused: resume it first"},
		{3, 2, ErrPausedNow, "2 segments are paused: resume them first"},
	} {
		if err := NothingDone(c.matching, c.paused); !errors.Is(err, c.is) || err.Error() != c.says {
			t.Errorf("%d match, %d are paused: %v", c.matching, c.paused, err)
		}
	}
}

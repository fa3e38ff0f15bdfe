package status

import (
	"fmt"
	"strings"
)

// Remedies are all of them, in the order of their constants.
func Remedies() []Remedy { return []Remedy{Flush, Pause, Resume, Retry, Discard, Move} }

// SumSentence says what a remedy did to many segments, or would do: with how many of them
// it failed, and how many it left alone because they are paused.
func SumSentence(r Remedy, e Effect, paused, failures int) string {
	about := ""
	if e.More {
		about = "at least "
	}
	said := []string{fmt.Sprintf("%s of %s, with %s.", capital(string(r)), Count(e.Segments, "segment"), about+keys(e.Keys))}
	if e.Held > 0 {
		said = append(said, SegmentsHold(e.Held))
	}
	if paused > 0 {
		said = append(said, are(Count(paused, "segment"), paused)+" paused, and left alone.")
	}
	if failures > 0 {
		said = append(said, fmt.Sprintf("It failed with %s.", Count(failures, "segment")))
	}
	if e.DryRun {
		said = append(said, "This is a dry run: nothing was changed.")
	}
	return strings.Join(said, " ")
}

// NothingDone is why a remedy for all that match did nothing, where so many match and so many
// of these are paused. It is ErrPausedNow or ErrNotNeeded.
func NothingDone(matching, paused int) error {
	switch {
	case matching == 0:
		return reason{ErrNotNeeded, "no segment matches"}
	case paused == 1:
		return reason{ErrPausedNow, "1 segment is paused: resume it first"}
	case paused > 1:
		return reason{ErrPausedNow, Count(paused, "segment") + " are paused: resume them first"}
	}
	return ErrNotNeeded
}

// reason is an error of remedies in other words.
type reason struct {
	of    error
	words string
}

func (r reason) Error() string { return r.words }
func (r reason) Unwrap() error { return r.of }

package status

import (
	"fmt"
	"strings"
)

// Remedies are all of them, in the order of their constants.
func Remedies() []Remedy { return []Remedy{Flush, Pause, Resume, Retry, Discard, Move} }

// SumSentence says what a remedy did to many segments, or would do.
func SumSentence(r Remedy, e Effect, failures int) string {
	about := ""
	if e.More {
		about = "at least "
	}
	said := []string{fmt.Sprintf("%s of %s, with %s.", capital(string(r)), Count(e.Segments, "segment"), about+keys(e.Keys))}
	if failures > 0 {
		said = append(said, fmt.Sprintf("It failed with %s.", Count(failures, "segment")))
	}
	if e.DryRun {
		said = append(said, "This is a dry run: nothing was changed.")
	}
	return strings.Join(said, " ")
}

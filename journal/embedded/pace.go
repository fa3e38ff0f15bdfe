package embedded

import "time"

// pace says how long the committer lets a group gather. An fsync costs as much
// processor time for one change as for a hundred. Made back to back, each has only
// what came in during the one before, which at some thousand changes a second is one
// or two, and then the fsync is most of what a change costs.
//
// So the committer waits until those are back who were just answered, and those who
// waited behind them, and no longer than patience. Callers who post again as soon as
// they have an answer share one fsync so; others come at their own pace, and find
// what has come by then in one group. A caller who is alone is never waited for.
type pace struct {
	free  bool      // an fsync costs nothing: the journal is in memory
	want  int       // how many operations are likely to come
	until time.Time // how long they are waited for
}

// Patience. A change waits for the fsync under way, for longPatience at most, and for
// its own fsync.
const (
	longPatience  = 500 * time.Microsecond // about as long as an fsync takes
	shortPatience = 100 * time.Microsecond
	many          = 16 // operations that make the fsync a small part of what each of them costs
)

// patience is how long to wait, from the answers to a group on, where there are so many
// callers: not at all for one; long where few share an fsync, because a larger group
// saves most there; short where many do, because they are waiting.
func patience(callers int) time.Duration {
	switch {
	case callers < 2:
		return 0
	case callers < many:
		return longPatience
	}
	return shortPatience
}

// answered takes in that so many callers were answered now, after an fsync, while
// others waited already.
func (p *pace) answered(callers, waiting int, now time.Time) {
	if !p.free {
		p.want, p.until = callers+waiting, now.Add(patience(callers+waiting))
	}
}

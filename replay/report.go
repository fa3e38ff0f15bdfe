package replay

import (
	"cmp"
	"slices"
	"sort"
)

// Report is what came of a replay.
type Report struct {
	Reached int // all posts up to this line are done; what comes after it is not, or not all
	Posts   int // that were answered for good
	Answers []Answers
	Refused int // posts that were not answered 2xx; of a comparison those whose answers differ
}

// Answers are posts that were answered in the same way.
type Answers struct {
	Status   int
	Expected int    // what the other server answered; 0: there is none
	Differ   string // "status", "body", or "": they do not
	Posts    int
	Lines    []int  // the first of them
	Words    string // what the server said to the first of them
}

// mostLines is how many lines of Answers are told.
const mostLines = 5

// note counts a post; expected is nil where nothing is compared.
func (r *Report) note(line int, got answer, expected *answer) {
	a := Answers{Status: got.status, Words: got.words}
	switch {
	case expected == nil:
		if got.status/100 != 2 {
			r.Refused++
		}
	case expected.status != got.status:
		a.Expected, a.Differ = expected.status, "status"
	case expected.words != got.words:
		a.Expected, a.Differ = expected.status, "body"
	default:
		a.Expected = expected.status
	}
	if a.Differ != "" {
		r.Refused++
	}
	r.Posts++
	i := slices.IndexFunc(r.Answers, func(b Answers) bool {
		return a.Status == b.Status && a.Expected == b.Expected && a.Differ == b.Differ
	})
	if i < 0 {
		i = len(r.Answers)
		r.Answers = append(r.Answers, a)
	}
	same := &r.Answers[i]
	if same.Posts++; len(same.Lines) < mostLines {
		same.Lines = append(same.Lines, line)
	}
}

// sort puts the answers in the order of their statuses.
func (r *Report) sort() {
	sort.Slice(r.Answers, func(i, j int) bool {
		a, b := &r.Answers[i], &r.Answers[j]
		return cmp.Or(cmp.Compare(a.Expected, b.Expected), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Differ, b.Differ)) < 0
	})
}

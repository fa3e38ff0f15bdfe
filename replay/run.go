package replay

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Options say what is posted where. In, To and Rate are required.
type Options struct {
	In     io.Reader
	From   int     // the first line that is posted, counted from 1
	To     Server  // the one that is fed, or looked at
	Expect *Server // gets each post before; its answers are what is expected of To. nil: nothing is compared
	Rate   float64 // posts a second at most
}

// Posts of one segment are made one after the other, in one of these lanes; the lanes go
// side by side within a window of the file, and each window waits for the one before it.
// So what is done is all up to a line, but for one window.
const (
	Lanes       = 16
	window      = 256
	windowBytes = 8 << 20
)

// Replay is one run.
type Replay struct {
	options Options
	records *records
	pace    *rate.Limiter
	seed    maphash.Seed

	mu       sync.Mutex
	report   Report
	answered atomic.Int64
}

// New makes a run.
func New(o Options) *Replay {
	return &Replay{options: o, records: newRecords(o.In), pace: rate.NewLimiter(rate.Limit(o.Rate), 1), seed: maphash.MakeSeed(), report: Report{Reached: o.From - 1}}
}

// Progress is how many posts were answered so far. Any goroutine may ask.
func (r *Replay) Progress() int { return int(r.answered.Load()) }

// Run posts all of the file. A post that is answered 503 or 429 is made again until it is
// not, and those of its segment wait for it. Any other answer of 500 or more ends the run,
// unless answers are compared, and so do an error and the end of ctx: the report then tells
// the line up to which all is done. Going on behind it repeats some posts, in their order.
func (r *Replay) Run(ctx context.Context) (Report, error) {
	var err error
	for more := true; more && err == nil; {
		var posts []*post
		posts, more, err = r.read()
		if failed := r.postAll(ctx, posts); failed != nil {
			err = failed // it comes before what could not be read
		}
	}
	r.report.sort()
	return r.report, err
}

// read reads a window. What it has read before an error is posted all the same.
func (r *Replay) read() (posts []*post, more bool, err error) {
	for size := 0; len(posts) < window && size < windowBytes; {
		p, err := r.records.next()
		switch {
		case errors.Is(err, io.EOF):
			return posts, false, nil
		case err != nil:
			return posts, false, err
		case p.line >= r.options.From:
			posts = append(posts, p)
			size += len(p.body)
		}
	}
	return posts, true, nil
}

// postAll posts a window. An error ends its lane, and with that the others.
func (r *Replay) postAll(ctx context.Context, posts []*post) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var by [Lanes][]int
	for i, p := range posts {
		lane := maphash.String(r.seed, p.segment) % Lanes
		by[lane] = append(by[lane], i)
	}
	done := make([]bool, len(posts))
	var working sync.WaitGroup
	for _, lane := range by {
		working.Go(func() {
			for _, i := range lane {
				if err := r.postOne(ctx, posts[i]); err != nil {
					cancel(err) // the first one counts
					return
				}
				done[i] = true
			}
		})
	}
	working.Wait()
	for i, p := range posts {
		if !done[i] {
			return context.Cause(ctx)
		}
		r.report.Reached = p.line
	}
	return nil
}

func (r *Replay) postOne(ctx context.Context, p *post) error {
	if err := r.pace.Wait(ctx); err != nil {
		return err
	}
	var expected *answer
	if r.options.Expect != nil {
		a, err := r.options.Expect.post(ctx, p)
		if err != nil {
			return fmt.Errorf("line %d: ask the server that is compared with: %w", p.line, err)
		}
		expected = &a
	}
	got, err := r.options.To.post(ctx, p)
	switch {
	case err != nil:
		return fmt.Errorf("line %d: %w", p.line, err)
	case got.status >= 500 && expected == nil:
		return fmt.Errorf("line %d was answered %d", p.line, got.status)
	}
	r.answered.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.note(p.line, got, expected)
	return nil
}

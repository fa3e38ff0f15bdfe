package test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/sandbox"
)

const (
	flatSegments = 10_000
	flatTenants  = 10
	flatClients  = 16
	flatPosts    = 5_000 // of each measurement
	flatRounds   = 3     // measurements of each kind, taken in turns; the least counts
	flatMost     = 1.25
)

// TestCostOfAPostIsFlat: the processor time that the relay takes for a post is the
// same for 10,000 active segments as for one. Others that use the machine do not
// count, but they spoil its caches: hence the least of several measurements.
func TestCostOfAPostIsFlat(t *testing.T) {
	s := newSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600, "drainTimeout": 0.1})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	p := s.start()
	p.ready()
	cost := func(posts, segments int) time.Duration {
		before := p.cpu(t)
		postSpread(t, ctx, p, posts, segments)
		return (p.cpu(t) - before) / time.Duration(posts)
	}
	cost(flatSegments, flatSegments) // makes them active
	one, many := time.Hour, time.Hour
	for range flatRounds {
		one = min(one, cost(flatPosts, 1))
		many = min(many, cost(flatPosts, flatSegments))
	}
	t.Logf("processor time of a post, TLS and journal included: %v to one segment, %v to %d segments in turns", one, many, flatSegments)
	if float64(many) > flatMost*float64(one) {
		t.Errorf("a post to one of %d segments takes %.2f times as much as one to the same, want %.2f at most", flatSegments, float64(many)/float64(one), flatMost)
	}
}

// postSpread posts one key at a time, to so many segments in turns.
func postSpread(t *testing.T, ctx context.Context, p *process, posts, segments int) {
	t.Helper()
	var done sync.WaitGroup
	for client := range flatClients {
		done.Go(func() {
			for n := client; n < posts; n += flatClients {
				i := n * 7919 % segments // a prime: in no order
				c := change{token: fmt.Sprint("token-", i%flatTenants), segment: fmt.Sprint("s", i), keys: numbers(n, 1)}
				if err := p.postKept(ctx, c); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
}

// cpu is the processor time that the process has used, in steps of 10 ms, as Linux
// counts it.
func (p *process) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in brackets, may hold blanks; utime and stime are the 12th and 13th
	// field after it (proc(5)).
	_, rest, _ := strings.Cut(string(stat), ") ")
	ticks := 0
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

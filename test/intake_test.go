package test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

const (
	intakeClients  = 8
	intakeSegments = 200
	intakePosts    = 1500 // of each measurement, by all clients together
	intakeRounds   = 3    // measurements of each kind, taken in turns
	intakeFlush    = 200 * time.Millisecond
	intakeTime     = 2 * time.Minute // for all of them
)

// TestIntakeNeverWaitsForSplit: posts are answered as fast while every call to
// Split hangs as while Split answers at once. The bounds are generous, because
// machines that run tests are busy; BenchmarkIntake prints the figures.
func TestIntakeNeverWaitsForSplit(t *testing.T) {
	answering, hanging := measureIntake(t)
	t.Logf("p50 %v and %v, p99 %v and %v, while Split answers and while it hangs",
		answering.at(0.5), hanging.at(0.5), answering.at(0.99), hanging.at(0.99))
	if got, limit := hanging.at(0.5), 5*answering.at(0.5)+10*time.Millisecond; got > limit {
		t.Errorf("p50 is %v while Split hangs, and should be under %v", got, limit)
	}
	if got, limit := hanging.at(0.99), 5*answering.at(0.99)+100*time.Millisecond; got > limit {
		t.Errorf("p99 is %v while Split hangs, and should be under %v", got, limit)
	}
}

// BenchmarkIntake prints what TestIntakeNeverWaitsForSplit compares.
func BenchmarkIntake(b *testing.B) {
	var answering, hanging latencies
	for b.Loop() {
		a, h := measureIntake(b)
		answering, hanging = append(answering, a...), append(hanging, h...)
	}
	slices.Sort(answering)
	slices.Sort(hanging)
	for _, share := range []float64{0.5, 0.99} {
		name := fmt.Sprintf("p%.0f", 100*share)
		b.ReportMetric(answering.at(share).Seconds()*1000, name+"-answering-ms")
		b.ReportMetric(hanging.at(share).Seconds()*1000, name+"-hanging-ms")
		b.ReportMetric(hanging.at(share).Seconds()/answering.at(share).Seconds(), name+"-ratio")
	}
}

// latencies of posts, in ascending order.
type latencies []time.Duration

// at is the latency that the given share of the posts stays within.
func (l latencies) at(share float64) time.Duration { return l[int(share*float64(len(l)-1))] }

// measureIntake posts to one relay while Split answers at once and while every
// call hangs, in turns, so that whatever else the machine does meets both alike.
func measureIntake(t testing.TB) (answering, hanging latencies) {
	t.Helper()
	var held atomic.Int64
	s := harness.NewSite(t, sandbox.Options{OnCall: func(c sandbox.Call) {
		if c.End.Sub(c.Start) > intakeFlush/2 {
			held.Add(1)
		}
	}}, map[string]any{"splitTimeout": intakeTime.Seconds(), "segmentsFlushRateInSeconds": intakeFlush.Seconds()})
	ctx, cancel := context.WithTimeout(t.Context(), intakeTime)
	defer cancel()
	p := s.Start()
	p.Ready()
	postAll(t, ctx, p, 0) // the first connections and actors cost more
	for round := range intakeRounds {
		answering = append(answering, postAll(t, ctx, p, 2*round+1)...)
		heal := s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		hanging = append(hanging, postAll(t, ctx, p, 2*round+2)...)
		heal()
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if held.Load() < intakeRounds {
		t.Errorf("only %d calls hung: that shows nothing", held.Load())
	}
	slices.Sort(answering)
	slices.Sort(hanging)
	return answering, hanging
}

// postAll posts like the lambda, one key at a time, and returns how long each
// post took.
func postAll(t testing.TB, ctx context.Context, p *harness.Process, round int) (all latencies) {
	t.Helper()
	var (
		mu   sync.Mutex
		done sync.WaitGroup
	)
	for client := range intakeClients {
		done.Go(func() {
			var mine latencies
			for n := client; n < intakePosts; n += intakeClients {
				c := harness.Change{Token: fmt.Sprint("token-", n%3), Segment: fmt.Sprint("s", n%intakeSegments), Keys: numbers(round*intakePosts+n, 1)}
				began := time.Now()
				if err := p.PostKept(ctx, c); err != nil {
					t.Error(err)
					return
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	done.Wait()
	return all
}

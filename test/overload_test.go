package test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var overloadFor = flag.Duration("overload.for", 2*time.Second, "how long TestOverload lasts; make overload has a minute")

const (
	overloadTimes    = 10               // the flood is so many times what the relay can take
	overloadMeasure  = time.Second      // for finding out what it can take
	overloadInFlight = 32               // maxRequestsInFlight
	overloadAtOnce   = 300              // posts under way at once, of all lambdas together
	overloadPatience = 10 * time.Second // of one lambda; the usual one has 3 s

	overloadSegments = 20
	overloadBlocks   = 25 // of each segment
	overloadKeys     = 2000
)

// TestOverload posts ten times as fast as the relay can take it, never waiting for
// an answer before the next post, while every call to Split hangs. Posts are
// answered 200 or 503 with Retry-After and nothing else, probes are answered,
// memory stays bounded, and when it is over the relay takes changes again by itself.
// In the end Split has every key of every 200 (I1, I3), and none that was only
// refused. It prints what happened.
func TestOverload(t *testing.T) {
	f := newFlood(t)
	heal := f.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	sustained := f.sustained()
	f.count = tally{}
	ctx, cancel := context.WithTimeout(t.Context(), *overloadFor)
	defer cancel()
	began, due := time.Now(), 0
	worst := f.during(ctx, func() { due = f.pour(ctx, overloadTimes*sustained) })
	took := time.Since(began).Seconds()
	c := &f.count
	now, peak := f.process.Resident()
	t.Logf("sustained %.0f posts/s of %d keys; due %.0f/s, sent %.0f/s in %.1f s: %d answered 200, %d 503, %d cut off; slowest /ping %v; RSS %d MiB, at most %d MiB",
		sustained, overloadKeys, float64(due)/took, float64(c.sent.Load())/took, took, c.accepted.Load(), c.refused.Load(), c.cut.Load(), worst, now>>20, peak>>20)
	if c.accepted.Load() == 0 || c.refused.Load() == 0 {
		t.Error("that was no overload")
	}
	if peak > mostMemory {
		t.Errorf("%d MiB of memory, and should be less than %d", peak>>20, mostMemory>>20)
	}
	f.process.MustPost(harness.Change{Segment: "sAfter", Keys: []string{"1"}})
	heal()
	f.verify()
}

// flood posts blocks of keys to a relay with little room, and remembers what
// became of each block.
type flood struct {
	*harness.Site
	process *harness.Process
	client  *http.Client
	bodies  [overloadSegments][overloadBlocks][]byte
	fates   [overloadSegments][overloadBlocks]struct{ accepted, unknown atomic.Bool }
	count   tally
}

type tally struct{ sent, accepted, refused, cut atomic.Int64 }

func newFlood(t *testing.T) *flood {
	t.Helper()
	f := &flood{client: harness.NewKept(overloadAtOnce)} // a handshake for each post would cost this process more than the relay
	f.client.Timeout = overloadPatience
	// A call that has timed out is noticed late on a machine that has all it can do.
	f.Site = harness.NewSite(t, sandbox.Options{Grace: 5 * time.Second}, map[string]any{
		"maxRequestsInFlight": overloadInFlight, "maxBytesInFlight": 1 << 20, "maxBodyBytes": 1 << 18, "splitTimeout": 2})
	for n := range f.bodies {
		for block := range f.bodies[n] {
			f.bodies[n][block] = harness.Change{Segment: floodSegment(n), Keys: numbers(block*overloadKeys, overloadKeys)}.Body()
		}
	}
	f.process = f.Start()
	f.process.Ready()
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

func floodSegment(n int) string { return fmt.Sprint("s", n) }

// sustained is how many posts a second are answered 200 to clients that wait for
// each answer, and are few enough to be let in.
func (f *flood) sustained() float64 {
	ctx, cancel := context.WithTimeout(f.T.Context(), overloadMeasure)
	defer cancel()
	var clients sync.WaitGroup
	for range overloadInFlight / 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				f.post()
			}
		})
	}
	clients.Wait()
	return float64(f.count.accepted.Load()) / overloadMeasure.Seconds()
}

// pour begins that many posts a second until ctx ends, and returns how many were
// due when all are answered. Those that find too many under way are left out.
func (f *flood) pour(ctx context.Context, perSecond float64) (due int) {
	places := make(chan struct{}, overloadAtOnce)
	var posts sync.WaitGroup
	defer posts.Wait()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return due
		case <-ticker.C:
		}
		for float64(due) < time.Since(began).Seconds()*perSecond && ctx.Err() == nil {
			due++
			select {
			case places <- struct{}{}:
				posts.Go(func() { f.post(); <-places })
			default:
			}
		}
	}
}

// post posts any block and notes what became of it.
func (f *flood) post() {
	n, block := rand.IntN(overloadSegments), rand.IntN(overloadBlocks)
	fate := &f.fates[n][block]
	f.count.sent.Add(1)
	a, err := f.process.SendBy(f.T.Context(), f.client, http.MethodPost, "/audiences", harness.AuthToken, f.bodies[n][block])
	if a.Status == 0 { // refused, reset or out of time: no answer, and the outcome is unknown (I1)
		f.count.cut.Add(1)
		fate.unknown.Store(true)
		return
	}
	switch {
	case a.Status == http.StatusOK:
		f.count.accepted.Add(1)
		fate.accepted.Store(true)
	case err != nil || a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "":
		f.T.Errorf("answered %d %s, Retry-After %q, %v", a.Status, a.Body, a.Header.Get("Retry-After"), err)
	default:
		f.count.refused.Add(1)
		if strings.Contains(a.Body, "unknown") {
			fate.unknown.Store(true)
		}
	}
}

// during asks for /ping all the time while work goes on, and returns the longest
// that an answer took. It returns when work does.
func (f *flood) during(ctx context.Context, work func()) (worst time.Duration) {
	var probes sync.WaitGroup
	probes.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			a, err := f.process.Send(context.WithoutCancel(ctx), http.MethodGet, "/ping", "", nil)
			if err != nil || a.Status != http.StatusOK {
				f.T.Errorf("/ping: %d, %v", a.Status, err)
				return
			}
			worst = max(worst, time.Since(began))
		}
	})
	work()
	probes.Wait()
	return worst
}

// verify waits until Split has what was answered 200, which can be a minute after
// it is back, lets the relay end, and looks for keys that it should not have.
func (f *flood) verify() {
	f.T.Helper()
	for n := range overloadSegments {
		harness.Eventually(f.T, 4*harness.Patience, "what was answered 200 is delivered", func() bool {
			missing, _ := f.difference(n)
			return missing == 0
		})
	}
	if code := f.process.Terminate(); code != 0 {
		f.T.Errorf("exit code %d", code)
	}
	for n := range overloadSegments {
		if missing, extra := f.difference(n); missing+extra > 0 {
			f.T.Errorf("segment %s: %d blocks of keys are missing, %d are there that were only refused", floodSegment(n), missing, extra)
		}
	}
	f.Judge()
}

// difference counts the blocks that are not all there though they should be, and
// those of which something is there though it should not be.
func (f *flood) difference(n int) (missing, extra int) {
	var there [overloadBlocks]int
	for _, key := range f.Members(floodSegment(n)) {
		k, err := strconv.Atoi(key)
		if block := (k - firstNumber) / overloadKeys; err == nil && k >= firstNumber && block < overloadBlocks {
			there[block]++
		}
	}
	for block := range there {
		switch fate := &f.fates[n][block]; {
		case fate.accepted.Load() && there[block] < overloadKeys:
			missing++
		case !fate.accepted.Load() && !fate.unknown.Load() && there[block] > 0:
			extra++
		}
	}
	return missing, extra
}

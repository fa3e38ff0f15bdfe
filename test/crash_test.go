package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	crashRounds = flag.Int("crash.rounds", 3, "how often TestCrash kills the relay")
	crashSeed   = flag.Uint64("crash.seed", 0, "seed of TestCrash; 0: another one each time")
)

const (
	crashWriters  = 12
	crashTenants  = 3
	crashSegments = 9
	crashLife     = 1200 * time.Millisecond // the longest life of a process
)

// TestCrash kills the relay with SIGKILL again and again under writers that
// never stop, while Split misbehaves: during the start and the replay, under
// posts, under calls. Every time it starts again on what it left behind (I8). In
// the end each key is where its last accepted verb says (I1, I2, I3), nothing was
// sent that was never posted, and the look-alike saw no broken promise (I4, I5).
//
// The seed decides what is posted, what goes wrong and when the kills come; how
// far the relay has got by then, the machine decides.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-crash.seed=%d -crash.rounds=%d", seed, *crashRounds)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newCrashSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*crashRounds)*2*crashLife+2*harness.Patience)
	defer cancel()
	startWriters(ctx, crashWriters, seed, s.writers)
	for range *crashRounds {
		trouble(s.Split, random)
		s.pace(random)
		s.liveFor(lifetime(random))
	}
	s.Split.ClearFaults()
	s.run()
	s.writers.finish()
	s.verify(ctx)
}

// crashSite is a relay that calls often, and its writers.
type crashSite struct {
	*harness.Site
	writers *writers
	running atomic.Pointer[harness.Process] // the latest process
	calls   chan struct{}                   // has a value when there were calls
}

func newCrashSite(t *testing.T) *crashSite {
	t.Helper()
	w := &writers{ledger: harness.NewLedger()}
	for n := range crashSegments {
		w.places = append(w.places, harness.Change{Token: fmt.Sprint("token-", n%crashTenants), Segment: fmt.Sprint("s", n)})
	}
	look, calls := signalled(sandbox.Options{Allowed: w.ledger.Allowed, MaxMembers: 10_000_000})
	s := &crashSite{writers: w, calls: calls}
	s.Site = harness.NewSite(t, look, nil)
	w.post = s.post
	return s
}

// pace is how often the next process calls: so often that there is always a call
// under way, or so rarely that keys lie there when it is killed. It may come with
// segments that go and come back all the time.
func (s *crashSite) pace(random *rand.Rand) {
	s.T.Helper()
	s.Configure(map[string]any{
		"splitTimeout":               0.3,
		"segmentsFlushRateInSeconds": []float64{0.005, 0.05, 0.3}[random.IntN(3)],
		"idleTimeout":                []float64{0.02, 0.2, 600}[random.IntN(3)],
		"maxCallsPerSecond":          2000,
		"maxCallsPerSecondPerTenant": 1000,
	})
}

// signalled makes the look-alike tell of calls: the channel has a value when
// there were some since it was last read.
func signalled(look sandbox.Options) (sandbox.Options, chan struct{}) {
	calls := make(chan struct{}, 1)
	look.OnCall = func(sandbox.Call) {
		select {
		case calls <- struct{}{}:
		default:
		}
	}
	return look, calls
}

var errDown = errors.New("no process listens")

// post goes to the latest process, whatever state that is in.
func (s *crashSite) post(ctx context.Context, c harness.Change) error {
	p := s.running.Load()
	if p == nil {
		return errDown
	}
	select {
	case <-p.Listens:
	default:
		return errDown
	}
	return p.PostBy(ctx, harness.Lambda, c)
}

func (s *crashSite) run() *harness.Process {
	s.T.Helper()
	p := s.Launch()
	s.running.Store(p)
	s.writers.era.Add(1)
	return p
}

// lifetime is how long the next process may live: every third time not much
// longer than its start takes.
func lifetime(random *rand.Rand) time.Duration {
	life := crashLife
	if random.IntN(3) == 0 {
		life /= 8
	}
	return time.Duration(random.Int64N(int64(life)))
}

// liveFor runs the relay for that long and kills it.
func (s *crashSite) liveFor(life time.Duration) {
	s.T.Helper()
	p := s.run()
	select {
	case <-time.After(life):
		p.Kill()
	case <-p.Ended:
		s.T.Fatalf("the relay ended by itself with code %d", p.ExitCode())
	}
}

// verify lets the last process deliver everything and compares; the writers are
// at rest.
func (s *crashSite) verify(ctx context.Context) {
	s.T.Helper()
	last, ledger := s.running.Load(), s.writers.ledger
	last.Ready()
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	for ledger.Difference(s.Split) != "" && ctx.Err() == nil {
		select {
		case <-s.calls:
		case <-ctx.Done():
		}
	}
	if code := last.Terminate(); code != 0 {
		s.T.Errorf("exit code %d", code)
	}
	// Again after the end: nothing that was still on its way may have undone anything.
	if difference := ledger.Difference(s.Split); difference != "" {
		s.T.Errorf("Split differs from what was accepted:\n%s", difference)
	}
	s.Judge()
	counts := s.Split.Counts()
	s.T.Logf("%d changes accepted, %d calls: %v", ledger.Accepted(), counts.Calls, counts.Outcomes)
	if ledger.Accepted() < *crashRounds || counts.Applied < *crashRounds {
		s.T.Error("too little happened to show anything")
	}
}

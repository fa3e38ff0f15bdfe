package actors

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Journal is where accepted changes are kept until they are settled.
type Journal interface {
	journal.Intake
	journal.Keeper
}

// Options configure a Relay. Journal and Deliver are required; a zero value
// elsewhere means what its comment says.
type Options struct {
	Journal Journal
	// Deliver makes one call to Split; (*splitclient.Client).Do in production. It
	// must return when its context ends.
	Deliver func(context.Context, splitclient.Call) splitclient.Outcome

	FlushInterval time.Duration // from the first key of a batch to its call; 0: 10 s
	IdleTimeout   time.Duration // an actor idle for one to two of these is let go; 0: 10 min

	MaxConcurrentCalls         int     // calls under way at once, all tenants together, of one tenant half of them; 0: 64
	MaxCallsPerSecond          float64 // all tenants together; 0: no ceiling
	MaxCallsPerSecondPerTenant float64 // 0: no ceiling

	// MaxUnproven is how many tenants that never delivered anything have an actor at a
	// time, about; others doze, with less than 1 KB each. A newcomer waits behind the
	// calls of those. 0: as many as MaxConcurrentCalls.
	MaxUnproven int

	MaxKeysPerCall  int // 0: 10,000, Split's limit (Split docs: upload keys)
	MaxKeysHeld     int // keys a segment holds in memory; 0: two calls' worth
	MaxKeysInMemory int // keys that all segments together hold, about; 0: 1,000,000
	MaxActivating   int // segments that read their first page at a time at the start; 0: 256

	FirstBackoff  time.Duration // after the first failure in a row; 0: 1 s
	MaxBackoff    time.Duration // 0: 1 min
	NotFoundGrace time.Duration // how long a 404 may mean "not yet"; 0: 1 min
	ProbeInterval time.Duration // between attempts with a parked segment; 0: 15 min
	TokenBackoff  time.Duration // after the first 401, doubling up to ProbeInterval; 0: 30 s

	distrust bool // nobody is ever proven; for tests of this package

	Random     func() float64 // [0,1), for jitter; called by many goroutines at once; nil: math/rand
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
}

// settings are the options with their defaults, and what else all actors share.
type settings struct {
	Options
	metrics  *metrics
	ctx      context.Context // ends when calls under way are to be given up
	calls    sync.WaitGroup  // calls under way
	inMemory atomic.Int64    // keys in all batches, long texts for several; each segment adds its own changes
	notices  notices
}

func newSettings(ctx context.Context, o Options) *settings {
	fill(&o.FlushInterval, 10*time.Second)
	fill(&o.IdleTimeout, 10*time.Minute)
	fill(&o.MaxConcurrentCalls, 64)
	fill(&o.MaxUnproven, o.MaxConcurrentCalls)
	fill(&o.MaxKeysPerCall, 10_000)
	fill(&o.MaxKeysHeld, 2*o.MaxKeysPerCall)
	fill(&o.MaxKeysInMemory, 1_000_000)
	fill(&o.MaxActivating, maxActivating)
	fill(&o.FirstBackoff, time.Second)
	fill(&o.MaxBackoff, time.Minute)
	fill(&o.NotFoundGrace, time.Minute)
	fill(&o.ProbeInterval, 15*time.Minute)
	fill(&o.TokenBackoff, 30*time.Second)
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &settings{Options: o, metrics: newMetrics(o.Registerer), ctx: ctx}
}

// jittered is a little more than the time that Split asked us to wait, and not
// the same for everybody.
func (s *settings) jittered(delay time.Duration) time.Duration {
	return delay + time.Duration(s.Random()*float64(max(delay/10, 100*time.Millisecond)))
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// answerOnPanic answers who waits for the message that was in hand when the
// registry or a tenant panicked, and panics on: the supervisor lets these two continue as
// they were, because stopping them would stop their children, and with them
// every message in their mailboxes.
func (s *settings) answerOnPanic(message any) {
	reason := recover()
	if reason == nil {
		return
	}
	s.metrics.crashes.Inc()
	s.Logger.Error().Str("panic", panicText(reason)).Msg("BUG: an actor crashed; it goes on with the next message")
	refuse(message, ErrCrashed)
	panic(reason)
}

// panicText describes a panic without printing a value that may hold a key or a
// token (I7): errors of the runtime are safe, of others only the type is told.
func panicText(reason any) string {
	if err, ok := reason.(interface{ RuntimeError() }); ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%T", reason)
}

// wake sends the message to the actor itself after d, in place of what the timer
// was set to before. A wait without end arms nothing: some message will come.
func wake(ctx actor.Context, timer *time.Timer, d time.Duration, message any) *time.Timer {
	stop(timer)
	if d == math.MaxInt64 {
		return nil
	}
	send := sender(ctx)
	return time.AfterFunc(d, func() { send(message) })
}

// sender sends to the actor itself from outside its mailbox.
func sender(ctx actor.Context) func(message any) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	return func(message any) { root.Send(self, message) }
}

func stop(timers ...*time.Timer) {
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
}

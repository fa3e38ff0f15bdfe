package actors

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Journal is where accepted changes are kept until they are settled.
type Journal interface {
	journal.Intake
	journal.Keeper
}

// Options configure a Relay. Journal is required; a zero value elsewhere means what its
// comment says.
type Options struct {
	Journal Journal
	// Deliver makes one call to Split; (*splitclient.Client).Do in production. It
	// must return when its context ends. nil: delivery is switched off. Changes are
	// accepted and kept, and no call is made: every tenant is kept from calling, as by an
	// operator's pause that no operator can end.
	Deliver func(context.Context, splitclient.Call) splitclient.Outcome

	FlushInterval time.Duration // from the first key of a batch to its call; 0: 10 s. Tune changes it
	IdleTimeout   time.Duration // an actor idle for one to two of these is let go; 0: 10 min

	// These three are changed by Tune.
	MaxConcurrentCalls         int     // calls under way at once, all tenants together, of one tenant half of them; 0: 64
	MaxCallsPerSecond          float64 // all tenants together; 0: no ceiling
	MaxCallsPerSecondPerTenant float64 // 0: no ceiling

	// Sharing is there where several nodes share the journal: then this one owns no tenant
	// before Claim, and segments hold no keys before they may call. nil: it owns all.
	Sharing *Sharing

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

	// Name is what people call a tenant, for the log; "" where it has no name. It is
	// called by many goroutines at once. nil: no tenant has one.
	Name func(audience.TenantID) string

	// For tests of this package.
	distrust bool   // nobody is ever proven
	heard    func() // called by a segment that is told of a change; may panic. nil: not

	Random     func() float64 // [0,1), for jitter; called by many goroutines at once; nil: math/rand
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
}

// settings are the options with their defaults, and what else all actors share.
type settings struct {
	Options
	metrics    *metrics
	ctx        context.Context // ends when calls under way are to be given up
	calls      sync.WaitGroup  // calls under way
	inMemory   atomic.Int64    // keys in all batches, long texts for several; each segment adds its own changes
	desk       func(*news)     // where news goes; nil: nowhere
	past       func(any)       // where calls go that have ended, and changes that are never sent; nil: nowhere
	chronicled func(*happened) // where events go; nil: nowhere

	tuningNow  atomic.Pointer[Tuning] // what its fields in the options have become
	callNumber atomic.Uint64          // of the last call
	demand     demand                 // where several nodes share the journal
	waits      pace.Waits             // of each tenant, after what Split answers
}

func newSettings(ctx context.Context, o Options) *settings {
	fill(&o.FlushInterval, 10*time.Second)
	fill(&o.IdleTimeout, 10*time.Minute)
	fill(&o.MaxConcurrentCalls, 64)
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
	s := &settings{Options: o, metrics: newMetrics(o.Registerer), ctx: ctx,
		waits: pace.Waits{Most: o.MaxBackoff, Token: o.TokenBackoff, Probe: o.ProbeInterval, Random: o.Random}}
	s.tuningNow.Store(&Tuning{FlushInterval: o.FlushInterval, MaxConcurrentCalls: o.MaxConcurrentCalls,
		MaxCallsPerSecond: o.MaxCallsPerSecond, MaxCallsPerSecondPerTenant: o.MaxCallsPerSecondPerTenant})
	if o.Deliver == nil {
		s.metrics.off.Set(1)
	}
	s.callNumber.Store(firstCall(time.Now()))
	return s
}

// note tells of an event. It does not wait.
func (s *settings) note(e status.Event) { s.happened(e, false) }

// draft has the journal keep what would be the event now, until the next one of its kind.
func (s *settings) draft(e status.Event) { s.happened(e, true) }

func (s *settings) happened(e status.Event, draft bool) {
	e.Sentence = status.EventSentence(e)
	if s.chronicled != nil {
		s.chronicled(&happened{event: e, draft: draft})
	}
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

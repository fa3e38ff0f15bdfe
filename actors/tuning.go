package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Tuning is what of the Options may change while the relay runs; the fields mean what they
// mean there.
type Tuning struct {
	FlushInterval              time.Duration
	MaxConcurrentCalls         int
	MaxCallsPerSecond          float64
	MaxCallsPerSecondPerTenant float64
}

// tuned tells the registry, and the registry the tenants, that the tuning is another one.
type tuned struct{ down }

// Tune changes the pace, and returns at once. Calls under way go on, also where there are
// more than there may be now. A segment that gathers keys sends them when it would have; the
// new FlushInterval counts from its next batch. FlushInterval and MaxConcurrentCalls must be
// more than 0.
func (r *Relay) Tune(t Tuning) {
	r.tuningNow.Store(&t)
	r.system.Root.Send(r.registry, &tuned{})
}

func (s *settings) tuning() *Tuning { return s.tuningNow.Load() }

// mostUnproven is MaxUnproven or what it follows.
func (s *settings) mostUnproven() int {
	if s.MaxUnproven == 0 {
		return s.tuning().MaxConcurrentCalls
	}
	return s.MaxUnproven
}

// tuned takes over another tuning, and passes it on. Tenants that wait ask anew: their
// timers are those of the pace before.
func (r *registry) tuned(ctx actor.Context) {
	if r.phase == registryEnding {
		return
	}
	now := r.tuning()
	r.egress.Limit(time.Now(), now.MaxCallsPerSecond, now.MaxConcurrentCalls)
	r.turns.Resize(now.MaxConcurrentCalls)
	for _, c := range r.tenants.children.All() {
		r.tenants.tell(ctx, c, &tuned{})
	}
	r.grant(ctx)
	r.wakeDormant(ctx)
}

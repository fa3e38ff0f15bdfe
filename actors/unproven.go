package actors

import (
	"time"

	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// This is how the registry bounds what tenants cost that have never delivered
// anything (ADR 12): see lobby, dormitory, and doze.go.

// usher looks again who of the unproven is called and who is to doze.
type usher struct{}

// lodge brings to the registry that the journal has keys of a segment whose tenant
// has never delivered anything. Where there are many of these it gets no actor
// before its turn comes. Answered when it is known, or as activate.
type lodge struct {
	hidden[lodge]
	answer
	tenant  audience.Tenant
	segment dormantSegment
	again   bool // it may be known already
}

// newcomer counts an unproven tenant whose actor was made, and makes room for it.
func (r *registry) newcomer(ctx actor.Context, id audience.TenantID, called time.Time) {
	r.lobby.add(id, called, time.Now())
	const looks = 4 // for each that comes: so the lobby empties, and no message takes long
	r.thin(ctx, looks)
	r.schedule(ctx)
}

// thin sends members of a lobby that is too full to sleep.
func (r *registry) thin(ctx actor.Context, looks int) {
	now := time.Now()
	over := r.lobby.len() - r.MaxUnproven
	for ; looks > 0 && over > 0 && !r.stopping(); looks-- {
		s := r.lobby.look()
		if !s.called.IsZero() || r.turns.held(s.id) > 0 || now.Sub(s.sent) < dozeTime {
			continue
		}
		s.sent = now
		over--
		r.tenants.tell(ctx, r.tenants.find(s.id), &doze{})
	}
}

// usher calls dormant tenants while few of those that were called wait for a slot,
// so that they find one soon.
func (r *registry) usher(ctx actor.Context) {
	now := time.Now()
	for r.lobby.called < r.callable() && !r.stopping() {
		d := r.dormitory.call(now)
		if d == nil {
			break
		}
		r.rouse(ctx, d, now)
	}
	r.schedule(ctx)
}

// schedule sets the timer for when there is more to do: somebody is due, or has had
// its time to ask for a slot or to doze.
func (r *registry) schedule(ctx actor.Context) {
	var next time.Time
	if r.lobby.called < r.callable() {
		next = r.dormitory.nextDue()
	}
	now := time.Now()
	if r.lobby.called > 0 && r.dormitory.len() > 0 || r.lobby.len() > r.MaxUnproven {
		if soon := now.Add(dozeTime); next.IsZero() || soon.Before(next) {
			next = earlier(r.usherAt, soon) // what was set before comes first
		}
	}
	if r.stopping() {
		next = time.Time{}
	}
	if next.Equal(r.usherAt) {
		return
	}
	if r.usherAt = next; next.IsZero() {
		stop(r.ushers)
		return
	}
	r.ushers = wake(ctx, r.ushers, next.Sub(now), &usher{})
}

// callable is how many tenants are called ahead of their turns.
func (r *registry) callable() int { return max(1, r.turns.half()/4) }

// look is usher after a while. It goes once through the lobby.
func (r *registry) look(ctx actor.Context) {
	r.usherAt = time.Time{}
	now := time.Now()
	for e := r.lobby.line.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*guest); !s.called.IsZero() && now.Sub(s.called) >= callTime && !r.turns.busy(s.id) {
			r.lobby.served(s.id)
		}
	}
	r.thin(ctx, r.lobby.len())
	r.usher(ctx)
}

// rouse makes the actor of a dormant tenant; called is zero when that is not
// because its turn has come.
func (r *registry) rouse(ctx actor.Context, d *dormant, called time.Time) *child {
	r.metrics.dormant.Dec()
	born := &tenant{tenant: d.tenant, refused: d.refused, failing: d.failing, absent: absent{segments: d.segments}}
	born.pace.blocked = d.blocked
	return r.adopt(ctx, born, d.standing, called)
}

// lodge takes in that a tenant has keys. The first get their actors at once, up to
// half of those that there may be: somebody has to come in, too.
func (r *registry) lodge(ctx actor.Context, m *lodge) {
	id := m.tenant.ID
	d := r.dormitory.remove(id)
	if d == nil && (r.tenants.find(id) != nil || r.lobby.len() < r.MaxUnproven/2) {
		c := r.tenant(ctx, m.tenant, false)
		r.tenants.tell(ctx, c, &activate{tenant: m.tenant, segment: m.segment.name.of(id), replay: true, answer: m.answer})
		m.handed()
		return
	}
	m.give(nil)
	if m.again && d.has(m.segment.name) {
		r.dormitory.add(d)
		return
	}
	if d == nil {
		d = &dormant{tenant: m.tenant}
		r.metrics.dormant.Inc()
	}
	r.metrics.pending.Add(float64(m.segment.stored))
	d.segments = append(d.segments, m.segment)
	if !m.segment.due.IsZero() && !r.pausedForGood(id) {
		d.due = earlier(d.due, later(m.segment.due, r.states[id].PausedUntil))
	}
	r.dormitory.add(d)
	r.usher(ctx)
}

func (r *registry) pausedForGood(id audience.TenantID) bool {
	state := r.states[id]
	return state.Paused && state.PausedUntil.IsZero()
}

// bed keeps of a tenant that dozes what its actor knew.
func (r *registry) bed(d *dormant, s standing) {
	d.standing = s
	r.metrics.dormant.Inc()
	r.dormitory.add(d)
}

// dormants is the dormant segments of a tenant. The registry adds to the list, but
// changes nothing in it: others may read what they were given.
type dormants struct {
	hidden[dormants]
	tenant   audience.TenantID
	segments []dormantSegment
}

func (r *registry) dormants() []dormants {
	all := make([]dormants, 0, r.dormitory.len())
	for id, d := range r.dormitory.tenants {
		all = append(all, dormants{tenant: id, segments: d.segments})
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

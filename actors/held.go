package actors

import (
	"time"

	"audiences/status"
)

// tellHeld adds to an effect what a pause still keeps from being sent, of the keys that the
// remedy lets go.
func (p *plan) tellHeld(e *status.Effect, now time.Time) {
	gate, whose := p.tenant.State, ""
	switch {
	case p.wish.Remedy == status.Move:
		gate, whose = p.successor.State, p.successor.Tenant.ID.String()
	case p.wish.Remedy == status.Retry, p.wish.Remedy == status.Resume && !p.wish.Whole():
	default:
		return
	}
	if gate.PausedAt(p.made) {
		e.Held = e.Segments
		e.Sentence += " " + status.TenantHolds(whose, gate.PausedUntil, now)
		return
	}
	if p.wish.Remedy != status.Retry {
		return
	}
	for i := range p.subjects {
		if p.subjects[i].state.PausedAt(p.made) {
			e.Held++
		}
	}
	if e.Held > 0 {
		e.Sentence += " " + status.SegmentsHold(e.Held)
	}
}

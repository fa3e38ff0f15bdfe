package placement

import (
	"time"

	"audiences/audience"
)

const (
	// evenly is the part of an address's budget that is divided evenly, so that a node that
	// wakes up can begin. The rest is divided by demand.
	evenly = 0.1
	// told is within how many beats another node has learned of what this one knows: with its
	// next one, and that takes its time.
	told = 1.25
)

// budget is what the last views said of the address's budget, the newest one last.
type budget []shares

// shares are the parts of it that the nodes of the address are to have, by one view.
type shares struct {
	of   map[NodeID]float64
	seen time.Time
}

// grant is the part that this node may use; 0 where it has nothing to call for. It shrinks
// at once, and grows by what the others no longer use: they learn of that with their next
// beats. Who is declared dead uses nothing.
func (b *budget) grant(self NodeID, view *View, now time.Time, lease time.Duration) float64 {
	kept := append(*b, shares{sharesOf(self, view), now})
	for now.Sub(kept[0].seen) > time.Duration(told*float64(lease/beatsPerLease)) {
		kept = kept[1:]
	}
	*b = kept
	last, left := kept[len(kept)-1].of, 1.
	for id := range last {
		var most float64
		for _, k := range kept {
			most = max(most, k.of[id])
		}
		if id != self {
			left -= most
		}
	}
	return min(last[self], max(left, evenly/float64(len(last))))
}

// sharesOf divides the budget of a node's address. Who wants no slots and has none makes no
// calls, and gets nothing. To the demand of all comes one call a second, which is divided
// evenly: where little is wanted, nobody is short of it.
func sharesOf(self NodeID, view *View) map[NodeID]float64 {
	var group []Member
	demand := 1.
	egress := view.member(self).Egress
	for _, m := range view.Members {
		if m.Egress == egress && (!m.Leaving || view.Of(m.ID) != audience.Slots{}) {
			group, demand = append(group, m), demand+m.Demand
		}
	}
	of := map[NodeID]float64{}
	even := 1 / float64(len(group))
	for _, m := range group {
		of[m.ID] = evenly*even + (1-evenly)*(m.Demand+even)/demand
	}
	return of
}

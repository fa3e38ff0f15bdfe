package actors

import (
	"sync/atomic"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"
)

// survivor is what is left of a segment that sleeps or crashed. The counts are read
// by the tenant, the rest belongs to the cell alone.
type survivor struct {
	adds, deletes, stored atomic.Int64                 // what the batch has, for the operator
	said                  atomic.Pointer[status.Phase] // what the segment is about, for the operator as well; nil: nothing
	uncounted             atomic.Bool                  // stored may be less than there is
	failures              int32                        // crashes and failed reads since the last call that was delivered
	backlog               bool                         // the journal had keys when the tenant started the actor
	failing               bool                         // the log says that its calls fail
	yielded               bool                         // all keys are being moved to another tenant: what comes meanwhile goes to the journal alone
	seen                  uint64                       // messages from the tenant
	weight                int                          // of settings.inMemory, for what the batch has
	reserved              int                          // of it as well, for a page that is being read

	last     splitclient.Reason // of the last call; "" before the first
	accepted journal.Version    // of the last change that the tenant told of; all older ones are known
}

func (s *survivor) view(name audience.Segment) SegmentView {
	phase := status.Phase{Condition: status.Condition{State: status.Idle}}
	if said := s.said.Load(); said != nil {
		phase = *said
	}
	return SegmentView{Segment: name, Adds: int(s.adds.Load()), Deletes: int(s.deletes.Load()),
		Stored: int(s.stored.Load()), Uncounted: s.uncounted.Load(), Phase: phase}
}

// publish shows what the batch has.
func (s *segment) publish() {
	b := &s.batch
	adds, deletes, stored := b.InMemory(audience.Add), b.InMemory(audience.Delete), b.Stored()
	weight := b.Weight()
	s.inMemory.Add(int64(weight - s.survivor.weight))
	s.survivor.weight = weight
	before := s.survivor.adds.Load() + s.survivor.deletes.Load() + s.survivor.stored.Load()
	s.survivor.adds.Store(int64(adds))
	s.survivor.deletes.Store(int64(deletes))
	s.survivor.stored.Store(int64(stored))
	if delta := int64(adds+deletes+stored) - before; delta != 0 {
		s.metrics.pending.Add(float64(delta))
	}
	counted := s.standing.AllCounted()
	if was := s.survivor.uncounted.Swap(!counted); was && counted {
		s.metrics.uncounted.Dec()
	} else if !was && !counted {
		s.metrics.uncounted.Inc()
	}
}

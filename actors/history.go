package actors

import (
	lru "container/list"
	"context"
	"time"

	"audiences/audience"
	"audiences/splitclient"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// history is the actor that keeps what an operator may ask of the calls of the past: the
// last ones of each segment, and what their answers said of the rate limits; and of the
// changes that were never sent. It lives in memory alone, and forgets what is oldest.
type history struct {
	hidden[history]
	segments recent[audience.Segment, []status.Call] // the newest last
	calls    int                                     // of all of them
	tenants  recent[audience.TenantID, status.Limit]
	address  status.Limit
	replaced recent[keyPlace, replacement]
}

// keyPlace is a key in a segment.
type keyPlace struct {
	hidden[keyPlace]
	segment audience.Segment
	key     audience.Key
}

// replacement is a change that was never sent, as a later one of the same key took its
// place in memory.
type replacement struct {
	verb audience.Verb // of the one that was not sent
	at   time.Time     // when the later one came
}

// How much is kept. A call takes some 250 bytes, and a segment as much again: that is 25 MB
// at most, with one call each.
const (
	callsKept    = 20     // of a segment
	allCallsKept = 50_000 // of all of them
	tenantsKept  = 10_000

	replacedKept = 20_000 // some 6 MB
)

// superseded tells of changes that were never sent.
type superseded struct {
	hidden[superseded]
	segment audience.Segment
	verb    audience.Verb
	keys    []audience.Key
	at      time.Time
}

// called tells of a call that has ended.
type called struct {
	segment audience.Segment
	call    status.Call
}

// Questions about the past. They are answered when what is asked for is put there.
type (
	callsOf struct {
		answer
		segment audience.Segment
		calls   *[]status.Call // the newest first
	}
	replacementOf struct {
		answer
		hidden[replacementOf]
		place keyPlace
		found *replacement // its time stays zero where none is known
	}
	limitsOf struct {
		answer
		address *status.Limit
		tenants *map[audience.TenantID]status.Limit
	}
)

func newHistory() *history {
	return &history{segments: newRecent[audience.Segment, []status.Call](allCallsKept), tenants: newRecent[audience.TenantID, status.Limit](tenantsKept),
		replaced: newRecent[keyPlace, replacement](replacedKept)}
}

func (h *history) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *called:
		h.called(m)
	case *callsOf:
		calls, _ := h.segments.get(m.segment)
		for i := len(calls) - 1; i >= 0; i-- {
			*m.calls = append(*m.calls, calls[i])
		}
		m.give(nil)
	case *superseded:
		for _, key := range m.keys {
			h.replaced.put(keyPlace{segment: m.segment, key: key}, replacement{m.verb, m.at})
		}
	case *replacementOf:
		*m.found, _ = h.replaced.get(m.place)
		m.give(nil)
	case *limitsOf:
		*m.address = h.address
		*m.tenants = h.tenants.all()
		m.give(nil)
	}
}

func (h *history) called(m *called) {
	calls, _ := h.segments.get(m.segment)
	if len(calls) == callsKept {
		copy(calls, calls[1:])
		calls = calls[:callsKept-1]
		h.calls--
	}
	h.segments.put(m.segment, append(calls, m.call))
	for h.calls++; h.calls > allCallsKept; {
		h.calls -= len(h.segments.drop())
	}
	if m.call.Organisation.Known {
		h.tenants.put(m.segment.Tenant, m.call.Organisation)
	}
	if m.call.Address.Known {
		h.address = m.call.Address
	}
}

// remember has a message kept by the history. It does not wait.
func (s *settings) remember(message any) {
	if s.past != nil {
		s.past(message)
	}
}

// nextCall is the number of a call. It rises over restarts, since a process counts on
// from the microseconds of its start, and makes fewer than a million calls a second. It
// stays below 2^53, up to which every program reads JSON alike.
func (s *settings) nextCall() uint64 { return s.callNumber.Add(1) }

func firstCall(now time.Time) uint64 { return uint64(now.UnixMicro()) }

// callOf is what is kept of a call that began then and has just ended.
func callOf(number uint64, call splitclient.Call, attempt int, began time.Time, o splitclient.Outcome) status.Call {
	now := time.Now()
	return status.Call{
		Number: number, At: began, Millis: now.Sub(began).Milliseconds(), Verb: call.Verb.String(), Keys: call.Keys.Len(), Attempt: attempt,
		Status: o.Status, Reason: string(o.Reason), Transaction: o.Transaction,
		Organisation: limitOf(o.Limits.RemainingOrg, o.Limits.ResetOrg, now), Address: limitOf(o.Limits.RemainingIP, o.Limits.ResetIP, now),
	}
}

func limitOf(remaining float64, reset time.Duration, now time.Time) status.Limit {
	if remaining < 0 {
		return status.Limit{}
	}
	l := status.Limit{Known: true, Remaining: remaining}
	if reset >= 0 {
		l.Reset = now.Add(reset)
	}
	return l
}

// Budgets are the rate limits: the address first, then the tenants of which an answer
// told theirs or that wait for one, in the order of Status.
func (r *Relay) Budgets(ctx context.Context) ([]status.Budget, error) {
	var address status.Limit
	var tenants map[audience.TenantID]status.Limit
	if err := r.askOf(ctx, r.history, func(a answer) any { return &limitsOf{answer: a, address: &address, tenants: &tenants} }); err != nil {
		return nil, err
	}
	asked, err := r.gates(ctx)
	if err != nil {
		return nil, err
	}
	budgets := []status.Budget{{Limit: address, Blocked: asked.address.Blocked, Waiting: asked.address.Waiting}}
	for _, t := range asked.tenants {
		if limit, told := tenants[t.id]; told || t.gate.Waiting > 0 {
			budgets = append(budgets, status.Budget{Tenant: t.id.String(), Limit: limit, Blocked: t.gate.Blocked, Waiting: t.gate.Waiting})
		}
	}
	sortBudgets(budgets[1:])
	return budgets, nil
}

func (r *Relay) lastCalls(ctx context.Context, segment audience.Segment) (calls []status.Call, err error) {
	err = r.askOf(ctx, r.history, func(a answer) any { return &callsOf{answer: a, segment: segment, calls: &calls} })
	return calls, err
}

// askOf asks another actor than the registry.
func (r *Relay) askOf(ctx context.Context, who *actor.PID, message func(answer) any) error {
	done := make(chan error, 1)
	r.system.Root.Send(who, message(answer{done}))
	return await(ctx, done)
}

// recent keeps the values that were put last, so many of them.
type recent[K comparable, V any] struct {
	most  int
	order *lru.List // of items, the latest first
	items map[K]*lru.Element
}

type recentItem[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) recent[K, V] {
	return recent[K, V]{most: most, order: lru.New(), items: map[K]*lru.Element{}}
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	if at := r.items[key]; at != nil {
		return at.Value.(*recentItem[K, V]).value, true
	}
	return value, false
}

func (r *recent[K, V]) put(key K, value V) {
	if at := r.items[key]; at != nil {
		at.Value.(*recentItem[K, V]).value = value
		r.order.MoveToFront(at)
		return
	}
	r.items[key] = r.order.PushFront(&recentItem[K, V]{key, value})
	if r.order.Len() > r.most {
		r.drop()
	}
}

// drop forgets what was put longest ago.
func (r *recent[K, V]) drop() V {
	oldest := r.order.Remove(r.order.Back()).(*recentItem[K, V])
	delete(r.items, oldest.key)
	return oldest.value
}

func (r *recent[K, V]) all() map[K]V {
	all := make(map[K]V, len(r.items))
	for key, at := range r.items {
		all[key] = at.Value.(*recentItem[K, V]).value
	}
	return all
}

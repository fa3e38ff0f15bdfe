package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

// method is one that a faulty journal fails in; and the call to Split.
type method int

const (
	putTenant method = iota
	appendKeys
	settle
	load
	count
	park
	unpark
	setSegmentState
	setTenantState
	moveTenant
	forget
	delivery
	hear // a segment hears of a change
	methods
)

func (m method) String() string {
	return [...]string{"PutTenant", "Append", "Settle", "Load", "Count", "Park", "Unpark", "SetSegmentState", "SetTenantState", "MoveTenant", "Forget", "Deliver", "hear"}[m]
}

// answers: a failure of the method can be told. The others have none: a journal that
// cannot be written ends the process.
func (m method) answers() bool {
	switch m {
	case appendKeys, load, count, unpark, setTenantState, moveTenant:
		return true
	}
	return false
}

var errStruck = errors.New("struck by the test")

// faulty stands before the journal and the client, and panics or fails on demand.
type faulty struct {
	Journal
	deliver func(context.Context, splitclient.Call) splitclient.Outcome
	traps   [methods]trap
	before  func()                                               // if set: called before each call of the journal
	append  func(journal.Intake, journal.Append) journal.Version // if set: hands an append to the journal
}

// trap is what is to happen to the next calls of a method.
type trap struct {
	skip, times atomic.Int32 // after so many calls, so many times
	fails       atomic.Bool  // with an error; else by a panic
}

func (t *trap) set(skip, times int32, fails bool) {
	t.fails.Store(fails)
	t.skip.Store(skip)
	t.times.Store(times)
}

// strike panics or returns an error, if it is time.
func (f *faulty) strike(m method) error {
	if f.before != nil {
		f.before()
	}
	t := &f.traps[m]
	if t.times.Load() <= 0 || t.skip.Load() > 0 && t.skip.Add(-1) >= 0 || t.times.Add(-1) < 0 {
		return nil
	}
	if t.fails.Load() {
		return errStruck
	}
	panic(fmt.Errorf("%v: %w", m, errStruck))
}

func (f *faulty) disarm() {
	for m := range f.traps {
		f.traps[m].set(0, 0, false)
	}
}

func (f *faulty) PutTenant(t audience.Tenant) { _ = f.strike(putTenant); f.Journal.PutTenant(t) }
func (f *faulty) Settle(s journal.Settle)     { _ = f.strike(settle); f.Journal.Settle(s) }
func (f *faulty) Park(p journal.Park)         { _ = f.strike(park); f.Journal.Park(p) }
func (f *faulty) Forget(s audience.Segment)   { _ = f.strike(forget); f.Journal.Forget(s) }

func (f *faulty) Append(a journal.Append) journal.Version {
	err := f.strike(appendKeys)
	if err != nil && a.Done != nil { // and what became of the keys is not known
		a.Done(err)
		a.Done = nil
	} else if f.append != nil {
		return f.append(f.Journal, a)
	}
	return f.Journal.Append(a)
}

func (f *faulty) heard() { _ = f.strike(hear) }

func (f *faulty) Load(l journal.Load) {
	if err := f.strike(load); err != nil {
		go l.Done(journal.Page{Err: err})
		return
	}
	f.Journal.Load(l)
}

func (f *faulty) Count(c journal.Count) {
	if err := f.strike(count); err != nil {
		go c.Done(journal.Counts{Err: err})
		return
	}
	f.Journal.Count(c)
}

func (f *faulty) Unpark(u journal.Unpark) {
	if err := f.strike(unpark); err != nil {
		go u.Done(0, err)
		return
	}
	f.Journal.Unpark(u)
}

func (f *faulty) SetSegmentState(segment audience.Segment, state journal.SegmentState, done func(error)) {
	_ = f.strike(setSegmentState)
	f.Journal.SetSegmentState(segment, state, done)
}

func (f *faulty) SetTenantState(id audience.TenantID, state journal.TenantState, done func(error)) {
	if err := f.strike(setTenantState); err != nil {
		done(err)
		done = nil
	}
	f.Journal.SetTenantState(id, state, done)
}

func (f *faulty) MoveTenant(from, to audience.TenantID, done func([]audience.Segment, int, error)) {
	if err := f.strike(moveTenant); err != nil {
		go done(nil, 0, err)
		return
	}
	f.Journal.MoveTenant(from, to, done)
}

func (f *faulty) Deliver(ctx context.Context, c splitclient.Call) splitclient.Outcome {
	_ = f.strike(delivery)
	return f.deliver(ctx, c)
}

package placement

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrNoLease is why a call is not made, or is given up: the lease is over, and another
// node may own the tenant by now (F3).
var ErrNoLease = errors.New("this node's lease is over")

// Lease is how long this node may act as the owner of its slots. The table counts a lease
// from when the beat arrives; here it is counted from when the beat was sent, so that it
// is over here first. It is safe for several goroutines.
type Lease struct {
	mu    sync.Mutex
	until time.Time
	ctx   context.Context
	end   context.CancelCauseFunc
	timer *time.Timer

	lapsed func() // called where the lease is over before it was renewed or given up; nil: nobody is told
}

// NewLease makes a lease that is over.
func NewLease() *Lease {
	l := &Lease{}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	l.end(ErrNoLease)
	return l
}

// Held is nil while the lease lasts. It looks at both clocks: the monotonic one, which
// nobody sets, and the wall clock, which goes on while a machine is suspended.
func (l *Lease) Held() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held(time.Now())
}

func (l *Lease) held(now time.Time) error {
	if now.Before(l.until) && now.Round(0).Before(l.until.Round(0)) {
		return nil
	}
	return ErrNoLease
}

// Context ends when the lease does, with ErrNoLease as its cause. It goes on where the
// lease is renewed in time.
func (l *Lease) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// renew has the lease last until then.
func (l *Lease) renew(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.held(now) != nil {
		l.over()
		l.ctx, l.end = context.WithCancelCause(context.Background())
	}
	l.until = until
	if l.timer == nil {
		l.timer = time.AfterFunc(until.Sub(now), l.lapse)
	} else {
		l.timer.Reset(until.Sub(now))
	}
}

// lapse ends the context, unless the lease was renewed while the timer fired.
func (l *Lease) lapse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.held(now) == nil {
		l.timer.Reset(l.until.Sub(now))
		return
	}
	l.over()
}

// over ends the context; mu is locked.
func (l *Lease) over() {
	if l.ctx.Err() == nil && l.lapsed != nil {
		l.lapsed()
	}
	l.end(ErrNoLease)
}

// giveUp ends the lease now.
func (l *Lease) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	if l.timer != nil {
		l.timer.Stop()
	}
	l.end(ErrNoLease)
}

package actors

import (
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

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

// alarm is a timer of an actor that is set to a point in time.
type alarm struct {
	timer *time.Timer
	at    time.Time // when it fires; zero: it is not set, or it has fired
}

// set has the message come at that time, or never, if it is zero.
func (a *alarm) set(ctx actor.Context, at time.Time, message any) {
	if at.Equal(a.at) {
		return
	}
	if at.IsZero() {
		a.cancel()
		return
	}
	a.at, a.timer = at, wake(ctx, a.timer, time.Until(at), message)
}

// cancel has the message not come. It may be on its way.
func (a *alarm) cancel() {
	stop(a.timer)
	a.timer, a.at = nil, time.Time{}
}

// fired is to be called when the message has come.
func (a *alarm) fired() { a.at = time.Time{} }

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

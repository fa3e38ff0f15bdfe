package actors

import (
	"fmt"

	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// answerable is a message whose sender waits for an answer, and gets exactly one.
// Whoever has the message owes it: an actor that passes it on, or hands its
// channel to the journal, does so as the last thing, and is rid of it then. Where
// that does not come about the answer is an error, always by way of refuse:
//
//	the actor panics with the message in hand   answerOnPanic; cell.crashed
//	a segment panics that had taken it in       cell.crashed
//	the message is not delivered                Relay.undelivered
//	it comes when the actors are stopping       registry.Receive, lateRefusal
//	a segment ends that had taken it in         cell.Receive
type answerable interface {
	fail(error)     // gives the error as the answer, unless there has been one
	answered() bool // nothing is owed any more
}

// refuse answers the message with the error, if somebody waits for its answer.
func refuse(message any, err error) {
	if m, ok := message.(answerable); ok {
		m.fail(err)
	}
}

// answerOnPanic answers who waits for the message that was in hand when the
// registry or a tenant panicked, and panics on: the supervisor lets these two continue as
// they were, because stopping them would stop their children, and with them
// every message in their mailboxes.
func (s *settings) answerOnPanic(message any) {
	reason := recover()
	if reason == nil {
		return
	}
	s.metrics.crashes.Inc()
	s.Logger.Error().Str("panic", panicText(reason)).Msg("BUG: an actor crashed; it goes on with the next message")
	refuse(message, ErrCrashed)
	panic(reason)
}

// caught makes an error of a panic, in a goroutine that works for an operator.
func (s *settings) caught(err *error) {
	reason := recover()
	if reason == nil {
		return
	}
	s.metrics.crashes.Inc()
	s.Logger.Error().Str("panic", panicText(reason)).Msg("BUG: an operator's wish crashed; part of it may be done")
	*err = ErrCrashed
}

// panicText describes a panic without printing a value that may hold a key or a
// token (I7): errors of the runtime are safe, of others only the type is told.
func panicText(reason any) string {
	if err, ok := reason.(interface{ RuntimeError() }); ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%T", reason)
}

// answer is the way back to who waits: embedded in a message, it belongs to who
// has the message in hand. What there is to tell beside the error lies in a place
// that the message names, and is written before the answer is given.
type answer struct {
	to chan<- error // has room; nil: the answer is given, or nobody waits for it
}

// give answers, unless there has been an answer.
func (a *answer) give(err error) {
	if to := a.to; to != nil {
		a.to = nil
		to <- err
	}
}

func (a *answer) fail(err error) { a.give(err) }
func (a *answer) answered() bool { return a.to == nil }

// through passes on what the journal tells, to a channel with room; nil: to nobody.
func through(to chan<- error) func(error) {
	if to == nil {
		return nil
	}
	return func(err error) { to <- err }
}

// handed notes that somebody else answers from here on.
func (a *answer) handed() { a.to = nil }

// report is the answer to a parent, which is a message. It is given once, also by
// an actor that panics: the stop waits for it.
type report struct{ send func() }

func (r *report) give() {
	if send := r.send; send != nil {
		r.send = nil
		send()
	}
}

func (r *report) fail(error)     { r.give() }
func (r *report) answered() bool { return r.send == nil }

// reportTo makes the report that sends the message to the actor itself.
func reportTo(ctx actor.Context, message any) report {
	send := sender(ctx)
	return report{func() { send(message) }}
}

// hidden keeps a message from being printed (I7): the actor library prints whole
// messages when one is undelivered, and when an actor crashes.
type hidden[T any] = audience.Hidden[T]

// fromParent marks the messages that count for the passivation handshake. Only a
// parent sends to its child, and both count (see roster).
type fromParent interface{ fromParent() }

// down is embedded in them.
type down struct{}

func (down) fromParent() {}

// lateRefusal answers what is put into the registry's mailbox in the very moment in
// which the registry ends: the actor library takes it out again without a word. The
// library calls it as a part of the mailbox.
type lateRefusal struct{ ended bool }

var _ actor.MailboxMiddleware = (*lateRefusal)(nil)

// MessageReceived is called by the mailbox, like the registry itself, after each
// message.
func (d *lateRefusal) MessageReceived(message any) {
	if d.ended {
		refuse(message, errDraining)
	}
}

// MailboxStarted, MessagePosted and MailboxEmpty are of no interest.
func (*lateRefusal) MailboxStarted()   {}
func (*lateRefusal) MessagePosted(any) {}
func (*lateRefusal) MailboxEmpty()     {}

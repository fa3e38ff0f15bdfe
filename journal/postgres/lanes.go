package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"audiences/journal"
)

// laneCount is how many lanes there are for what concerns one segment. With the lines of
// Append, of the beats, of what may take long, of the hints and of the wishes that makes
// seven connections.
const laneCount = 2

// lane does one thing after the other. All that concerns one segment goes through the same
// lane, so that it is done in the order in which it was handed in.
type lane struct {
	j    *Journal
	line *line

	mu     sync.Mutex
	queue  []task
	wake   chan struct{}
	closed bool
}

// task is one thing to do. It is tried until it is done, or the journal ends; done is
// called once.
type task struct {
	do   func(context.Context, *pgx.Conn) error
	done func(error)
}

func (j *Journal) newLane(on *line) *lane {
	l := &lane{j: j, line: on, wake: make(chan struct{}, 1)}
	j.running.Go(l.run)
	return l
}

// laneOf is the lane of a segment.
func (j *Journal) laneOf(id segmentID) *lane {
	return j.lanes[binary.BigEndian.Uint32(id[8:])%laneCount]
}

// put hands in a task; it never waits.
func (l *lane) put(t task) {
	if t.done == nil {
		t.done = func(error) {}
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		t.done(journal.ErrClosed)
		return
	}
	l.queue = append(l.queue, t)
	l.mu.Unlock()
	l.signal()
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next is the task that is due; ok is false where there is none.
func (l *lane) next() (t task, ok, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return task{}, false, l.closed
	}
	t = l.queue[0]
	l.queue[0] = task{}
	l.queue = l.queue[1:]
	return t, true, l.closed
}

// close has the lane end when its queue is empty, or when the journal's context ends.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
}

func (l *lane) run() {
	defer l.line.drop()
	for {
		t, ok, closed := l.next()
		switch {
		case ok:
			t.done(l.carryOut(t))
		case closed:
			return
		default:
			<-l.wake
		}
	}
}

// mostTries is how often a task is tried that the database answers with an error. One that
// the database does not answer, or has no room for now, is tried until it is done.
const mostTries = 8

// passes reports whether an error of the database goes away by itself, or by an operator's
// hand: it has no room, no memory or no connection left (class 53), or somebody else was in
// the way (class 40, and a lock that was not to be had).
func passes(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && (strings.HasPrefix(answer.Code, "53") || strings.HasPrefix(answer.Code, "40") || answer.Code == "55P03")
}

func (l *lane) carryOut(t task) error {
	for tries := 1; ; {
		if l.j.ctx.Err() != nil {
			return journal.ErrClosed
		}
		err := l.line.do(l.j.ctx, t.do)
		switch {
		case err == nil, errors.Is(err, errNotOwner):
			return err
		case l.j.ctx.Err() != nil:
			return journal.ErrClosed
		case l.line.conn == nil, passes(err):
		case tries >= mostTries:
			l.j.log.Error().Err(err).Msg("the journal's database refuses what the relay asks of it")
			return err
		default:
			tries++
		}
		l.j.log.Debug().Err(err).Msg("the journal's database did not do what it was asked; it is asked again")
		pause(l.j.ctx)
	}
}

// inTransaction runs f in a transaction. durable: it waits for the commit to be on disk.
// Otherwise a power loss may undo it, unless a durable change came after it.
func inTransaction(ctx context.Context, conn *pgx.Conn, durable bool, f func(pgx.Tx) error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tx.Rollback(late) // without effect after the commit
	}()
	if !durable {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// ask does something and waits for it, behind all that may take long.
func (j *Journal) ask(do func(context.Context, *pgx.Conn) error) error {
	return j.askUntil(context.Background(), do)
}

// askUntil is ask, but waits no longer than ctx. What do writes must not be read after an
// error: it may be done later.
func (j *Journal) askUntil(ctx context.Context, do func(context.Context, *pgx.Conn) error) error {
	done := make(chan error, 1)
	j.behind.put(task{do: do, done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

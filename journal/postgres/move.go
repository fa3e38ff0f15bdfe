package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// MoveTenant goes in steps, segment by segment, once all that was handed in before is done.
// Each step hands some keys over in one transaction, so that none is lost or doubled in
// between.
//
// The rows of the segments that are empty now stay for a while, as those of others: another
// node may have written one lately, and count on it (see known.go).
func (j *Journal) MoveTenant(from, to audience.TenantID, done func(segments []audience.Segment, keys int, err error)) {
	m := &moving{j: j, from: from, to: to, done: done}
	j.barrier(func() { j.behind.put(task{do: m.list, done: m.next}) })
}

// barrier calls f when all that was handed in before it is done, or never will be.
func (j *Journal) barrier(f func()) {
	group := j.intake.until(j.Newest())
	var left atomic.Int32
	left.Store(laneCount)
	arrived := func(error) {
		if left.Add(-1) == 0 {
			f()
		}
	}
	for _, l := range j.lanes {
		l.put(task{do: func(ctx context.Context, _ *pgx.Conn) error { return group.wait(ctx) }, done: arrived})
	}
}

// moving is a MoveTenant under way.
type moving struct {
	audience.Hidden[moving]
	j        *Journal
	from, to audience.TenantID
	done     func([]audience.Segment, int, error)

	segments []audience.Segment // of from, still to do
	moved    []audience.Segment // of to
	keys     int
	parked   bool // the pending keys of the first segment are done, its parked ones are next
}

// list lists the segments of the tenant.
func (m *moving) list(ctx context.Context, conn *pgx.Conn) (err error) {
	m.segments, err = segmentsOf(ctx, conn, m.from)
	return err
}

// next goes on with the next step.
func (m *moving) next(err error) {
	switch {
	case err != nil || len(m.segments) == 0:
		m.done(m.moved, m.keys, err)
	default:
		m.j.behind.put(task{do: m.step, done: m.next})
	}
}

// step moves some keys of the first segment.
func (m *moving) step(ctx context.Context, conn *pgx.Conn) error {
	segment := m.segments[0]
	target := segment
	target.Tenant = m.to
	h := &handover{table: "pending", from: idOf(segment), to: idOf(target), version: m.j.newVersion(), spare: true}
	if m.parked {
		h.table = "parked"
	}
	var some []held
	var given int64
	err := inTransaction(ctx, conn, true, func(tx pgx.Tx) (err error) {
		if err := m.name(ctx, tx, target); err != nil {
			return err
		}
		if err := carryPause(ctx, tx, h.from, h.to); err != nil {
			return err
		}
		if some, err = h.page(ctx, tx); err != nil {
			return err
		}
		if len(some) > 0 {
			_, given, err = h.carryOut(ctx, tx, some)
			return err
		}
		if m.parked {
			_, err = tx.Exec(ctx, `UPDATE segment SET state = NULL WHERE id = $1`, h.from)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case len(some) > 0:
		m.keys += int(given)
	case !m.parked:
		m.parked = true
	default:
		m.moved, m.segments, m.parked = append(m.moved, target), m.segments[1:], false
		m.j.hinting.add(map[segmentID]struct{}{h.to: {}}) // another node may own that tenant
	}
	return nil
}

// name describes the segment that the keys come to.
func (m *moving) name(ctx context.Context, tx pgx.Tx, target audience.Segment) error {
	_, err := tx.Exec(ctx, `INSERT INTO segment (id, tenant, workspace, environment, traffic_type, name) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET seen = now()`,
		idOf(target), target.Tenant[:], target.Workspace, target.Environment, target.TrafficType, target.Name)
	return err
}

// carryPause has the segment of the other tenant paused as this one is, unless it is paused
// itself, in the transaction that gives it the first keys: an operator holds them. That
// Split refuses the one segment says nothing of the other.
func carryPause(ctx context.Context, tx pgx.Tx, from, to segmentID) error {
	var records [2][]byte
	var states [2]journal.SegmentState // of from, of to
	err := tx.QueryRow(ctx, `SELECT (SELECT state FROM segment WHERE id = $1), (SELECT state FROM segment WHERE id = $2)`, from, to).Scan(&records[0], &records[1])
	if err != nil {
		return err
	}
	for i := range states {
		if parseState(records[i], &states[i]) != nil { // it may have been a pause: somebody has to look
			states[i] = journal.SegmentState{Paused: true, PausedSince: time.Now().UTC()}
		}
	}
	if now := time.Now(); !states[0].PausedAt(now) || states[1].PausedAt(now) {
		return nil
	}
	states[0].Parked = states[1].Parked
	carried, err := stateOf(states[0], false)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE segment SET state = $2 WHERE id = $1`, to, carried)
	return err
}

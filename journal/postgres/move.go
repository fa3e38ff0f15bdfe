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
// Each step takes some keys from one tenant and gives them to the other one in one
// transaction, so that none is lost or doubled in between.
func (j *Journal) MoveTenant(from, to audience.TenantID, done func(segments []audience.Segment, keys int, err error)) {
	m := &moving{j: j, from: from, to: to, version: j.newVersion(), done: done}
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
	version  journal.Version
	done     func([]audience.Segment, int, error)

	segments []audience.Segment // of from, still to do
	moved    []audience.Segment // of to
	keys     int
	more     bool // the first of segments has more keys
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

// step moves some keys of the first segment, and its row once it has none.
func (m *moving) step(ctx context.Context, conn *pgx.Conn) error {
	segment := m.segments[0]
	target := segment
	target.Tenant = m.to
	from, to := idOf(segment), idOf(target)
	taken := 0
	var given int64
	err := inTransaction(ctx, conn, true, func(tx pgx.Tx) error {
		taken, given = 0, 0
		if err := m.name(ctx, tx, target); err != nil {
			return err
		}
		if err := carryPause(ctx, tx, from, to); err != nil {
			return err
		}
		for _, table := range []string{"pending", "parked"} {
			n, gave, err := m.take(ctx, tx, table, from, to)
			if err != nil {
				return err
			}
			taken, given = taken+n, given+gave
		}
		if taken > 0 {
			return nil
		}
		_, err := tx.Exec(ctx, `DELETE FROM segment WHERE id = $1`, from)
		return err
	})
	if err != nil {
		return err
	}
	m.keys += int(given)
	if taken == 0 {
		m.moved, m.segments = append(m.moved, target), m.segments[1:]
		m.j.known.remove(from)
		m.j.hinting.add(map[segmentID]struct{}{to: {}}) // another node may own that tenant
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

// take takes keys out of one table, and makes those pending for the other tenant that it has
// neither pending nor parked.
func (m *moving) take(ctx context.Context, tx pgx.Tx, table string, from, to segmentID) (taken int, given int64, err error) {
	rows, err := tx.Query(ctx, `DELETE FROM `+table+` WHERE segment = $1 AND key IN (SELECT key FROM `+table+` WHERE segment = $1 ORDER BY key LIMIT $2)
		RETURNING key, verb`, from, stepKeys)
	if err != nil {
		return 0, 0, err
	}
	var keys [][]byte
	var verbs []int16
	for rows.Next() {
		var key []byte
		var verb int16
		if err := rows.Scan(&key, &verb); err != nil {
			return 0, 0, err
		}
		keys, verbs = append(keys, key), append(verbs, verb)
	}
	if err := rows.Err(); err != nil || len(keys) == 0 {
		return 0, 0, err
	}
	tag, err := tx.Exec(ctx, `INSERT INTO pending (segment, key, ver, verb)
		SELECT $1, k, $2, v FROM unnest($3::bytea[], $4::int2[]) AS n (k, v)
		WHERE NOT EXISTS (SELECT 1 FROM parked q WHERE q.segment = $1 AND q.key = n.k) ORDER BY k
		ON CONFLICT DO NOTHING`, to, int64(m.version), keys, verbs)
	return len(keys), tag.RowsAffected(), err
}

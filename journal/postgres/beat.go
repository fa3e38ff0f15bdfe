package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// alive is a condition of a beat's statements, whose first parameters are this node's number,
// when its life began, and the beat's number: it is not dead, and this is its newest beat. A
// database that was restored, or whose standby was behind, may have forgotten this node and
// have given its number to another one.
const alive = ` EXISTS (SELECT 1 FROM node me WHERE me.id = $1 AND me.started = $2 AND me.beat = $3 AND NOT me.dead) `

// burying is that of the statement before these, with the same parameters: this node's own
// lease lasts, and the clock is as was foreseen. Where the table stood still, or its clock
// was set ahead, leases may be over though nobody was away, and a beat that waited meanwhile
// must not bury the others.
const burying = ` clock_timestamp() <= $4 AND EXISTS (SELECT 1 FROM node me WHERE me.id = $1 AND me.started = $2 AND me.beat < $3 AND NOT me.dead AND me.expires > clock_timestamp()) `

// Beat is placement.Table's: one batch, in one round trip and one transaction. Beats are
// numbered: one that was given up may be under way still, and does nothing where it comes
// after a newer one. What it released this node may own anew by then.
func (j *Journal) Beat(ctx context.Context, b placement.Beat) (view placement.View, err error) {
	if j.ctx.Err() != nil {
		return view, journal.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()
	var sent time.Time
	err = j.onTable(ctx, func() *pgx.Batch {
		j.beats++
		sent = time.Now()
		return j.beat(j.beats, b, &view)
	})
	if err != nil {
		return placement.View{}, err
	}
	j.clock.heard(view.Now, sent, time.Now())
	j.hinting.own(view.Of(j.self))
	return view, nil
}

// beat is the statements of a beat.
func (j *Journal) beat(number int64, b placement.Beat, view *placement.View) *pgx.Batch {
	batch, self := &pgx.Batch{}, int64(j.self)
	if !b.Bury.Foreseen.IsZero() { // before its own lease is renewed
		batch.Queue(`UPDATE node SET dead = true WHERE NOT dead AND id <> $1 AND expires < clock_timestamp() - $5::interval AND`+burying,
			self, j.began, number, b.Bury.Foreseen, b.Bury.Late)
	}
	batch.Queue(`WITH me AS (UPDATE node SET beat = $3, expires = clock_timestamp() + $4, leaving = $5, demand = $6, blocked = $7
			WHERE id = $1 AND started = $2 AND beat < $3 AND NOT dead RETURNING id)
		SELECT clock_timestamp(), count(*) = 0 FROM me`, self, j.began, number, b.Lease, b.Leaving, b.Demand, orNull(b.Blocked)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&view.Now, &view.Dead) })
	if b.Release != (audience.Slots{}) {
		batch.Queue(`UPDATE slot SET owner = 0, epoch = epoch + 1 WHERE owner = $1 AND id = ANY($4) AND`+alive, self, j.began, number, numbers(b.Release))
	}
	if b.Claim != (audience.Slots{}) {
		batch.Queue(`UPDATE slot s SET owner = $1, epoch = epoch + 1 WHERE id = ANY($4) AND`+alive+`
			AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = s.owner AND NOT n.dead)`, self, j.began, number, numbers(b.Claim))
	}
	batch.Queue(`SELECT id, name, egress, version, leaving, expires, demand, blocked FROM node WHERE NOT dead ORDER BY id`).
		Query(func(rows pgx.Rows) (err error) {
			view.Members, err = pgx.CollectRows(rows, member)
			return err
		})
	batch.Queue(`SELECT id, owner FROM slot WHERE owner <> 0`).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id int16
			var owner int32
			if err := rows.Scan(&id, &owner); err != nil {
				return err
			}
			view.Owners[id] = placement.NodeID(owner)
		}
		return rows.Err()
	})
	j.lives.queue(batch)
	return batch
}

// onTable carries out a batch, which is made when its turn has come. Where it fails the
// connection is given up, as what was asked for may be under way there still.
func (j *Journal) onTable(ctx context.Context, made func() *pgx.Batch) error {
	j.beating.Lock()
	defer j.beating.Unlock()
	batch := made()
	err := j.table.do(ctx, func(ctx context.Context, conn *pgx.Conn) error { return conn.SendBatch(ctx, batch).Close() })
	if err != nil {
		j.table.drop()
	}
	return err
}

func member(row pgx.CollectableRow) (m placement.Member, err error) {
	var id int32
	var blocked *time.Time
	err = row.Scan(&id, &m.Name, &m.Egress, &m.Version, &m.Leaving, &m.Expires, &m.Demand, &blocked)
	m.ID = placement.NodeID(id)
	if blocked != nil {
		m.Blocked = *blocked
	}
	return m, err
}

func orNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// Leave is placement.Table's. It is also for after Close: what has to be written by then needs
// the row.
func (j *Journal) Leave(ctx context.Context) error {
	defer j.table.drop()
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE slot SET owner = 0, epoch = epoch + 1 WHERE owner = $1
		AND EXISTS (SELECT 1 FROM node me WHERE me.id = $1 AND me.started = $2 AND NOT me.dead)`, int64(j.self), j.began)
	batch.Queue(`DELETE FROM node WHERE id = $1 AND started = $2`, int64(j.self), j.began)
	return j.onTable(ctx, func() *pgx.Batch { return batch })
}

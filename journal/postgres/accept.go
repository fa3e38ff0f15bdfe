package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

var (
	// errFenced is why a group was not written: it came too late, or this node was declared
	// dead (F1).
	errFenced = errors.New("the change was not written: it waited too long, or another node has declared this one dead")
	// errLate is why a group was not even tried.
	errLate = errors.New("the change was not written: it waited too long for the journal's database")
	// errWornOut is why no group is written any more.
	errWornOut = errors.New("this process has given all its versions: it has to be started again")
	// errUnsure is why a group that was written is not taken for durable (I1). Somebody has
	// canceled the wait for the standby: then the database answers as always, and warns.
	errUnsure = errors.New("the database has written the change, but warned that it may not be kept")
	errAway   = ErrAway // where a pointer is needed
)

// commit writes the groups, one at a time and in their order, until Close.
func (j *Journal) commit() {
	defer j.accept.drop()
	for j.ctx.Err() == nil {
		if j.away.Load() != nil {
			if j.intake.refuse(ErrAway) {
				return
			}
			pause(j.ctx)
			j.lookWhetherBack()
			continue
		}
		g, ended := j.intake.take()
		switch {
		case g != nil:
			j.commitOne(g)
		case ended:
			return
		default:
			select {
			case <-j.intake.wake:
			case <-j.ctx.Done():
			}
		}
	}
	j.intake.refuse(journal.ErrClosed)
}

func (j *Journal) commitOne(g *group) {
	began := time.Now()
	err := j.write(g)
	took := time.Since(began)
	j.metrics.commitSeconds.Observe(took.Seconds())
	j.metrics.commitPosts.Observe(float64(g.posts))
	if err == nil {
		j.hinting.add(g.hints)
	}
	j.intake.end(g, err)
	if g.posts > 1 && j.intake.posts() < g.posts {
		linger(j.ctx, took/2)
	}
}

// linger lets the next group gather a little longer, where the one before had several
// posts: then more will come, and the cost of a statement is divided among more of them.
func linger(ctx context.Context, d time.Duration) {
	const most = 2 * time.Millisecond
	select {
	case <-time.After(min(d, most)):
	case <-ctx.Done():
	}
}

// lookWhetherBack asks the database that did not answer.
func (j *Journal) lookWhetherBack() {
	j.noteAway(j.accept.do(j.ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var standby bool
		var now time.Time
		sent := time.Now()
		if err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), clock_timestamp()`).Scan(&standby, &now); err != nil {
			return err
		}
		if standby {
			_ = conn.Close(ctx)
			return errors.New("the server is a standby")
		}
		j.clock.heard(now, sent, time.Now()) // it may be another server, with another clock
		return nil
	}))
}

// noteAway notes whether the database answers.
func (j *Journal) noteAway(err error) {
	was := j.away.Load() != nil
	switch {
	case err == nil && was:
		j.away.Store(nil)
		j.metrics.away.Set(0)
		j.log.Info().Msg("the journal's database answers again: changes are taken")
	case err != nil && !was && j.ctx.Err() == nil:
		j.away.Store(&errAway)
		j.metrics.away.Set(1)
		j.log.Error().Err(err).Msg("the journal's database does not answer: changes are refused, and nothing is delivered until it is back")
	}
}

// write writes a group: all of it, or nothing.
func (j *Journal) write(g *group) error {
	if j.o.Refuse != nil {
		if err := j.o.Refuse(); err != nil {
			return err
		}
	}
	within := timeFor(len(g.rows), acceptWithin)
	deadline := j.clock.at(g.began).Add(within)
	switch {
	case j.o.Without.Deadline, j.o.Moving:
		deadline = deadline.AddDate(1, 0, 0)
	case time.Since(g.began) > within:
		return errLate
	}
	if j.Newest().Counter() == mostCounter {
		return errWornOut
	}
	tenants, segments := j.intake.unwritten(), j.known.fresh(g, time.Now())
	batch, expect := j.statements(g, deadline, tenants, segments)
	err := j.accept.doWithin(j.ctx, timeFor(len(g.rows), acceptTime), func(ctx context.Context, conn *pgx.Conn) error {
		results := conn.SendBatch(ctx, batch)
		defer func() { _ = results.Close() }()
		for _, rows := range expect {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			if rows >= 0 && tag.RowsAffected() != rows {
				return errFenced
			}
		}
		return results.Close()
	})
	if err != nil {
		if j.accept.conn == nil {
			j.noteAway(err)
		}
		return fmt.Errorf("write changes: %w", err)
	}
	if j.accept.warned {
		return errUnsure
	}
	j.intake.wrote(tenants)
	j.known.wrote(tenants, segments, time.Now())
	return nil
}

// timeFor is how long something may take with so many rows that takes a usual group so long at
// most. Posts of a usual group are answered in time for the lambda. One that has more keys has
// a group of its own, and more time, as otherwise it could never be taken; the others have to
// come again meanwhile.
func timeFor(rows int, usual time.Duration) time.Duration {
	return usual * time.Duration(1+max(rows-1, 0)/mostRows)
}

// fence is F1, at the head of each statement of a group: it has a row while this node is not
// dead and the group not too late. It is looked at once for all rows.
const fence = `WITH fence AS MATERIALIZED (SELECT 1 FROM node WHERE id = $1 AND started = $3 AND NOT dead AND clock_timestamp() < $2) `

// fenceOfMove is that of a move, whose changes are never too late: whoever declares it dead
// waits for those that are under way, as they have locked its row.
const fenceOfMove = `WITH fence AS MATERIALIZED (SELECT 1 FROM node WHERE id = $1 AND started = $3 AND NOT dead AND clock_timestamp() < $2 FOR SHARE) `

// statements are those of a group, which one transaction carries, and how many rows each
// has to write; -1: any number.
func (j *Journal) statements(g *group, deadline time.Time, tenants []audience.Tenant, segments []segmentID) (batch *pgx.Batch, expect []int64) {
	batch = &pgx.Batch{}
	fence := fence
	if j.o.Moving {
		fence = fenceOfMove
	}
	fenced := func(rows int64, sql string, args ...any) {
		batch.Queue(fence+sql, append([]any{int64(j.self), deadline, j.began}, args...)...)
		expect = append(expect, rows)
	}
	if within := timeFor(len(g.rows), acceptTime); within > acceptTime {
		batch.Queue(`SELECT set_config('statement_timeout', $1, true)`, strconv.FormatInt(within.Milliseconds(), 10))
		expect = append(expect, -1)
	}
	if len(tenants) > 0 {
		j.describeTenants(fenced, tenants)
	}
	if len(segments) > 0 {
		describeSegments(fenced, segments, g.segments)
	}
	if len(g.rows) > 0 {
		all := g.sorted()
		fenced(int64(len(all.keys)), `INSERT INTO pending (segment, key, ver, verb)
			SELECT s, k, w, v FROM fence, unnest($4::uuid[], $5::bytea[], $6::int8[], $7::int2[]) AS n (s, k, w, v)
			ON CONFLICT (segment, key) DO UPDATE SET ver = EXCLUDED.ver, verb = EXCLUDED.verb`, all.segments, all.keys, all.versions, all.verbs)
		// A statement of its own also sees what was parked while the one above waited for a
		// row. That one may have been fenced off: then its versions are nowhere.
		batch.Queue(`DELETE FROM parked p USING unnest($1::uuid[], $2::bytea[], $3::int8[]) AS n (s, k, w)
			WHERE p.segment = n.s AND p.key = n.k
			AND EXISTS (SELECT 1 FROM pending q WHERE q.segment = n.s AND q.key = n.k AND q.ver = n.w)`, all.segments, all.keys, all.versions)
		expect = append(expect, -1)
	}
	return batch, expect
}

// describeTenants writes tokens, in the order of the tenants.
func (j *Journal) describeTenants(fenced func(int64, string, ...any), tenants []audience.Tenant) {
	slices.SortFunc(tenants, func(a, b audience.Tenant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	ids, slots, tokens := make([][]byte, len(tenants)), make([]int16, len(tenants)), make([][]byte, len(tenants))
	for i, t := range tenants {
		ids[i], slots[i], tokens[i] = t.ID[:], int16(t.ID.Slot()), j.vault.Seal(t)
	}
	fenced(int64(len(tenants)), `INSERT INTO tenant (id, slot, token)
		SELECT i, s, t FROM fence, unnest($4::bytea[], $5::int2[], $6::bytea[]) AS n (i, s, t)
		ON CONFLICT (id) DO UPDATE SET token = EXCLUDED.token, seen = now()`, ids, slots, tokens)
}

// describeSegments writes the names of segments, in the order of their numbers.
func describeSegments(fenced func(int64, string, ...any), ids []segmentID, names map[segmentID]audience.Segment) {
	slices.SortFunc(ids, func(a, b segmentID) int { return bytes.Compare(a[:], b[:]) })
	tenants, texts := make([][]byte, len(ids)), [4][]string{}
	for i, id := range ids {
		s := names[id]
		tenants[i] = s.Tenant[:]
		for column, text := range []string{s.Workspace, s.Environment, s.TrafficType, s.Name} {
			texts[column] = append(texts[column], text)
		}
	}
	fenced(int64(len(ids)), `INSERT INTO segment (id, tenant, workspace, environment, traffic_type, name)
		SELECT i, t, w, e, y, n FROM fence, unnest($4::uuid[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[]) AS n (i, t, w, e, y, n)
		ON CONFLICT (id) DO UPDATE SET seen = now()`, ids, tenants, texts[0], texts[1], texts[2], texts[3])
}

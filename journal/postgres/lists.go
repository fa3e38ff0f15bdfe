package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// pageRows is how many rows a list reads at once.
const pageRows = 1_000

// numbers are slots as the database takes them.
func numbers(slots audience.Slots) (all []int16) {
	for slot := range slots.All() {
		all = append(all, int16(slot))
	}
	return all
}

// paged lists what a query returns, which takes the id after which to begin and how many
// rows to give.
func paged[T any](j *Journal, doing string, read func(ctx context.Context, conn *pgx.Conn, after []byte) (items []T, last []byte, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		after := []byte{}
		for {
			var items []T
			var last []byte
			err := j.ask(func(ctx context.Context, conn *pgx.Conn) (err error) {
				items, last, err = read(ctx, conn, after)
				return err
			})
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				yield(*new(T), fmt.Errorf("%s: %w", doing, err))
				return
			}
			if last == nil {
				return
			}
			after = last
		}
	}
}

// Tenants lists the tenants of the slots that have a token.
func (j *Journal) Tenants(of audience.Slots) iter.Seq2[journal.KnownTenant, error] {
	type item struct {
		journal.KnownTenant
		err error
	}
	list := paged(j, "read tenants", func(ctx context.Context, conn *pgx.Conn, after []byte) (items []item, last []byte, err error) {
		rows, err := conn.Query(ctx, `SELECT id, token, state FROM tenant WHERE slot = ANY($1) AND id > $2 AND token IS NOT NULL ORDER BY id LIMIT $3`, numbers(of), after, pageRows)
		if err != nil {
			return nil, nil, err
		}
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i item, err error) {
			var id, token, state []byte
			if err := row.Scan(&id, &token, &state); err != nil {
				return i, err
			}
			last = id
			i.Tenant, i.err = j.vault.Open(audience.TenantID(id), token)
			i.Tenant.ID = audience.TenantID(id)
			i.err = errors.Join(i.err, parseState(state, &i.State))
			return i, nil
		})
		return items, unlessLast(last, len(items)), err
	})
	return func(yield func(journal.KnownTenant, error) bool) {
		for i, err := range list {
			if !yield(i.KnownTenant, errors.Join(err, i.err)) {
				return
			}
		}
	}
}

// unlessLast is where the next page begins; nil: this one was the last.
func unlessLast(last []byte, n int) []byte {
	if n < pageRows {
		return nil
	}
	return last
}

// Proven lists the tenants of the slots that Prove was called for.
func (j *Journal) Proven(of audience.Slots) iter.Seq2[audience.TenantID, error] {
	return paged(j, "read proven tenants", func(ctx context.Context, conn *pgx.Conn, after []byte) (items []audience.TenantID, last []byte, err error) {
		rows, err := conn.Query(ctx, `SELECT id FROM proven WHERE slot = ANY($1) AND id > $2 ORDER BY id LIMIT $3`, numbers(of), after, pageRows)
		if err != nil {
			return nil, nil, err
		}
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (id audience.TenantID, err error) {
			err = row.Scan(&last)
			copy(id[:], last)
			return id, err
		})
		return items, unlessLast(last, len(items)), err
	})
}

// segmentColumns are those of a segment's row by which it is listed: pending keys are counted up
// to fewKeys.
const (
	fewKeys        = 8
	segmentColumns = `s.id, s.tenant, s.workspace, s.environment, s.traffic_type, s.name, s.state,
		(SELECT count(*) FROM (SELECT 1 FROM pending p WHERE p.segment = s.id LIMIT 9) few),
		EXISTS (SELECT 1 FROM parked q WHERE q.segment = s.id)`
)

// segmentItem is a segment of a list, or why its record cannot be read.
type segmentItem struct {
	id segmentID
	journal.Listed
	err error
}

func listed(row pgx.CollectableRow) (l segmentItem, err error) {
	var tenant, state []byte
	if err = row.Scan(&l.id, &tenant, &l.Segment.Workspace, &l.Segment.Environment, &l.Segment.TrafficType, &l.Segment.Name, &state, &l.Keys, &l.Parked); err != nil {
		return l, err
	}
	copy(l.Segment.Tenant[:], tenant)
	l.Pending, l.MoreKeys = l.Keys > 0, l.Keys > fewKeys
	l.Keys = min(l.Keys, fewKeys)
	l.err = parseState(state, &l.State)
	return l, nil
}

// segmentsFrom reads a page of segments, and the number after which the next page begins.
func segmentsFrom(ctx context.Context, conn *pgx.Conn, where string, args ...any) (items []segmentItem, last []byte, err error) {
	rows, err := conn.Query(ctx, fmt.Sprintf(`SELECT %s FROM segment s WHERE %s ORDER BY s.id LIMIT %d`, segmentColumns, where, pageRows), args...)
	if err != nil {
		return nil, nil, err
	}
	items, err = pgx.CollectRows(rows, listed)
	if n := len(items); n == pageRows {
		last = items[n-1].id[:]
	}
	return items, last, err
}

// Segments lists the segments of the slots.
func (j *Journal) Segments(of audience.Slots) iter.Seq2[journal.Listed, error] {
	return func(yield func(journal.Listed, error) bool) {
		for slot := range of.All() {
			list := paged(j, "read segments", func(ctx context.Context, conn *pgx.Conn, after []byte) ([]segmentItem, []byte, error) {
				from, to := within(slot)
				copy(from[:], after)
				return segmentsFrom(ctx, conn, `s.id > $1 AND s.id <= $2`, from, to)
			})
			for item, err := range list {
				if !yield(item.Listed, errors.Join(err, item.err)) {
					return
				}
			}
		}
	}
}

// within is the numbers before the first and of the last segment that a slot can have: no
// hash is all zeros.
func within(slot audience.Slot) (from, to segmentID) {
	from[0] = byte(slot)
	copy(to[:], bytes.Repeat([]byte{0xff}, len(to)))
	to[0] = byte(slot)
	return from, to
}

// SegmentsOf lists the segments of a tenant.
func (j *Journal) SegmentsOf(tenant audience.TenantID) iter.Seq2[journal.Listed, error] {
	list := paged(j, "read segments of a tenant", func(ctx context.Context, conn *pgx.Conn, after []byte) ([]segmentItem, []byte, error) {
		var from segmentID
		copy(from[:], after)
		return segmentsFrom(ctx, conn, `s.tenant = $1 AND s.id > $2`, tenant[:], from)
	})
	return func(yield func(journal.Listed, error) bool) {
		for item, err := range list {
			if !yield(item.Listed, errors.Join(err, item.err)) {
				return
			}
		}
	}
}

// segmentsOf is the names of a tenant's segments.
func segmentsOf(ctx context.Context, conn *pgx.Conn, tenant audience.TenantID) ([]audience.Segment, error) {
	rows, err := conn.Query(ctx, `SELECT workspace, environment, traffic_type, name FROM segment WHERE tenant = $1 ORDER BY id`, tenant[:])
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s audience.Segment, err error) {
		s.Tenant = tenant
		err = row.Scan(&s.Workspace, &s.Environment, &s.TrafficType, &s.Name)
		return s, err
	})
}

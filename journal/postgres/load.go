package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// Load reads a page, once all that the caller knows of is written or never will be.
func (j *Journal) Load(l journal.Load) {
	id, page := idOf(l.Segment), journal.Page{}
	wait := j.intake.until(l.NotBefore)
	j.laneOf(id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) (err error) {
			if err := wait.wait(ctx); err != nil {
				return err
			}
			page, err = j.load(ctx, conn, id, l)
			return err
		},
		done: func(err error) {
			if err != nil {
				page = journal.Page{Err: err}
			}
			l.Done(page)
		},
	})
}

func (j *Journal) load(ctx context.Context, conn *pgx.Conn, id segmentID, l journal.Load) (page journal.Page, err error) {
	var state []byte
	err = conn.QueryRow(ctx, `SELECT s.state, EXISTS (SELECT 1 FROM parked WHERE segment = $1)
		FROM (SELECT 1) one LEFT JOIN segment s ON s.id = $1`, id).Scan(&state, &page.Parked)
	if err != nil {
		return page, err
	}
	if err := parseState(state, &page.State); err != nil {
		return page, err
	}
	page.Newest, page.Next, page.More = j.Newest(), l.After, true
	if l.Limit == 0 {
		return page, nil
	}
	rows, err := conn.Query(ctx, `SELECT key, verb, ver FROM pending WHERE segment = $1 AND key > $2 ORDER BY key LIMIT $3`,
		id, []byte(l.After.Encoded()), l.Limit+1)
	if err != nil {
		return page, err
	}
	page.Entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e journal.Entry, err error) {
		var encoded []byte
		var verb int16
		var version int64
		if err = row.Scan(&encoded, &verb, &version); err == nil {
			e.Verb, e.Version = audience.Verb(verb), journal.Version(version)
			e.Key, err = journal.DecodeKey(encoded)
		}
		return e, err
	})
	if page.More = len(page.Entries) > l.Limit; page.More {
		page.Entries = page.Entries[:l.Limit]
	}
	if n := len(page.Entries); n > 0 {
		page.Next = journal.CursorAt(page.Entries[n-1].Key)
	}
	page.Newest = j.Newest()
	return page, err
}

// parseState reads a state; null is the zero one.
func parseState(state []byte, into any) error {
	if state == nil {
		return nil
	}
	if err := json.Unmarshal(state, into); err != nil {
		return errors.New("a state's record is damaged")
	}
	return nil
}

// Parked reads a page of parked keys.
func (j *Journal) Parked(q journal.ParkedQuery) {
	id, page := idOf(q.Segment), journal.ParkedPage{}
	j.laneOf(id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `SELECT key, verb, refusal FROM parked WHERE segment = $1 AND key > $2 ORDER BY key LIMIT $3`,
				id, []byte(q.After.Encoded()), q.Limit+1)
			if err != nil {
				return err
			}
			page.Entries, err = pgx.CollectRows(rows, parkedEntry)
			if page.More = len(page.Entries) > q.Limit; page.More {
				page.Entries = page.Entries[:q.Limit]
			}
			page.Next = q.After
			if n := len(page.Entries); n > 0 {
				page.Next = journal.CursorAt(page.Entries[n-1].Key)
			}
			return err
		},
		done: func(err error) {
			if err != nil {
				page = journal.ParkedPage{Err: err}
			}
			q.Done(page)
		},
	})
}

func parkedEntry(row pgx.CollectableRow) (e journal.ParkedEntry, err error) {
	var encoded, refusal []byte
	var verb int16
	if err = row.Scan(&encoded, &verb, &refusal); err != nil {
		return e, err
	}
	e.Verb = audience.Verb(verb)
	if e.Key, err = journal.DecodeKey(encoded); err != nil {
		return e, err
	}
	if err := json.Unmarshal(refusal, &e.Refusal); err != nil {
		return e, errors.New("a parked key's record is damaged")
	}
	return e, nil
}

// mostCounted is where the count of pending keys stops: a million take a tenth of a second,
// in which the lane does nothing else.
const mostCounted = 1_000_000

// Count counts the keys of a segment, in the segment's order.
func (j *Journal) Count(c journal.Count) {
	id, counts := idOf(c.Segment), journal.Counts{}
	wait := j.intake.until(j.Newest())
	j.laneOf(id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			if err := wait.wait(ctx); err != nil {
				return err
			}
			return conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT 1 FROM pending WHERE segment = $1 LIMIT $2) p),
				(SELECT count(*) FROM (SELECT 1 FROM parked WHERE segment = $1 LIMIT $3) q)`, id, mostCounted, journal.MaxParkedCount).Scan(&counts.Pending, &counts.Parked)
		},
		done: func(err error) {
			if err != nil {
				counts.Err = fmt.Errorf("count keys: %w", err)
			}
			c.Done(counts)
		},
	})
}

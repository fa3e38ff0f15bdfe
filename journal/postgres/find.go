package postgres

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

const (
	findLimit = 100 // sightings of a page where no limit was given
	findLooks = 512 // segments that one page looks into
)

// Find goes through the segments first, for what is pending and parked, and then through
// the receipts, day by day from the last one and in each segment by segment. It sees every
// write that was handed in before it.
func (j *Journal) Find(f journal.Find) {
	f.Limit = cmp.Or(f.Limit, findLimit)
	s := &search{Find: f, j: j}
	j.barrier(func() {
		j.behind.put(task{do: s.run, done: func(err error) {
			if err != nil {
				s.found = journal.Found{Err: err}
			}
			f.Done(s.found)
		}})
	})
}

// search is one page of a search.
type search struct {
	journal.Find
	j     *Journal
	found journal.Found
}

// place is where a search goes on: behind a segment, among what waits (day zero) or among
// the receipts of a day. It also has whether the segments that are meant were come upon.
type place struct {
	day     time.Time
	segment segmentID
	known   bool
}

func (p place) cursor() journal.FindCursor {
	day := int64(0)
	if !p.day.IsZero() {
		day = p.day.Unix()
	}
	known := byte(0)
	if p.known {
		known = 1
	}
	return journal.FindCursor(base64.RawURLEncoding.EncodeToString(append(append(binary.BigEndian.AppendUint64(nil, uint64(day)), p.segment[:]...), known)))
}

func parsePlace(c journal.FindCursor) (p place, err error) {
	if c == "" {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(text) != 8+len(p.segment)+1 {
		return p, journal.ErrBadCursor
	}
	if day := int64(binary.BigEndian.Uint64(text)); day != 0 {
		p.day = time.Unix(day, 0).UTC()
	}
	copy(p.segment[:], text[8:])
	p.known = text[len(text)-1] == 1
	return p, nil
}

func (s *search) run(ctx context.Context, conn *pgx.Conn) error {
	s.found = journal.Found{}
	at, err := parsePlace(s.After)
	if err != nil {
		s.found.Err = err
		return nil
	}
	s.found.Known = at.known
	days, err := partitions(ctx, conn)
	if err != nil {
		return err
	}
	slices.SortFunc(days, func(a, b time.Time) int { return b.Compare(a) })
	if len(days) > 0 && s.j.o.ReceiptsMaxAge > 0 {
		s.found.Since = days[len(days)-1]
	}
	if at.day.IsZero() {
		if ended, err := s.walk(ctx, conn, at, s.waiting); err != nil || !ended {
			return err
		}
		at = place{}
	}
	for _, day := range days {
		switch {
		case !at.day.IsZero() && day.After(at.day):
			continue // done by an earlier page
		case !day.Equal(at.day):
			at = place{day: day}
		}
		if ended, err := s.walk(ctx, conn, at, s.delivered); err != nil || !ended {
			return err
		}
	}
	return nil
}

// walk looks into one segment after the other, from a place on. It reports false where the
// page ends before they do.
func (s *search) walk(ctx context.Context, conn *pgx.Conn, at place, look func(context.Context, *pgx.Conn, time.Time, audience.Segment) error) (ended bool, err error) {
	segments, err := s.segments(ctx, conn, at)
	if err != nil {
		return false, err
	}
	for _, segment := range segments {
		if len(s.found.Sightings) >= s.Limit {
			at.known = s.found.Known
			s.found.More, s.found.Next = true, at.cursor()
			return false, nil
		}
		if err := look(ctx, conn, at.day, segment); err != nil {
			return false, err
		}
		at.segment = idOf(segment)
	}
	if len(segments) == findLooks {
		at.known = s.found.Known
		s.found.More, s.found.Next = true, at.cursor()
		return false, nil
	}
	return true, nil
}

// segments are those that are looked into, behind a place, findLooks of them at most.
func (s *search) segments(ctx context.Context, conn *pgx.Conn, at place) ([]audience.Segment, error) {
	const query = `SELECT tenant, workspace, environment, traffic_type, name FROM segment WHERE id > $1`
	var rows pgx.Rows
	var err error
	switch like := s.Like; {
	case s.Segment != (audience.Segment{}):
		return s.only(ctx, conn, at)
	case like != (audience.Segment{}):
		rows, err = conn.Query(ctx, query+` AND tenant = $3 AND environment = $4 AND name = $5 AND $6 IN ('', workspace) AND $7 IN ('', traffic_type) ORDER BY id LIMIT $2`,
			at.segment, findLooks, like.Tenant[:], like.Environment, like.Name, like.Workspace, like.TrafficType)
	case s.Tenant == (audience.TenantID{}):
		rows, err = conn.Query(ctx, query+` ORDER BY id LIMIT $2`, at.segment, findLooks)
	default:
		rows, err = conn.Query(ctx, query+` AND tenant = $3 ORDER BY id LIMIT $2`, at.segment, findLooks, s.Tenant[:])
	}
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (found audience.Segment, err error) {
		var tenant []byte
		err = row.Scan(&tenant, &found.Workspace, &found.Environment, &found.TrafficType, &found.Name)
		copy(found.Tenant[:], tenant)
		return found, err
	})
	s.found.Known = s.found.Known || len(all) > 0 && s.Like != (audience.Segment{})
	return all, err
}

// only is the one segment of a search, unless it was looked into before.
func (s *search) only(ctx context.Context, conn *pgx.Conn, at place) ([]audience.Segment, error) {
	id := idOf(s.Segment)
	if at.segment == id {
		return nil, nil
	}
	var known bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM segment WHERE id = $1)`, id).Scan(&known)
	s.found.Known = s.found.Known || known
	return []audience.Segment{s.Segment}, err
}

// waiting looks for the key among what is pending and parked.
func (s *search) waiting(ctx context.Context, conn *pgx.Conn, _ time.Time, segment audience.Segment) error {
	id, key := idOf(segment), journal.AppendKey(nil, s.Key)
	var verb int16
	var version int64
	err := conn.QueryRow(ctx, `SELECT verb, ver FROM pending WHERE segment = $1 AND key = $2`, id, key).Scan(&verb, &version)
	if err == nil {
		at, _ := s.j.Since(journal.Version(version))
		s.found.Sightings = append(s.found.Sightings, journal.Sighting{Segment: segment, State: journal.Pending, Verb: audience.Verb(verb), At: at, Version: journal.Version(version)})
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	rows, err := conn.Query(ctx, `SELECT key, verb, refusal FROM parked WHERE segment = $1 AND key = $2`, id, key)
	if err != nil {
		return err
	}
	parked, err := pgx.CollectRows(rows, parkedEntry)
	for _, p := range parked {
		s.found.Sightings = append(s.found.Sightings, journal.Sighting{Segment: segment, State: journal.Parked, Verb: p.Verb, At: p.Refusal.At, Refusal: p.Refusal})
	}
	return err
}

// delivered looks for the key in the receipts of a day.
func (s *search) delivered(ctx context.Context, conn *pgx.Conn, day time.Time, segment audience.Segment) error {
	seen, err := findReceipts(ctx, conn, day, segment, s.Key)
	s.found.Sightings = append(s.found.Sightings, seen...)
	return err
}

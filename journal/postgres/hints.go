package postgres

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
)

// Hint is a segment that has keys which its owner may not know of.
type Hint struct {
	Tenant  audience.Tenant // with its token
	Segment audience.Segment
}

const (
	hintEvery = 150 * time.Millisecond  // hints are gathered for so long
	pollEvery = time.Second             // this node looks for hints of others
	scanEvery = 2500 * time.Millisecond // and for segments that have keys: hints may be lost
	scanShare = 20                      // a scan that takes long is repeated after so many times that
)

// hinting is the hints to leave, and the slots of which this node takes them.
type hinting struct {
	mu    sync.Mutex
	leave map[segmentID]struct{}
	owned audience.Slots
}

// add notes segments that another node is to deliver.
func (h *hinting) add(segments map[segmentID]struct{}) {
	if len(segments) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leave == nil {
		h.leave = map[segmentID]struct{}{}
	}
	for id := range segments {
		h.leave[id] = struct{}{}
	}
}

// own notes which slots are this node's.
func (h *hinting) own(slots audience.Slots) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owned = slots
}

// take is what is to be left, in order.
func (h *hinting) take() (ids []segmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.leave {
		ids = append(ids, id)
	}
	h.leave = nil
	slices.SortFunc(ids, func(a, b segmentID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

func (h *hinting) slots() audience.Slots {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.owned
}

// keepHints leaves hints and looks for them, until Close. One that is lost costs time
// alone: the scan finds its segment.
func (j *Journal) keepHints() {
	on := newLine(j.config, laneTime)
	defer on.drop()
	ticker := time.NewTicker(hintEvery)
	defer ticker.Stop()
	var polled, scanAt time.Time
	for {
		select {
		case <-j.idling:
			return
		case <-ticker.C:
		}
		if j.away.Load() != nil {
			continue
		}
		now, owned := time.Now(), j.hinting.slots()
		if ids := j.hinting.take(); len(ids) > 0 {
			if on.do(j.ctx, func(ctx context.Context, conn *pgx.Conn) error { return leaveHints(ctx, conn, ids) }) != nil {
				continue
			}
		}
		if owned == (audience.Slots{}) || j.o.Hinted == nil {
			continue
		}
		if now.Sub(polled) >= pollEvery {
			polled = now
			j.tellHints(on, `DELETE FROM hint WHERE slot = ANY($1) RETURNING segment`, numbers(owned))
		}
		if !now.Before(scanAt) {
			j.scan(on, owned)
			scanAt = time.Now().Add(max(scanEvery, scanShare*time.Since(now)))
		}
	}
}

func leaveHints(ctx context.Context, conn *pgx.Conn, ids []segmentID) error {
	slots := make([]int16, len(ids))
	for i, id := range ids {
		slots[i] = int16(id[0])
	}
	_, err := conn.Exec(ctx, `INSERT INTO hint (slot, segment) SELECT * FROM unnest($1::int2[], $2::uuid[]) ON CONFLICT DO NOTHING`, slots, ids)
	return err
}

// tellHints tells of the segments that a statement returns.
func (j *Journal) tellHints(on *line, found string, args ...any) {
	var hints []told
	err := on.do(j.ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `WITH found AS (`+found+`)
			SELECT s.tenant, s.workspace, s.environment, s.traffic_type, s.name, t.token
			FROM found f JOIN segment s ON s.id = f.segment JOIN tenant t ON t.id = s.tenant WHERE t.token IS NOT NULL`, args...)
		if err != nil {
			return err
		}
		hints, err = pgx.CollectRows(rows, j.hint)
		return err
	})
	if err != nil {
		j.log.Debug().Err(err).Msg("hints could not be read; the next scan finds what they told of")
	}
	for _, h := range hints {
		if h.err != nil {
			j.log.Debug().Err(h.err).Msg("a segment has keys, but its tenant's token cannot be read")
			continue
		}
		j.o.Hinted(h.Hint)
	}
}

// told is a hint, or why it cannot be given: one record that is damaged is to hold up no
// other tenant (I6).
type told struct {
	Hint
	err error
}

func (j *Journal) hint(row pgx.CollectableRow) (h told, err error) {
	var tenant, token []byte
	if err := row.Scan(&tenant, &h.Segment.Workspace, &h.Segment.Environment, &h.Segment.TrafficType, &h.Segment.Name, &token); err != nil {
		return h, err
	}
	copy(h.Segment.Tenant[:], tenant)
	h.Tenant, h.err = j.vault.Open(h.Segment.Tenant, token)
	return h, nil
}

// scan finds the segments of the slots that have pending keys. It goes from one to the next
// in the index, so that it takes a step for each of them, and none for their keys.
func (j *Journal) scan(on *line, owned audience.Slots) {
	froms, tos := bounds(owned)
	j.tellHints(on, `SELECT found.segment FROM `+ranges+`, LATERAL (
		WITH RECURSIVE step (segment) AS (
			(SELECT p.segment FROM pending p WHERE p.segment > lo AND p.segment <= hi ORDER BY p.segment LIMIT 1)
			UNION ALL
			SELECT (SELECT p.segment FROM pending p WHERE p.segment > step.segment AND p.segment <= hi ORDER BY p.segment LIMIT 1)
			FROM step WHERE step.segment IS NOT NULL)
		SELECT segment FROM step WHERE segment IS NOT NULL) found`, froms, tos)
}

// ranges are the segments of slots as a statement goes through them, whose first parameters
// are those of bounds.
const ranges = `unnest($1::uuid[], $2::uuid[]) AS r (lo, hi)`

// bounds are the runs of the slots.
func bounds(slots audience.Slots) (froms, tos []segmentID) {
	for from, to := range runs(slots) {
		froms, tos = append(froms, from), append(tos, to)
	}
	return froms, tos
}

// runs are the slots as few ranges of segments' numbers: each from before the first to the
// last.
func runs(slots audience.Slots) func(yield func(from, to segmentID) bool) {
	return func(yield func(from, to segmentID) bool) {
		for slot := 0; slot < audience.SlotCount; slot++ {
			if !slots.Has(audience.Slot(slot)) {
				continue
			}
			from, to := within(audience.Slot(slot))
			for slot+1 < audience.SlotCount && slots.Has(audience.Slot(slot+1)) {
				slot++
				_, to = within(audience.Slot(slot))
			}
			if !yield(from, to) {
				return
			}
		}
	}
}

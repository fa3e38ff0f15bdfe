package mover

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"iter"

	"audiences/audience"
	"audiences/journal"
)

// Digest stands for keys with their verbs, and tells none: it is another one in each move.
type Digest [sha256.Size]byte

// String is the beginning of the digest, which is enough to compare two by eye.
func (d Digest) String() string { return hex.EncodeToString(d[:8]) }

// Sum is what one side has of a segment, or of all.
type Sum struct {
	Pending, Parked int
	Digest          Digest // over segments, keys, verbs and refusals, in their order
}

// SegmentReport is one segment on both sides.
type SegmentReport struct {
	Segment  audience.Segment
	From, To Sum
}

// Report is what was found on both sides.
type Report struct {
	Segments                []SegmentReport // that have keys or a state, in order
	From, To                Sum
	Tenants, Proven, Events int // of the source, all of them found at the target
}

// verify reads both sides and compares them.
func (m *Move) verify(ctx context.Context) (report Report, err error) {
	m.begin("Comparing")
	segments := map[audience.Segment]bool{}
	states := map[audience.Segment][2]journal.SegmentState{}
	for side, s := range []Side{m.from, m.to} {
		for listed, err := range s.Segments(audience.AllSlots()) {
			if err != nil {
				return report, fmt.Errorf("list segments in %s: %w", s.Place, err)
			}
			if !holds(listed) {
				continue
			}
			segments[listed.Segment] = true
			if listed.State != (journal.SegmentState{}) {
				pair := states[listed.Segment]
				pair[side] = listed.State
				states[listed.Segment] = pair
			}
		}
	}
	for _, segment := range sorted(segments) {
		report.Segments = append(report.Segments, SegmentReport{Segment: segment})
	}
	if err := each(ctx, pointers(report.Segments), m.compare); err != nil {
		return report, err
	}
	report.From, report.To = m.total(report.Segments, func(r SegmentReport) Sum { return r.From }), m.total(report.Segments, func(r SegmentReport) Sum { return r.To })
	for _, r := range report.Segments {
		if r.From != r.To {
			return report, fmt.Errorf("%w: segment %s/%s of tenant %s has %d pending and %d parked keys in %s, %d and %d in %s", ErrDiffers,
				r.Segment.Environment, r.Segment.Name, r.Segment.Tenant, r.From.Pending, r.From.Parked, m.from.Place, r.To.Pending, r.To.Parked, m.to.Place)
		}
		if pair := states[r.Segment]; text(stateAsKept(pair[0])) != text(stateAsKept(pair[1])) {
			return report, fmt.Errorf("%w in the state of segment %s/%s of tenant %s", ErrDiffers, r.Segment.Environment, r.Segment.Name, r.Segment.Tenant)
		}
	}
	return report, m.verifyRest(&report)
}

func pointers[T any](items []T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range items {
			if !yield(&items[i]) {
				return
			}
		}
	}
}

func (m *Move) compare(ctx context.Context, r *SegmentReport) (err error) {
	if r.From, err = m.sum(ctx, m.from, r.Segment); err != nil {
		return err
	}
	r.To, err = m.sum(ctx, m.to, r.Segment)
	m.keys.Add(int64(r.From.Pending + r.From.Parked))
	return err
}

// verifyRest compares what is not in segments. More than the source has is no difference:
// tenants without keys, and older events, are of a move the other way.
func (m *Move) verifyRest(report *Report) error {
	from, err := m.from.tenants()
	if err != nil {
		return err
	}
	to, err := m.to.tenants()
	if err != nil {
		return err
	}
	for id, known := range from {
		if at, there := to[id]; !there || at != known {
			return fmt.Errorf("%w in tenant %s", ErrDiffers, id)
		}
	}
	report.Tenants = len(from)
	if report.Proven, err = contained(m.from.Proven(audience.AllSlots()), m.to.Proven(audience.AllSlots()), func(id audience.TenantID) audience.TenantID { return id }); err != nil {
		return fmt.Errorf("proven tenants: %w", err)
	}
	if report.Events, err = contained(m.from.Events(), m.to.Events(), func(e journal.Event) string { return string(e.Text) }); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	return nil
}

// contained counts one list, all of which must be in the other.
func contained[T any, K comparable](in, of iter.Seq2[T, error], key func(T) K) (n int, err error) {
	all := map[K]bool{}
	for item, err := range of {
		if err != nil {
			return 0, err
		}
		all[key(item)] = true
	}
	for item, err := range in {
		switch {
		case err != nil:
			return n, err
		case !all[key(item)]:
			return n, ErrDiffers
		}
		n++
	}
	return n, nil
}

// sum reads one segment.
func (m *Move) sum(ctx context.Context, s Side, segment audience.Segment) (sum Sum, err error) {
	d := m.digesting()
	d.add([]byte(text(segment.Tenant[:])), []byte(text([]string{segment.Workspace, segment.Environment, segment.TrafficType, segment.Name})))
	var key []byte
	err = s.pending(ctx, segment, func(page journal.Page) error {
		for _, e := range page.Entries {
			key = journal.AppendKey(key[:0], e.Key)
			d.add([]byte{'k', byte(e.Verb)}, key)
			sum.Pending++
		}
		return nil
	})
	if err != nil {
		return sum, err
	}
	err = s.parked(ctx, segment, func(entries []journal.ParkedEntry) error {
		for _, e := range entries {
			key = journal.AppendKey(key[:0], e.Key)
			d.add([]byte{'p', byte(e.Verb)}, key, []byte(text(e.Refusal)))
			sum.Parked++
		}
		return nil
	})
	sum.Digest = d.sum()
	return sum, err
}

// total is the sum of all segments.
func (m *Move) total(segments []SegmentReport, of func(SegmentReport) Sum) (total Sum) {
	d := m.digesting()
	for _, r := range segments {
		s := of(r)
		total.Pending, total.Parked = total.Pending+s.Pending, total.Parked+s.Parked
		d.add(s.Digest[:])
	}
	total.Digest = d.sum()
	return total
}

type digesting struct{ hash.Hash }

func (m *Move) digesting() digesting { return digesting{hmac.New(sha256.New, m.salt)} }

// add adds parts, each with its length before it.
func (d digesting) add(parts ...[]byte) {
	for _, part := range parts {
		length := len(part)
		_, _ = d.Write([]byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)})
		_, _ = d.Write(part)
	}
}

func (d digesting) sum() (sum Digest) {
	d.Sum(sum[:0])
	return sum
}

// text is something as JSON, to be compared.
func text(of any) string {
	out, err := json.Marshal(of)
	if err != nil { // a year outside 0..9999, which no journal could have kept
		return err.Error()
	}
	return string(out)
}

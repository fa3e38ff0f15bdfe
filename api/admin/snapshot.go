package admin

import (
	"context"
	"errors"
	"sync"
	"time"

	"audiences/status"
)

// A snapshot costs the relay the more the more segments there are: it is shown for the
// longer, so that all who look together take no more than a small part of a core.
const (
	snapshotSmall    = 1000                  // rows: a snapshot of no more is shown for the shortest time, whatever it took
	snapshotTimes    = 100                   // so many times what it cost, another one is shown
	snapshotShortest = 20 * time.Millisecond // or so long, if that is longer
	snapshotLongest  = 10 * time.Second      // but no longer
	snapshotDear     = 50 * time.Millisecond // one that costs more is shown while the next one is made
	snapshotStale    = 2 * snapshotLongest   // but not when it is older
	snapshotPatience = 30 * time.Second      // how long the relay may take for one that nobody waits for
)

// snapshot is the state of all tenants at one time. Several requests share it: nobody
// changes what it holds.
type snapshot struct {
	at       time.Time // when the relay was asked
	cost     time.Duration
	list     []status.Tenant   // with their segments
	partial  error             // why tenants may be missing; nil: all are there
	names    map[string]string // what people call tenants, by their fingerprints
	tenants  table[status.Tenant]
	segments table[segmentRow]
	parts    kept[partKey, []byte] // of the page, as HTML
	waits    map[status.Wait]int   // segments that wait, by what for
	oldest   time.Time             // when the oldest pending key that is known of was accepted; zero: none is
}

// segmentRow is a segment of a snapshot, with its tenant.
type segmentRow struct {
	*status.Segment
	of *status.Tenant
}

// partKey is what a part of the page depends on beside the snapshot.
type partKey struct {
	name, query string
	canAct      bool
}

// kept keeps what was made of a snapshot, by what was asked for. Its zero value is empty.
type kept[K comparable, V any] struct {
	mu   sync.Mutex
	made map[K]V
}

// mostKept is how many of each kind: anybody who may look can ask for much.
const mostKept = 64

// get makes what is not there yet. Others wait meanwhile, also for what they ask for.
func (k *kept[K, V]) get(key K, create func() (V, error)) (V, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if made, ok := k.made[key]; ok {
		return made, nil
	}
	made, err := create()
	if err == nil && len(k.made) < mostKept {
		if k.made == nil {
			k.made = map[K]V{}
		}
		k.made[key] = made
	}
	return made, err
}

// small: what it took says more of what else the machine does.
func (s *snapshot) small() bool { return len(s.tenants.rows)+len(s.segments.rows) <= snapshotSmall }

// young reports whether a snapshot is still shown.
func (s *snapshot) young() bool {
	shown := snapshotShortest
	if !s.small() {
		shown = min(max(snapshotTimes*s.cost, snapshotShortest), snapshotLongest)
	}
	return time.Since(s.at) < s.cost+shown
}

// handy reports whether a snapshot is shown while the next one is made.
func (s *snapshot) handy() bool {
	return !s.small() && s.cost > snapshotDear && time.Since(s.at) < snapshotStale
}

// snapshots keeps the last one.
type snapshots struct {
	relay Relay
	names func() map[string]string

	mu   sync.Mutex
	last *snapshot
	// asking is closed when the request that asks the relay has its answer; nil: none
	// does.
	asking chan struct{}
}

// current is a snapshot that is new enough to be shown.
func (s *snapshots) current(ctx context.Context) (*snapshot, error) {
	return s.askedSince(ctx, time.Time{})
}

// current is a snapshot for whoever asks the server.
func (s *Server) current(ctx context.Context) (*snapshot, error) { return s.snapshots.current(ctx) }

// askedSince is a snapshot for which the relay was asked at a time, or later; zero: for
// one to be shown. One request asks the relay, the others wait for that one; where it gets
// no answer, the next one asks.
func (s *snapshots) askedSince(ctx context.Context, since time.Time) (*snapshot, error) {
	for {
		found, asking, mine := s.begin(since)
		switch {
		case found != nil && mine:
			go s.askAhead(ctx, asking)
			return found, nil
		case found != nil:
			return found, nil
		case mine:
			return s.ask(ctx, asking)
		}
		select {
		case <-asking:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// begin returns a snapshot that will do, or else the channel of who asks for one; mine
// says that the caller has to ask, with or without a snapshot to go on with.
func (s *snapshots) begin(since time.Time) (found *snapshot, asking chan struct{}, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.last; last != nil && !last.at.Before(since) {
		if last.young() {
			return last, nil, false
		}
		if since.IsZero() && last.handy() {
			found = last
		}
	}
	if s.asking != nil {
		return found, s.asking, false
	}
	s.asking = make(chan struct{})
	return found, s.asking, true
}

// askAhead asks for the next snapshot, for those who come later.
func (s *snapshots) askAhead(ctx context.Context, asking chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotPatience)
	defer cancel()
	_, _ = s.ask(ctx, asking) // where it fails, the next request asks
}

func (s *snapshots) ask(ctx context.Context, asking chan struct{}) (made *snapshot, err error) {
	began := time.Now()
	defer func() { s.end(asking, made) }()
	tenants, err := s.relay.Status(ctx)
	if err != nil && !errors.Is(err, status.ErrPartial) {
		return nil, err
	}
	made = newSnapshot(tenants, s.names())
	made.at, made.cost, made.partial = began, time.Since(began), err
	return made, nil
}

// end keeps the snapshot that was made. Without one, the last goes on to be shown for as
// long as it may.
func (s *snapshots) end(asking chan struct{}, made *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(asking)
	if s.asking != asking {
		return
	}
	s.asking = nil
	if made != nil {
		s.last = made
	}
}

// forget has the next request ask the relay: something was changed, also for the answer
// that is on its way.
func (s *snapshots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking, s.last = nil, nil
}

func newSnapshot(tenants []status.Tenant, names map[string]string) *snapshot {
	made := &snapshot{list: tenants, names: names, waits: map[status.Wait]int{}}
	segments := 0
	for i := range tenants {
		segments += len(tenants[i].Segments)
	}
	made.tenants.rows = make([]status.Tenant, 0, len(tenants))
	made.segments.rows = make([]segmentRow, 0, segments)
	for i := range tenants {
		t := &tenants[i]
		t.Name = names[t.Tenant]
		alone := *t
		alone.Segments = nil
		made.tenants.rows = append(made.tenants.rows, alone)
		for j := range t.Segments {
			segment := &t.Segments[j]
			if at := segment.Oldest; !at.IsZero() && (made.oldest.IsZero() || at.Before(made.oldest)) {
				made.oldest = at
			}
			if segment.State == status.Waiting {
				made.waits[segment.WaitsFor]++
			}
			made.segments.rows = append(made.segments.rows, segmentRow{segment, t})
		}
	}
	made.tenants.place, made.segments.place = placeOfTenant, placeOfSegment
	made.tenants.matches, made.segments.matches = Filter.tenantRow, Filter.segment
	return made
}

// listed are rows as they are shown.
func (s *snapshot) listed(rows []segmentRow) []ListedSegment {
	list := make([]ListedSegment, len(rows))
	for i, row := range rows {
		list[i] = ListedSegment{Tenant: row.of.Tenant, Name: row.of.Name, Segment: row.WithSentence(s.at)}
	}
	return list
}

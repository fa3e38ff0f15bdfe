package postgres

import (
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/journal"
	"audiences/placement"
)

// A counter is how many of these units had passed since this life of the node began, by the
// database's clock, or one more than the one before. So a version tells when it was given,
// and a life has numbers for more than four years, or for 8,000 posts a second in all of
// them.
const counterUnit = time.Second / 8_000

// mostCounter is the last one that a version can have.
const mostCounter = 1<<40 - 1

// number is the next version; mu is locked. The last one is given again and again: a group
// that has it is not written.
func (in *intake) number(now time.Time) journal.Version {
	passed := in.j.clock.at(now).Sub(in.j.began) / counterUnit
	in.counter = min(max(in.counter+1, uint64(max(passed, 0))), mostCounter)
	return in.newest()
}

// Newest is the version that was given last.
func (j *Journal) Newest() journal.Version {
	j.intake.mu.Lock()
	defer j.intake.mu.Unlock()
	return j.intake.newest()
}

func (in *intake) newest() journal.Version {
	return journal.MakeVersion(uint32(in.j.self), in.counter)
}

// newVersion is a version for what becomes pending without a post.
func (j *Journal) newVersion() journal.Version {
	j.intake.mu.Lock()
	defer j.intake.mu.Unlock()
	return j.intake.number(time.Now())
}

// lives is when each life of a node began, without which no version of it tells its time.
type lives struct {
	mu    sync.Mutex
	began map[placement.NodeID]time.Time
	last  placement.NodeID
}

// queue asks for those that began since the last time.
func (l *lives) queue(batch *pgx.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch.Queue(`SELECT id, started FROM life WHERE id > $1 ORDER BY id`, int64(l.last)).Query(l.read)
}

func (l *lives) read(rows pgx.Rows) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rows.Next() {
		var id int32
		var began time.Time
		if err := rows.Scan(&id, &began); err != nil {
			return err
		}
		l.last = placement.NodeID(id)
		l.began[l.last] = began
	}
	return rows.Err()
}

// Since is when a version was given. It is not known of one from an embedded journal, which
// this one's keys were moved from, nor of a life that is long over.
func (j *Journal) Since(v journal.Version) (time.Time, bool) {
	j.lives.mu.Lock()
	defer j.lives.mu.Unlock()
	began, ok := j.lives.began[placement.NodeID(v.Node())]
	return began.Add(time.Duration(v.Counter()) * counterUnit), ok
}

package embedded

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal"
)

// versions gives versions, which rise over restarts. What it has given is not on disk
// yet, so the store has a counter beyond which nothing was given: the reserve. It is
// raised by the batch that first comes to it, and a start begins to count there.
type versions struct {
	next atomic.Uint64 // the counter that was given last

	reserves map[uint32]uint64 // by node; belongs to the committer
	before   map[uint32]uint64 // the same at the start; does not change

	mu    sync.RWMutex
	since []minute // oldest first
}

// minute is the first version that was given in a minute.
type minute struct {
	at      int64 // minutes since 1970
	version journal.Version
}

// reserveStep is how many versions are reserved at once.
const reserveStep = 1 << 20

// thisNode is the number of the embedded store's node.
const thisNode = 0

// give is a version for what is handed in now.
func (v *versions) give() journal.Version { return journal.MakeVersion(thisNode, v.next.Add(1)) }

// readVersions goes on behind what was given before. Where the store cannot tell, it
// takes a number that no counter has come to: 256 for each second since 1970.
func readVersions(db *pebble.DB) (*versions, error) {
	v := &versions{reserves: map[uint32]uint64{}}
	err := scan(db, []byte{prefixReserve}, journal.Cursor{}, func(node, value []byte) (bool, error) {
		reserve, n := binary.Uvarint(value)
		if len(node) != 4 || n != len(value) {
			return false, errBadRecord
		}
		v.reserves[binary.BigEndian.Uint32(node)] = reserve
		return true, nil
	})
	if err != nil {
		v.reserves[thisNode] = uint64(time.Now().Unix()) << 8
	}
	v.next.Store(v.reserves[thisNode])
	v.before = maps.Clone(v.reserves)
	return v, errorsOf("read versions of journal", err, v.readMinutes(db))
}

func errorsOf(what string, errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

func (v *versions) readMinutes(db *pebble.DB) error {
	return scan(db, []byte{prefixMinute}, journal.Cursor{}, func(at, value []byte) (bool, error) {
		version, n := binary.Uvarint(value)
		if len(at) != 8 || n != len(value) {
			return false, errBadRecord
		}
		v.since = append(v.since, minute{at: int64(binary.BigEndian.Uint64(at)), version: journal.Version(version)})
		return true, nil
	})
}

// stamp stages what has to be on disk together with a record of that version.
func (v *versions) stamp(b *pebble.Batch, version journal.Version) {
	node := version.Node()
	if reserve, known := v.reserves[node]; !known || version.Counter() >= reserve {
		v.reserves[node] = version.Counter() + reserveStep
		key := binary.BigEndian.AppendUint32([]byte{prefixReserve}, node)
		set(b, key, binary.AppendUvarint(nil, v.reserves[node]))
	}
	if now := time.Now().Unix() / 60; node == thisNode && now > v.newest() {
		v.begin(b, minute{at: now, version: version})
	}
}

// dropped forgets the reserves, since the batch that may have raised one was not
// written: the next one does it again.
func (v *versions) dropped() { clear(v.reserves) }

// newest is the minute that was begun last.
func (v *versions) newest() int64 {
	if len(v.since) == 0 { // the committer alone changes it, and needs no lock to read
		return 0
	}
	return v.since[len(v.since)-1].at
}

const (
	fineMinutes   = 24 * 60      // that each have their record
	coarseMinutes = 60 * 24 * 60 // older ones, of which each hour has one; there are no others
)

// begin stages the record of a minute, and the removal of those that are too many.
func (v *versions) begin(b *pebble.Batch, now minute) {
	v.mu.Lock()
	defer v.mu.Unlock()
	hour := int64(-1)
	v.since = slices.DeleteFunc(v.since, func(m minute) bool {
		first := m.at/60 != hour
		hour = m.at / 60
		age := now.at - m.at
		if age <= fineMinutes || first && age <= coarseMinutes {
			return false
		}
		del(b, minuteKey(m.at))
		return true
	})
	v.since = append(v.since, now)
	set(b, minuteKey(now.at), binary.AppendUvarint(nil, uint64(now.version)))
}

func minuteKey(at int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixMinute}, uint64(at))
}

// Since is when a version was given: the minute in which it was, or a minute of the
// same hour where that is more than a day ago. It knows of 60 days.
func (j *Journal) Since(version journal.Version) (at time.Time, ok bool) {
	v := j.versions
	v.mu.RLock()
	defer v.mu.RUnlock()
	if version.Node() != thisNode {
		return time.Time{}, false
	}
	behind, _ := slices.BinarySearchFunc(v.since, version+1, func(m minute, other journal.Version) int {
		return int(int64(m.version) - int64(other))
	})
	if behind == 0 {
		return time.Time{}, false
	}
	return time.Unix(v.since[behind-1].at*60, 0), true
}

// Writer is an intake that gives the versions of another node, as one does that
// shares a journal; one for each node and Journal. It is for tests: an embedded store
// has one node.
func (j *Journal) Writer(node uint32) journal.Intake {
	w := &writer{Journal: j, node: node}
	w.last.Store(j.versions.before[node])
	return w
}

type writer struct {
	*Journal
	node uint32
	last atomic.Uint64
}

func (w *writer) Append(a journal.Append) journal.Version {
	version := journal.MakeVersion(w.node, w.last.Add(1))
	w.append(a, version)
	return version
}

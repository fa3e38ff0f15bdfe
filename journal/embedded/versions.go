package embedded

import (
	"cmp"
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
	doubtful map[uint32]bool   // nodes whose reserve is to be written again, as the batch that had it was not
	before   map[uint32]uint64 // reserves at the start; does not change

	mu    sync.RWMutex
	since []moment // oldest first, by version and by time
}

// moment is the first version that was written in a second, or that is known of a minute.
type moment struct {
	at      int64 // seconds since 1970
	version journal.Version
	prefix  byte // of its record: prefixSecond or prefixMinute
}

// reserveStep is how many versions are reserved at once.
const reserveStep = 1 << 20

// thisNode is the number of the embedded store's node.
const thisNode = 0

// give is a version for what is handed in now.
func (v *versions) give() journal.Version { return journal.MakeVersion(thisNode, v.next.Add(1)) }

// readVersions goes on behind what was given before. Where the store cannot tell, it
// takes a number that no counter has come to: 256 for each second since 1970. It is no
// less than what can be read says: the clock may be wrong, or that was done before.
func readVersions(db *pebble.DB) (*versions, error) {
	v := &versions{reserves: map[uint32]uint64{}, doubtful: map[uint32]bool{}}
	err := scan(db, []byte{prefixReserve}, journal.Cursor{}, func(node, value []byte) (bool, error) {
		reserve, n := binary.Uvarint(value)
		if len(node) != 4 || n != len(value) {
			return false, errBadRecord
		}
		v.reserves[binary.BigEndian.Uint32(node)] = reserve
		return true, nil
	})
	unknown := v.readMoments(db)
	if err != nil {
		v.reserves[thisNode] = max(v.reserves[thisNode], v.newest().version.Counter()+reserveStep, uint64(time.Now().Unix())<<8)
	}
	v.next.Store(v.reserves[thisNode])
	v.before = maps.Clone(v.reserves)
	return v, errorsOf("read versions of journal", err, unknown)
}

func errorsOf(what string, errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// readMoments reads the times of versions: by the second, and by the minute those that an
// earlier program wrote.
func (v *versions) readMoments(db *pebble.DB) error {
	var found []moment
	defer func() {
		slices.SortFunc(found, func(a, b moment) int { return cmp.Compare(a.version, b.version) })
		for _, m := range found {
			v.push(m, func(moment) {})
		}
	}()
	for prefix, unit := range secondsIn {
		err := scan(db, []byte{prefix}, journal.Cursor{}, func(at, value []byte) (bool, error) {
			version, n := binary.Uvarint(value)
			if len(at) != 8 || n != len(value) {
				return false, errBadRecord
			}
			found = append(found, moment{at: unit * int64(binary.BigEndian.Uint64(at)), version: journal.Version(version), prefix: prefix})
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stamp stages what has to be on disk together with a record of that version.
func (v *versions) stamp(b *pebble.Batch, version journal.Version) {
	node := version.Node()
	reserve, known := v.reserves[node]
	if beyond := !known || version.Counter() >= reserve; beyond || v.doubtful[node] {
		if beyond {
			reserve = version.Counter() + reserveStep
		}
		v.reserves[node] = reserve
		delete(v.doubtful, node)
		set(b, binary.BigEndian.AppendUint32([]byte{prefixReserve}, node), binary.AppendUvarint(nil, reserve))
	}
	if node == thisNode {
		v.note(b, version, time.Now().Unix())
	}
}

// note begins the moment of a version that is written now, unless it is known. That of a
// long operation is older than others by then: its time is.
func (v *versions) note(b *pebble.Batch, version journal.Version, now int64) {
	if last := v.newest(); now != last.at && version > last.version {
		v.begin(b, moment{at: now, version: version, prefix: prefixSecond})
	}
}

// dropped has the reserves written again, since the batch that may have raised one was not
// written. They do not fall: a long operation stamps a version far below what was given.
func (v *versions) dropped() {
	for node := range v.reserves {
		v.doubtful[node] = true
	}
}

// newest is the moment that was begun last.
func (v *versions) newest() (last moment) {
	if len(v.since) > 0 { // the committer alone changes it, and needs no lock to read
		last = v.since[len(v.since)-1]
	}
	return last
}

// secondsIn is the unit of the times in the records of a kind.
var secondsIn = map[byte]int64{prefixSecond: 1, prefixMinute: 60}

// What is known of a time, in seconds: each second of the last ten minutes, each minute of
// the last day and each hour of the last 60 days. These are 3,540 records at most, so what
// thinning needs once a minute is bounded too.
const (
	minuteLong = 60
	hourLong   = 60 * minuteLong
	fineFor    = 10 * minuteLong
	minutesFor = 24 * hourLong
	hoursFor   = 60 * 24 * hourLong
)

// spacing is how far apart moments of this age are kept, in seconds; 0: not at all.
func spacing(age int64) int64 {
	switch {
	case age <= fineFor:
		return 1
	case age <= minutesFor:
		return minuteLong
	case age <= hoursFor:
		return hourLong
	}
	return 0
}

// begin stages the record of a second, and once a minute the removal of those that are
// too many. In between it costs the same however many there are.
func (v *versions) begin(b *pebble.Batch, now moment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.at/minuteLong != v.newest().at/minuteLong {
		v.thin(b, now.at)
	}
	v.push(now, func(late moment) { del(b, late.key()) })
	set(b, now.key(), binary.AppendUvarint(nil, uint64(v.newest().version)))
}

// push puts a moment behind all others, so that times rise with the versions. Where the
// clock was set back, those that are not before it go: what they stand for came by this
// one at the latest. Two moments of one second would also share a record.
func (v *versions) push(m moment, gone func(moment)) {
	n := len(v.since)
	for ; n > 0 && v.since[n-1].at >= m.at; n-- {
		m.version = v.since[n-1].version
		gone(v.since[n-1])
	}
	v.since = append(v.since[:n], m)
}

// thin keeps the first moment of each second, minute or hour, as their age wants it.
func (v *versions) thin(b *pebble.Batch, now int64) {
	kept := int64(-1) // the last moment that stays
	v.since = slices.DeleteFunc(v.since, func(m moment) bool {
		apart := spacing(now - m.at)
		if apart > 0 && (kept < 0 || m.at/apart != kept/apart) {
			kept = m.at
			return false
		}
		del(b, m.key())
		return true
	})
}

func (m moment) key() []byte {
	return binary.BigEndian.AppendUint64([]byte{m.prefix}, uint64(m.at/secondsIn[m.prefix]))
}

// Since is when a version was given: the second in which the next one before it that is
// known was written. Moments are kept for each second of ten minutes, for each minute of a
// day and for each hour of 60 days; it knows of no more.
//
// It is never in the future nor, with a newer version, earlier: also after the clock was set
// back.
func (j *Journal) Since(version journal.Version) (time.Time, bool) {
	v := j.versions
	v.mu.RLock()
	defer v.mu.RUnlock()
	if version.Node() != thisNode {
		return time.Time{}, false
	}
	behind, _ := slices.BinarySearchFunc(v.since, version+1, func(m moment, other journal.Version) int {
		return cmp.Compare(m.version, other)
	})
	if behind == 0 {
		return time.Time{}, false
	}
	at, now := time.Unix(v.since[behind-1].at, 0), time.Now()
	if at.After(now) { // the clock was set back since
		at = now
	}
	return at, true
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

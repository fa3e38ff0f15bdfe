package sandbox

import (
	"hash/maphash"
	"maps"
	"time"

	"audiences/audience"
)

// Target names what a call is about; it is comparable. The token shows as a
// fingerprint only.
type Target struct {
	Tenant       audience.TenantID `json:"tenant"`
	Organisation string            `json:"organisation"`
	Environment  string            `json:"environment,omitzero"`
	Segment      string            `json:"segment,omitzero"`
}

// Outcomes of a call that no fault decided; with a fault, the outcome is the
// fault's Kind.
const (
	OutcomeOK      = "ok"      // served
	OutcomeRefused = "refused" // a 4xx that the call earned
	OutcomeLimited = "limited" // 429 by a limiter
	OutcomeGone    = "gone"    // the client left before its call was served
)

// Call is one call to the API as the sandbox saw it.
type Call struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"` // when its answer was ready
	Target
	IP        string        `json:"ip"`
	Operation string        `json:"operation"` // uploadKeys, removeKeys, keys, create, activate, delete
	Verb      audience.Verb `json:"verb,omitzero"`
	Keys      int           `json:"keys"`
	Digest    uint64        `json:"-"`      // equal for equal verb and keys, in any order, within one process
	Status    int           `json:"status"` // 0: the connection was cut
	Outcome   string        `json:"outcome"`
	Applied   bool          `json:"applied"` // took effect, whatever the caller was told
}

// Counts sums up all calls since the start or the last reset.
type Counts struct {
	Calls    int            `json:"calls"`
	Applied  int            `json:"applied"`
	Keys     int            `json:"keys"` // in changes that were applied
	Outcomes map[string]int `json:"outcomes"`
	Statuses map[int]int    `json:"statuses"`
}

// callLog remembers the latest calls and counts all.
type callLog struct {
	ring   []Call
	next   int // where the oldest is, once the ring is full
	counts Counts
}

func newCallLog() *callLog {
	return &callLog{counts: Counts{Outcomes: map[string]int{}, Statuses: map[int]int{}}}
}

func (l *callLog) add(c Call, size int) {
	l.counts.Calls++
	l.counts.Outcomes[c.Outcome]++
	l.counts.Statuses[c.Status]++
	if c.Applied {
		l.counts.Applied++
		l.counts.Keys += c.Keys
	}
	if len(l.ring) < size {
		l.ring = append(l.ring, c)
		return
	}
	l.ring[l.next] = c
	l.next = (l.next + 1) % size
}

func (l *callLog) list() []Call {
	return append(append([]Call(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}

func (l *callLog) sums() Counts {
	c := l.counts
	c.Outcomes, c.Statuses = maps.Clone(c.Outcomes), maps.Clone(c.Statuses)
	return c
}

var digestSeed = maphash.MakeSeed()

func digest(verb audience.Verb, keys []string) uint64 {
	sum := uint64(verb)
	for _, key := range keys {
		sum += maphash.String(digestSeed, key)
	}
	return sum
}

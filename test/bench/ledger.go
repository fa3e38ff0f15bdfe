package main

import (
	"fmt"
	"strconv"
	"sync/atomic"
)

// firstKey makes the keys as long as MPIDs are.
const firstKey = 8_735_621_876_000_000_000

// usualTenants is over how many apiTokens the segments are spread, where their
// number is not what is measured.
const usualTenants = 10

// ledger makes the bodies of posts, each with a key of its own, and keeps what was
// accepted: for each segment the number of keys and their sum.
type ledger struct {
	names          []string // of the segments
	prefix, suffix [][]byte // of the body, by segment, before and after the keys
	next           atomic.Int64
	keys           []atomic.Int64
	sums           []atomic.Uint64
}

// newLedger is for segments of the usual tenants whose names begin with that word.
func newLedger(word string, segments int) *ledger { return newLedgerOf(word, segments, usualTenants) }

// newLedgerOf is for segments that are spread over so many tenants.
func newLedgerOf(word string, segments, tenants int) *ledger {
	l := &ledger{keys: make([]atomic.Int64, segments), sums: make([]atomic.Uint64, segments)}
	for n := range segments {
		l.names = append(l.names, fmt.Sprintf("s%s%d", word, n))
		l.prefix = append(l.prefix, fmt.Appendf(nil, `{"apiToken":"%s","workspaceId":"5f1c2e90-4f6b-11ee-8c99-0242ac120002","environmentId":"7d3a1b60-4f6b-11ee-8c99-0242ac120002","trafficTypeId":"9b0e6d20-4f6b-11ee-8c99-0242ac120002","verb":"add","mpids":[`, tokenOf(n%tenants)))
		l.suffix = append(l.suffix, fmt.Appendf(nil, `],"segment":"%s"}`, l.names[n]))
	}
	return l
}

func tokenOf(tenant int) string {
	return fmt.Sprintf("bench-token-of-the-usual-length-%d", tenant)
}

// take is the number of the next post, which has its own segment and keys.
func (l *ledger) take() int64 { return l.next.Add(1) - 1 }

func (l *ledger) segmentOf(n int64) int { return int(n % int64(len(l.keys))) }

// body is the n-th post with one key, written over to.
func (l *ledger) body(to []byte, n int64) []byte { return l.bodyWith(to, n, 1) }

// bodyWith is the n-th post with that many keys, which must be the same in all
// calls on one ledger: keys follow from n.
func (l *ledger) bodyWith(to []byte, n int64, keys int) []byte {
	segment := l.segmentOf(n)
	to = append(to[:0], l.prefix[segment]...)
	for i := range keys {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, '"')
		to = strconv.AppendInt(to, firstKey+n*int64(keys)+int64(i), 10)
		to = append(to, '"')
	}
	return append(to, l.suffix[segment]...)
}

// accepted notes that the n-th post was answered 200.
func (l *ledger) accepted(n int64, keys int) {
	segment := l.segmentOf(n)
	l.keys[segment].Add(int64(keys))
	first := uint64(firstKey + n*int64(keys))
	l.sums[segment].Add(uint64(keys)*first + uint64(keys)*uint64(keys-1)/2)
}

// total is the number of keys accepted.
func (l *ledger) total() (n int) {
	for i := range l.keys {
		n += int(l.keys[i].Load())
	}
	return n
}

// compare holds the look-alike against the ledger.
func (l *ledger) compare(has map[string]sum) error {
	wrong, first := 0, ""
	for n, name := range l.names {
		want := sum{Keys: int(l.keys[n].Load()), Sum: l.sums[n].Load()}
		if has[name] != want {
			if wrong++; wrong == 1 {
				first = fmt.Sprintf("%s has %v, want %v", name, has[name], want)
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d segments of the look-alike do not have what was accepted, the first: %s", wrong, first)
	}
	return nil
}

package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// BenchmarkLife is what a key of one segment costs from its accept to its settle, with
// flushes and compactions: processor time and bytes written. Keys are accepted in posts
// of one size, 500 posts at once, and when all are there drawn and settled in pages of
// 10,000, without receipts and with them. One life of all keys takes long: use
// -benchtime 1x.
func BenchmarkLife(b *testing.B) {
	for _, n := range []int{1_000_000, 5_000_000} {
		for _, each := range []int{1, 100} {
			for _, receipts := range []int64{0, 512 << 20} {
				b.Run(fmt.Sprintf("%dM/posts of %d/%d MiB of receipts", n/1_000_000, each, receipts>>20), func(b *testing.B) {
					for b.Loop() {
						life(b, n, each, receipts)
					}
				})
			}
		}
	}
}

func life(b *testing.B, n, each int, receipts int64) {
	j := open(b, Options{Dir: b.TempDir(), ReceiptsMaxBytes: receipts, ReceiptsMaxAge: 7 * 24 * time.Hour})
	seg := segment(tenant("a"), "s")
	random := rand.New(rand.NewPCG(1, 2))
	begin := processorTime()
	done := make(chan error, 500)
	waiting := 0
	for at := 0; at < n; at += each {
		keys := make([]audience.Key, each)
		for i := range keys {
			keys[i] = audience.NumericKey(int64(random.Uint64()))
		}
		if waiting == 500 {
			wait(b, done)
			waiting--
		}
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys...), at == 0, done))
		waiting++
	}
	for ; waiting > 0; waiting-- {
		wait(b, done)
	}
	accepted := processorTime()
	settled := 0
	for {
		page := load(j, journal.Load{Segment: seg, Limit: 10_000})
		if page.Err != nil {
			b.Fatal(page.Err)
		}
		if len(page.Entries) == 0 {
			break
		}
		settled += len(page.Entries)
		var keys []audience.Key
		for _, e := range page.Entries {
			keys = append(keys, e.Key)
		}
		deliver(b, j, seg, delivery(audience.Add, uint64(settled)), keys...)
	}
	if settled < n-10 {
		b.Fatal(settled)
	}
	for idle := 0; idle < 10; idle++ { // until nothing is compacted any more
		time.Sleep(100 * time.Millisecond)
		if m := j.db.Metrics(); m.Compact.NumInProgress > 0 || m.Flush.NumInProgress > 0 {
			idle = 0
		}
	}
	end := processorTime()
	b.ReportMetric(float64(accepted-begin)/float64(n), "accept-ns/key")
	b.ReportMetric(float64(end-accepted)/float64(n), "settle-ns/key")
	reportBytes(b, j.db.Metrics(), n)
}

func reportBytes(b *testing.B, m *pebble.Metrics, n int) {
	var flushed, compacted uint64
	for _, level := range m.Levels {
		flushed += level.TableBytesFlushed
		compacted += level.TableBytesCompacted
	}
	b.ReportMetric(float64(m.WAL.BytesWritten)/float64(n), "wal-B/key")
	b.ReportMetric(float64(flushed)/float64(n), "flush-B/key")
	b.ReportMetric(float64(compacted)/float64(n), "compact-B/key")
	b.ReportMetric(float64(m.WAL.BytesWritten+flushed+compacted)/float64(n), "B/key")
	b.ReportMetric(float64(m.Compact.Count), "compactions")
}

// processorTime is that of this process so far, in nanoseconds.
func processorTime() int64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// BenchmarkSettle is what a settled key costs the committer, of a chunk of 10,000: by one
// delete for each, unseen; where nothing newer can be there; where versions have to be
// compared; and where only every second key of the segment is settled.
func BenchmarkSettle(b *testing.B) {
	const n = 10_000
	all := numbers(0, n)
	for _, way := range []struct {
		name   string
		every  int
		unseen bool
		newer  bool
	}{{"unseen", 1, true, false}, {"covered", 1, false, false}, {"compared", 1, false, true}, {"half, unseen", 2, true, false}, {"half, compared", 2, false, true}} {
		b.Run(way.name, func(b *testing.B) {
			j, seg, done := open(b, inMemory()), segment(tenant("a"), "s"), make(chan error, 1)
			var keys []audience.Key
			for i := 0; i < n; i += way.every {
				keys = append(keys, all[i])
			}
			var took int64
			for b.Loop() {
				v := put(b, j, seg, audience.Add, all...)
				if way.newer {
					put(b, j, seg, audience.Add, audience.NumericKey(-1))
				}
				began := processorTime()
				if way.unseen {
					pending := head(prefixPending, idOf(seg))
					j.submit(operation{done: told(done), stage: func(batch *pebble.Batch) {
						for _, key := range keys {
							pending = journal.AppendKey(pending[:headLength], key)
							del(batch, pending)
						}
					}})
					wait(b, done)
				} else if newer := settleBy(b, j, seg, journal.Selection{Keys: slices.Values(keys), NotAfter: v}); len(newer) > 0 {
					b.Fatal(len(newer))
				}
				took += processorTime() - began
			}
			b.ReportMetric(float64(took)/float64(b.N*len(keys)), "settle-ns/key")
		})
	}
}

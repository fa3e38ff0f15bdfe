package embedded

import (
	"fmt"
	"sync"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// BenchmarkAppend is the rate of durable one-key appends on disk, each caller
// waiting for its answer before the next: what a request does.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			j, who := open(b, Options{Dir: b.TempDir()}), tenant("a")
			var work sync.WaitGroup
			b.ResetTimer()
			for c := range callers {
				seg, done := segment(who, fmt.Sprint("s", c)), make(chan error, 1)
				work.Go(func() {
					for i := c; i < b.N; i += callers {
						j.Append(appendOf(seg, audience.Add, audience.KeysOf([]audience.Key{audience.NumericKey(int64(i))}...), false, done))
						if err := <-done; err != nil {
							b.Error(err)
						}
					}
				})
			}
			work.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkSegments is the time to list 10,000 segments with 1,000,000 keys from
// disk: what a start waits for.
func BenchmarkSegments(b *testing.B) {
	j, segments := open(b, Options{Dir: b.TempDir()}), 10_000
	fill(b, j, tenant("a"), segments, 100)
	for b.Loop() {
		if listed, errs := collect(j.Segments(audience.AllSlots())); len(listed) != segments || len(errs) > 0 {
			b.Fatal(len(listed), errs)
		}
	}
}

// BenchmarkLoad is the time to read a page of 10,000 keys and to count 1,000,000.
func BenchmarkLoad(b *testing.B) {
	j, seg := open(b, Options{Dir: b.TempDir()}), segment(tenant("a"), "s")
	for i := range 100 {
		add(b, j, seg, audience.Add, numbers(i*10_000, 10_000)...)
	}
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if page := load(j, journal.Load{Segment: seg, Limit: 10_000}); page.Err != nil || len(page.Entries) != 10_000 {
				b.Fatal(page.Err)
			}
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if c := count(j, seg); c != (journal.Counts{Pending: 1_000_000}) {
				b.Fatal(c)
			}
		}
	})
}

// BenchmarkUnpark is the time to take 10,000 parked keys back.
func BenchmarkUnpark(b *testing.B) {
	j, seg := open(b, Options{Dir: b.TempDir()}), segment(tenant("a"), "s")
	for b.Loop() {
		park(b, j, seg, audience.Add, numbers(0, 10_000)...)
		if n, err := unpark(j, journal.Unpark{Segment: seg}); n != 10_000 || err != nil {
			b.Fatal(n, err)
		}
	}
}

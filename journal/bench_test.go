package journal

import (
	"fmt"
	"sync"
	"testing"

	"audiences/audience"
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
						j.Append(Append{Segment: seg, Verb: audience.Add, Keys: []audience.Key{audience.NumericKey(int64(i))}, Done: done})
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

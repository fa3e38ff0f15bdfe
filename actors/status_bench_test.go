package actors

import (
	"context"
	"testing"
	"time"

	"audiences/audience"
)

// BenchmarkStatus is what one look at 100 tenants of 1,000 segments costs, with 10 keys
// pending in each.
func BenchmarkStatus(b *testing.B) {
	const segments = 1000
	relay := Start(Options{Journal: &easyJournal{}, Deliver: deliverAtOnce, FlushInterval: time.Hour, MaxKeysInMemory: 10_000_000})
	defer stopNow(relay)
	answers := make(chan error, 1)
	for _, tenant := range manyTenants(100) {
		for i := range 10 * segments {
			relay.Accept(answers, wireChange(tenant, i%segments, audience.Add, int64(i)))
			if err := <-answers; err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	began := cpu()
	for b.Loop() {
		if _, err := relay.Status(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
}

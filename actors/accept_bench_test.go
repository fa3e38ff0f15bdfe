package actors

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"audiences/audience"
)

// BenchmarkAccept is the way of one change from the door to the journal and
// back, for a caller that waits for each answer, at different numbers of segments.
func BenchmarkAccept(b *testing.B) {
	defer likeAServer()()
	for _, segments := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(segments, "segments"), func(b *testing.B) {
			relay := Start(Options{Journal: &easyJournal{}, Deliver: deliverAtOnce, FlushInterval: time.Hour})
			defer stopNow(relay)
			tenants := manyTenants(min(segments, 10))
			changes := make([]audience.Change, segments)
			answer := make(chan error, 1)
			for i := range changes {
				changes[i] = wireChange(tenants[i%len(tenants)], i/len(tenants), audience.Add, int64(i))
				relay.Accept(answer, changes[i])
				<-answer
			}
			b.ReportAllocs()
			next := 0
			began := cpu()
			for b.Loop() {
				relay.Accept(answer, changes[next%segments])
				<-answer
				next += 7919 // a prime: segments are met in no order
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// likeAServer keeps goroutines with stacks as a server's connections have them,
// until it is told to end. New goroutines begin with as much stack as others have
// had on average; among nothing but idle actors that is too little, and most of
// the time would go into growing theirs.
func likeAServer() (end func()) {
	const connections = 200
	begun, ended := make(chan struct{}, connections), make(chan struct{})
	for range connections {
		go deep(8, begun, ended)
	}
	for range connections {
		<-begun
	}
	runtime.GC()
	return func() { close(ended) }
}

//go:noinline
func deep(frames int, begun chan<- struct{}, ended <-chan struct{}) (sum byte) {
	var frame [512]byte
	if frames == 0 {
		begun <- struct{}{}
		<-ended
	} else {
		frame[frames%len(frame)] = deep(frames-1, begun, ended)
	}
	return frame[(frames+1)%len(frame)] + frame[frames%len(frame)]
}

// cpu is the time that this process has used of all processors: others that share
// them do not count.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

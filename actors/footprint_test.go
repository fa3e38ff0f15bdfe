package actors

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

var footprintSegments = flag.Int("footprint.segments", 20_000, "segments of TestFootprint; 1000000 takes minutes and 4 GB")

const (
	footprintTenants = 100

	mostPerIdleSegment = 1024 // bytes

	// What remains of those that were let go is room in the actor library's own maps,
	// which is used again for others: of a tenant's children, and of all actors. The
	// latter has 32,768 parts, which weigh the more the fewer segments there are.
	mostPerPassivated = 240 // while their tenants live
	mostPerForgotten  = 100 // when these are let go too
	libraryRoom       = 32_768 * 100

	// The history keeps the last calls, so many at most.
	mostPerCall = 700
)

// TestFootprint measures what a segment costs in memory that was active, has
// delivered all its keys, and waits; and what is left of it when it is let go.
func TestFootprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segments := *footprintSegments
		relay := Start(Options{Journal: &easyJournal{}, Deliver: deliverAtOnce, MaxKeysInMemory: 10 * segments})
		tenants := manyTenants(footprintTenants)
		post := func(first, last int) {
			answers := make(chan error, 1)
			for i := first; i < last; i++ {
				relay.Accept(answers, wireChange(tenants[i%len(tenants)], i/len(tenants), audience.Add, int64(i)))
				if err := <-answers; err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Microsecond) // no two timers fire at the same instant
			}
		}

		empty := measure()
		post(0, segments)
		time.Sleep(time.Minute) // all are delivered
		idle := measure()
		if n := active(t, relay); n != segments {
			t.Fatalf("%d segments are active, want %d", n, segments)
		}

		// Let go, all but one of each tenant: it is posted to in every interval.
		for range 6 {
			post(0, len(tenants))
			time.Sleep(5 * time.Minute)
		}
		few := measure()
		if n := active(t, relay); n != len(tenants) {
			t.Fatalf("%d segments are active, want %d", n, len(tenants))
		}
		time.Sleep(time.Hour)
		none := measure()

		report := func(what string, m footprint, most int) {
			most += mostPerCall * min(segments, allCallsKept) / segments
			heap, all := m.heap-empty.heap, m.all-empty.all
			t.Logf("%s: %d bytes for each of %d segments (heap), %d with stacks and free room in the heap", what, heap/segments, segments, all/segments)
			if heap/segments > most {
				t.Errorf("%s: %d bytes for each segment, want %d at most", what, heap/segments, most)
			}
		}
		report("idle", idle, mostPerIdleSegment)
		report("let go, their tenants active", few, mostPerPassivated+libraryRoom/segments)
		report("let go, with their tenants", none, mostPerForgotten+libraryRoom/segments)
		stopNow(relay)
		time.Sleep(time.Hour) // the actor library counts undelivered messages by the second, in a goroutine
	})
}

// footprint is memory in use, in bytes.
type footprint struct{ heap, all int }

// measure waits until nothing moves and everything is collected. Twice: what a
// finalizer or a pool held is free after the second time only.
func measure() footprint {
	synctest.Wait()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{heap: int(m.HeapAlloc), all: int(m.HeapInuse + m.StackInuse)}
}

func active(t *testing.T, relay *Relay) int {
	t.Helper()
	views, err := relay.Segments(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return len(views)
}

// stopNow stops a relay of which nothing is expected any more.
func stopNow(relay *Relay) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	relay.Stop(now)
}

// manyTenants have a token each.
func manyTenants(n int) (tenants []audience.Tenant) {
	for i := range n {
		token, err := audience.ParseToken(fmt.Sprintf("token-%d", i))
		if err != nil {
			panic(err)
		}
		tenants = append(tenants, audience.NewTenant(token))
	}
	return tenants
}

// wireChange is a change with one key, as it comes from the wire: no string is
// shared with another change. Every third segment is in the tenant's second
// environment.
func wireChange(tenant audience.Tenant, segment int, verb audience.Verb, key int64) audience.Change {
	environment := "e0000001-0000-4000-8000-000000000000"
	if segment%3 == 0 {
		environment = "e0000002-0000-4000-8000-000000000000"
	}
	return audience.Change{
		Token: tenant.Token,
		Segment: audience.Segment{
			Tenant:      tenant.ID,
			Workspace:   strings.Clone("a0000001-0000-4000-8000-000000000000"),
			Environment: strings.Clone(environment),
			TrafficType: strings.Clone("c0000001-0000-4000-8000-000000000000"),
			Name:        fmt.Sprintf("audience_%07d", segment),
		},
		Verb: verb,
		Keys: audience.KeysOf(audience.NumericKey(key)),
	}
}

func deliverAtOnce(context.Context, splitclient.Call) splitclient.Outcome {
	return splitclient.Outcome{Kind: splitclient.Delivered, Limits: splitclient.Limits{RemainingOrg: -1, RemainingIP: -1}}
}

// easyJournal keeps nothing and answers at once: what is measured with it is the
// actors alone.
type easyJournal struct{}

func (*easyJournal) PutTenant(audience.Tenant) {}
func (*easyJournal) Append(a journal.Append) journal.Version {
	if a.Done != nil {
		a.Done(nil)
	}
	return 1
}
func (*easyJournal) Newest() journal.Version { return 1 }
func (*easyJournal) Settle(s journal.Settle) { s.Done(nil, nil) }
func (*easyJournal) Load(l journal.Load)     { l.Done(journal.Page{}) }
func (*easyJournal) Count(c journal.Count)   { c.Done(journal.Counts{}) }
func (*easyJournal) Park(p journal.Park)     { p.Done(nil, nil) }
func (*easyJournal) Unpark(u journal.Unpark) { u.Done(0, nil) }
func (*easyJournal) Forget(audience.Segment) {}
func (*easyJournal) SetSegmentState(_ audience.Segment, _ journal.SegmentState, done func(error)) {
	if done != nil {
		done(nil)
	}
}
func (*easyJournal) SetTenantState(_ audience.TenantID, _ journal.TenantState, done func(error)) {
	done(nil)
}
func (*easyJournal) MoveTenant(_, _ audience.TenantID, done func([]audience.Segment, int, error)) {
	done(nil, 0, nil)
}
func (*easyJournal) Parked(q journal.ParkedQuery) { q.Done(journal.ParkedPage{}) }
func (*easyJournal) Find(f journal.Find)          { f.Done(journal.Found{}) }
func (*easyJournal) Tenants(audience.Slots) iter.Seq2[journal.KnownTenant, error] {
	return func(func(journal.KnownTenant, error) bool) {}
}
func (*easyJournal) SegmentsOf(audience.TenantID) iter.Seq2[journal.Listed, error] {
	return func(func(journal.Listed, error) bool) {}
}
func (*easyJournal) Segments(audience.Slots) iter.Seq2[journal.Listed, error] {
	return func(func(journal.Listed, error) bool) {}
}
func (*easyJournal) NoteEvent(journal.Event, func(error)) {}
func (*easyJournal) Events() iter.Seq2[journal.Event, error] {
	return func(func(journal.Event, error) bool) {}
}
func (*easyJournal) Since(journal.Version) (time.Time, bool) { return time.Time{}, false }
func (*easyJournal) Prove(audience.TenantID)                 {}
func (*easyJournal) Proven(audience.Slots) iter.Seq2[audience.TenantID, error] {
	return func(func(audience.TenantID, error) bool) {}
}

package admin

import (
	"net/http"
	"testing"

	"audiences/api/admin/access"
)

// BenchmarkPage is the whole page of a relay with 100 tenants of 1,000 segments, each time
// from a snapshot of its own; the relay's own work for it is in BenchmarkStatus of actors.
func BenchmarkPage(b *testing.B) {
	server := New(Options{Relay: large(100), Access: access.Options{Local: true}})
	for b.Loop() {
		server.snapshots.forget()
		if answer := opened(b, server.http.Handler, "GET", "", ""); answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
}

// BenchmarkTick is what a second costs with a viewer, in such a relay, from a snapshot
// that others look at as well.
func BenchmarkTick(b *testing.B) {
	server := New(Options{Relay: large(100), Access: access.Options{Local: true}})
	for b.Loop() {
		for _, path := range []string{"/tenants", "/segments", "/parked", "/events"} {
			if answer := opened(b, server.http.Handler, "GET", path, ""); answer.Code != http.StatusOK {
				b.Fatal(answer.Code)
			}
		}
	}
}

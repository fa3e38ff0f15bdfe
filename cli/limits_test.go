package cli

import (
	"fmt"
	"testing"

	"audiences/config"
	"audiences/memory"
)

// TestBounded: the budget lowers what is configured and never raises it; without one
// everything stays.
func TestBounded(t *testing.T) {
	budget := memory.Budget{BytesInFlight: 50, BodyBytes: 10, KeysPerPost: 5, RequestsInFlight: 3, Calls: 2}
	much := config.Config{MaxBytesInFlight: 51, MaxBodyBytes: 11, MaxKeysPerPost: 6, MaxRequestsInFlight: 4, MaxConcurrentCalls: 3, Port: 7}
	little := config.Config{MaxBytesInFlight: 49, MaxBodyBytes: 9, MaxKeysPerPost: 4, MaxRequestsInFlight: 2, MaxConcurrentCalls: 1, Port: 7}
	want := config.Config{MaxBytesInFlight: 50, MaxBodyBytes: 10, MaxKeysPerPost: 5, MaxRequestsInFlight: 3, MaxConcurrentCalls: 2, Port: 7}
	for name, c := range map[string]struct {
		given, want config.Config
		budget      memory.Budget
	}{
		"much": {much, want, budget}, "little": {little, little, budget}, "no limit": {much, much, memory.Budget{}},
	} {
		if got := bounded(c.given, c.budget); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

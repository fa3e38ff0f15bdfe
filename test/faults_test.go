package test

import (
	"math/rand/v2"
	"net/http"
	"time"

	"audiences/sandbox"
)

// troubles are what Split does to the relay while it is being killed. All of them
// end by themselves, so that there are calls that get through in between.
var troubles = []sandbox.Rule{
	{Kind: sandbox.Status, Code: http.StatusInternalServerError, Count: 5},
	{Kind: sandbox.Status, Code: http.StatusServiceUnavailable, Count: 3, Applied: true},
	{Kind: sandbox.HTMLBadGateway, Count: 3},
	{Kind: sandbox.Reset, Count: 5},
	{Kind: sandbox.Reset, Count: 5, Applied: true},
	{Kind: sandbox.Slow, Count: 50, Delay: 150 * time.Millisecond},
	{Kind: sandbox.Slow, Count: 50, Delay: 150 * time.Millisecond, Applied: true},
	{Kind: sandbox.Hang, Count: 2},
	{Kind: sandbox.Hang, Count: 2, Applied: true},
	{Kind: sandbox.Throttle, Count: 1, Reset: 100 * time.Millisecond},
	{Kind: sandbox.Throttle, Count: 1, Reset: 100 * time.Millisecond, Scope: sandbox.IP},
}

// trouble replaces the faults of the look-alike by up to three others.
func trouble(split *sandbox.Server, random *rand.Rand) {
	split.ClearFaults()
	for range random.IntN(4) {
		split.Fault(troubles[random.IntN(len(troubles))])
	}
}

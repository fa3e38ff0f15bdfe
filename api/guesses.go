package api

import (
	"context"
	"net"
	"sync"
	"time"
)

// guesses slows down who shows wrong tokens. Callers may share an address with a stranger,
// or be a lambda whose token was mistyped: so the answer to a wrong token comes late, and
// nothing else does. Its zero value is ready.
type guesses struct {
	mu      sync.Mutex
	since   time.Time      // when counting began
	wrong   map[string]int // tokens that an address has shown since then
	waiting int            // answers that wait now
}

const (
	guessPeriod = time.Minute
	freeGuesses = 20          // of an address and a period are answered at once
	guessWait   = time.Second // before the answer to each further one
	// Beyond so many answers that wait, or addresses that are counted, answers come at once:
	// to keep more would cost the relay more than whoever guesses.
	mostGuessing  = 256
	mostAddresses = 4096
)

// slow waits before a wrong token is answered, if its address has shown many; it ends with
// the request.
func (g *guesses) slow(ctx context.Context, remote string) {
	address, _, err := net.SplitHostPort(remote)
	if err != nil {
		address = remote
	}
	if !g.begin(address, time.Now()) {
		return
	}
	timer := time.NewTimer(guessWait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

// begin counts a wrong token, and reports whether its answer waits.
func (g *guesses) begin(address string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.since) >= guessPeriod {
		g.since, g.wrong = now, map[string]int{}
	}
	if _, known := g.wrong[address]; known || len(g.wrong) < mostAddresses {
		g.wrong[address]++
	}
	if g.wrong[address] <= freeGuesses || g.waiting >= mostGuessing {
		return false
	}
	g.waiting++
	return true
}

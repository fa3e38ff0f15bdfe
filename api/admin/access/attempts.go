package access

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// Comparing a password takes a tenth of a second of a processor or more, on purpose.
// Strangers can ask for it, so it is done so often and no more: in the long run one
// comparison in overallEvery for all, and one at a time. Those who have a session or a
// token do not need it.
const (
	overallEvery, overallBurst = 2 * time.Second, 10
	addressEvery, addressBurst = 12 * time.Second, 5
	// maxAddresses are remembered; those that could have all their attempts again
	// are forgotten first.
	maxAddresses = 1024
	// longestTurn is how long a comparison may wait for those before it.
	longestTurn = 10 * time.Second
)

// attempts bounds the work for logins.
type attempts struct {
	mu      sync.Mutex
	address map[netip.Prefix]*rate.Limiter
	overall *rate.Limiter
	turn    chan struct{} // holds something while a comparison runs
}

func newAttempts() *attempts {
	return &attempts{
		address: map[netip.Prefix]*rate.Limiter{},
		overall: rate.NewLimiter(rate.Every(overallEvery), overallBurst),
		turn:    make(chan struct{}, 1),
	}
}

// allow reports whether an attempt from this address may be made, and counts it.
func (a *attempts) allow(remote string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	limiter := a.of(countedBy(remote))
	return limiter != nil && limiter.Allow() && a.overall.Allow()
}

// of returns nil when no more addresses can be remembered.
func (a *attempts) of(address netip.Prefix) *rate.Limiter {
	if a.address[address] == nil {
		if len(a.address) >= maxAddresses {
			a.forget()
		}
		if len(a.address) >= maxAddresses {
			return nil
		}
		a.address[address] = rate.NewLimiter(rate.Every(addressEvery), addressBurst)
	}
	return a.address[address]
}

func (a *attempts) forget() {
	for address, limiter := range a.address {
		if limiter.Tokens() >= addressBurst {
			delete(a.address, address)
		}
	}
}

// countedBy is the address without its port; of IPv6 the /64, as that is what one
// customer of a network has at least. What has no address counts as one.
func countedBy(remote string) netip.Prefix {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	address := from.Addr().Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits) // the number fits the address
	return prefix
}

// matches compares when its turn has come. It returns false when that takes too long,
// or when ctx ends before.
func (a *attempts) matches(ctx context.Context, hash, password string) bool {
	ctx, cancel := context.WithTimeout(ctx, longestTurn)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-a.turn }()
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

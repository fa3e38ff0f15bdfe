package splitclient

import (
	"net/http"
	"strings"
	"time"
)

// The bounds of a wait after a 429.
const (
	// MinThrottle is the shortest wait: resets can be 0, and the vendor's SDK
	// waits at least as long. It is also the first wait where what the answer says
	// cannot be believed (Outcome.Doubtful).
	MinThrottle = 2 * time.Second
	// DefaultThrottle is the wait when the answer names none, as in the vendor's SDK.
	DefaultThrottle = 5 * time.Second
	// MaxThrottle is the longest wait that is believed. A greater number is a point
	// in time, or a fault that would silence a tenant for years.
	MaxThrottle = time.Hour
)

// absent stands for a header that is missing or cannot be believed.
const absent = -1

var noLimits = Limits{RemainingOrg: absent, RemainingIP: absent, ResetOrg: absent, ResetIP: absent}

// oddities are the headers that are there and cannot be believed.
type oddities struct{ resetOrg, resetIP, retryAfter bool }

// readLimits reads what the headers say of rates.
func (a *answer) readLimits(header http.Header) {
	now := clocksOf(header)
	a.limits.RemainingOrg = a.remaining(header.Values("X-RateLimit-Remaining-Org"))
	a.limits.RemainingIP = a.remaining(header.Values("X-RateLimit-Remaining-IP"))
	a.limits.ResetOrg, a.odd.resetOrg = now.wait(header.Values("X-RateLimit-Reset-Seconds-Org"))
	a.limits.ResetIP, a.odd.resetIP = now.wait(header.Values("X-RateLimit-Reset-Seconds-IP"))
	// Split does not document the header; the vendor's SDK reads it (RFC 9110, section 10.2.3).
	a.retryAfter, a.odd.retryAfter = now.wait(header.Values("Retry-After"))
}

// remaining reads a number of calls, the least of several. Fewer than none are
// none where the call was refused: a limit overdrawn. Beside a call that went
// through they are no fact: others write -1 for "no limit".
func (a *answer) remaining(values []string) float64 {
	least := float64(absent)
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			n, ok := parseNumber(item)
			if !ok || n < 0 && a.status != http.StatusTooManyRequests {
				continue
			}
			if n = max(n, 0); least < 0 || n < least {
				least = n
			}
		}
	}
	return least
}

// delay is how long the tenant waits after a 429: until both limits are reset.
// It is doubtful where a header is odd and no other one stands in for it.
func (a *answer) delay() (d time.Duration, doubtful bool) {
	d = max(a.limits.ResetOrg, a.limits.ResetIP)
	doubtful = a.odd.resetOrg || a.odd.resetIP
	if d < 0 || doubtful {
		d = max(d, a.retryAfter)
		doubtful = (doubtful || a.odd.retryAfter) && a.retryAfter < 0
	}
	if d < 0 && !doubtful {
		d = DefaultThrottle
	}
	return max(d, MinThrottle), doubtful
}

// delayIP is how long everybody waits: until the address's own limit is reset.
// The organisation's may take longer, which is no concern of the others (I6).
func (a *answer) delayIP() (d time.Duration, doubtful bool) {
	switch {
	case a.limits.ResetIP >= 0:
		return max(a.limits.ResetIP, MinThrottle), false
	case a.odd.resetIP && a.retryAfter < 0:
		return MinThrottle, true
	}
	return a.delay()
}

// ipUsedUp and orgUsedUp tell whose limit a 429 is about: the one with less
// than a call left, or, where no remainders are given, the only one that has a
// reset. Both may be used up.
func ipUsedUp(a *answer) bool {
	l := a.limits
	return usedUp(l.RemainingIP) || l.unsaid() && l.ResetIP >= 0 && l.ResetOrg < 0 && !a.odd.resetOrg
}

func orgUsedUp(a *answer) bool {
	l := a.limits
	return usedUp(l.RemainingOrg) || l.unsaid() && l.ResetOrg >= 0 && l.ResetIP < 0 && !a.odd.resetIP
}

func usedUp(remaining float64) bool { return remaining >= 0 && remaining < 1 }

func (l Limits) unsaid() bool { return l.RemainingOrg < 0 && l.RemainingIP < 0 }

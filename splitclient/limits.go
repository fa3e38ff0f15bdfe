package splitclient

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The bounds of a wait after a 429.
const (
	// MinThrottle is the shortest wait: resets can be 0, and the vendor's SDK
	// waits at least as long.
	MinThrottle = 2 * time.Second
	// DefaultThrottle is the wait when the answer names none, as in the vendor's SDK.
	DefaultThrottle = 5 * time.Second
	// MaxThrottle is the longest wait that is believed; a greater value is a
	// timestamp or a fault, and would silence a tenant for years.
	MaxThrottle = time.Hour
)

// absent stands for a header that is missing or cannot be read.
const absent = -1

var noLimits = Limits{RemainingOrg: absent, RemainingIP: absent, ResetOrg: absent, ResetIP: absent}

func parseLimits(header http.Header) Limits {
	return Limits{
		RemainingOrg: parseRemaining(header.Get("X-RateLimit-Remaining-Org")),
		RemainingIP:  parseRemaining(header.Get("X-RateLimit-Remaining-IP")),
		ResetOrg:     parseReset(header.Get("X-RateLimit-Reset-Seconds-Org")),
		ResetIP:      parseReset(header.Get("X-RateLimit-Reset-Seconds-IP")),
	}
}

// parseRemaining reads a number of calls. Fewer than none are none: a negative
// number is a limit overdrawn, not a missing header.
func parseRemaining(s string) float64 {
	n, ok := parseNumber(s)
	if !ok {
		return absent
	}
	return max(n, 0)
}

// parseReset reads seconds, up to MaxThrottle. A negative number of seconds
// means nothing.
func parseReset(s string) time.Duration {
	seconds, ok := parseNumber(s)
	if !ok || seconds < 0 {
		return absent
	}
	if seconds >= MaxThrottle.Seconds() {
		return MaxThrottle
	}
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

func parseNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// parseRetryAfter reads seconds or an HTTP date, up to MaxThrottle (RFC 9110,
// section 10.2.3; Split does not document the header, the vendor's SDK reads it).
func parseRetryAfter(s string) time.Duration {
	if at, err := http.ParseTime(strings.TrimSpace(s)); err == nil {
		return min(max(time.Until(at), 0), MaxThrottle)
	}
	return parseReset(s)
}

// delay is how long the tenant waits after a 429: until both limits are reset.
func (a *answer) delay() time.Duration {
	d := max(a.limits.ResetOrg, a.limits.ResetIP)
	if d < 0 {
		d = a.retryAfter
	}
	if d < 0 {
		d = DefaultThrottle
	}
	return max(d, MinThrottle)
}

// delayIP is how long everybody waits: until the address's own limit is reset.
// The organisation's may take longer, which is no concern of the others (I6).
func (a *answer) delayIP() time.Duration {
	if a.limits.ResetIP < 0 {
		return a.delay()
	}
	return max(a.limits.ResetIP, MinThrottle)
}

// ipUsedUp and orgUsedUp tell whose limit a 429 is about: the one with less
// than a call left, or, where no remainders are given, the only one that has a
// reset. Both may be used up.
func ipUsedUp(a *answer) bool {
	l := a.limits
	return usedUp(l.RemainingIP) || l.unsaid() && l.ResetIP >= 0 && l.ResetOrg < 0
}

func orgUsedUp(a *answer) bool {
	l := a.limits
	return usedUp(l.RemainingOrg) || l.unsaid() && l.ResetOrg >= 0 && l.ResetIP < 0
}

func usedUp(remaining float64) bool { return remaining >= 0 && remaining < 1 }

func (l Limits) unsaid() bool { return l.RemainingOrg < 0 && l.RemainingIP < 0 }

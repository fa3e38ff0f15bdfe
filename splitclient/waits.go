package splitclient

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// clocks are what a point in time is measured against: first the answer's own
// Date, since the same clock wrote both and its skew falls out, then ours, for
// an answer without a Date or with one that is wrong by itself.
type clocks []time.Time

func clocksOf(header http.Header) clocks {
	now := time.Now()
	if date, err := http.ParseTime(strings.TrimSpace(header.Get("Date"))); err == nil {
		return clocks{date, now}
	}
	return clocks{now}
}

// wait reads a header that says how long to wait. Split documents a number of
// seconds (Split docs: rate limiting); gateways also write points in time, as a
// date or as seconds, milliseconds or less since 1970, and numbers with a unit.
// Of several values the longest counts. The result is absent where nothing is
// said, and odd where nothing of what is said can be believed.
func (c clocks) wait(values []string) (d time.Duration, odd bool) {
	d = absent
	for _, value := range values {
		if one := c.date(value); one >= 0 {
			d = max(d, one)
			continue
		}
		for item := range strings.SplitSeq(value, ",") {
			item, _, _ = strings.Cut(item, ";") // parameters, as of a structured field
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			one := c.item(item)
			d, odd = max(d, one), odd || one < 0
		}
	}
	return d, odd && d < 0
}

// date reads a whole value, since an HTTP date holds a comma; a date that cannot
// be believed is left to be found odd as an item.
func (c clocks) date(value string) time.Duration {
	value = strings.TrimSpace(value)
	at, err := http.ParseTime(value)
	if err != nil {
		at, err = time.Parse(time.RFC3339, value)
	}
	if err != nil {
		return absent
	}
	for _, now := range c {
		if d := near(at.Sub(now)); d >= 0 {
			return d
		}
	}
	return absent
}

func (c clocks) item(item string) time.Duration {
	n, ok := parseNumber(item)
	if !ok {
		d, err := time.ParseDuration(strings.ReplaceAll(item, " ", ""))
		if err != nil || d < 0 || d > MaxThrottle {
			return absent
		}
		return d
	}
	if n <= MaxThrottle.Seconds() {
		return inSeconds(n)
	}
	for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
		for _, now := range c {
			since := n/unit - float64(now.UnixNano())/1e9
			if math.Abs(since) <= MaxThrottle.Seconds() {
				return inSeconds(max(since, 0))
			}
		}
	}
	return absent
}

// near believes in a point in time that lies ahead by a wait's bound or less, or
// behind by no more than that: what has just been reset needs no wait.
func near(d time.Duration) time.Duration {
	if d < -MaxThrottle || d > MaxThrottle {
		return absent
	}
	return max(d, 0)
}

// inSeconds rounds up, so that who waits as long is not early. A negative number
// of seconds means nothing.
func inSeconds(n float64) time.Duration {
	if n < 0 {
		return absent
	}
	return time.Duration(math.Ceil(n * float64(time.Second)))
}

// parseNumber reads a plain decimal number: no hexadecimal, no "Inf".
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64) // beyond its range: an error
	return n, err == nil
}

package splitclient

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waitCase is a header's values and what they mean.
type waitCase struct {
	values []string
	want   time.Duration
	odd    bool
}

func one(text string, want time.Duration) waitCase { return waitCase{[]string{text}, want, false} }

func odd(values ...string) waitCase { return waitCase{values, absent, true} }

// What a header may hold in place of the seconds that Split documents: read as
// what it is, or not believed; never a wait of more than MaxThrottle.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now() // whole seconds
		epoch := func(d, unit time.Duration) string {
			return strconv.FormatInt(now.Add(d).UnixNano()/int64(unit), 10)
		}
		date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
		for name, c := range map[string]waitCase{
			"none":   {nil, absent, false},
			"empty":  one("", absent),
			"blank":  one(" \t", absent),
			"commas": one(" , ,", absent),

			"seconds":      one("7", 7*time.Second),
			"decimal":      one(" 2.5 ", 2500*time.Millisecond),
			"zero":         one("0", 0),
			"minus zero":   one("-0", 0),
			"plus":         one("+5", 5*time.Second),
			"exponent":     one("1e3", 1000*time.Second),
			"tiny":         one("0.0000000001", 1),
			"bound":        one("3600", MaxThrottle),
			"beyond":       odd("3600.1"),
			"a day":        odd("86400"),
			"1e9":          odd("1e9"),
			"1e300":        odd("1e300"),
			"1e999":        odd("1e999"),
			"many digits":  odd(strings.Repeat("9", 5000)),
			"many zeros":   one(strings.Repeat("0", 5000)+"3", 3*time.Second),
			"negative":     odd("-3"),
			"NaN":          odd("NaN"),
			"Inf":          odd("+Inf"),
			"infinity":     odd("infinity"),
			"hexadecimal":  odd("0x1p-2"),
			"underscore":   odd("1_0"),
			"words":        odd("soon"),
			"full width":   odd("５"),
			"control":      odd("5\x00"),
			"two at once":  odd("5 6"),
			"only e":       odd("e"),
			"only a minus": odd("-"),

			"unit":            one("30s", 30*time.Second),
			"unit, blank":     one("30 s", 30*time.Second),
			"milliseconds":    one("1500ms", 1500*time.Millisecond),
			"minutes":         one("1m30s", 90*time.Second),
			"no time, a unit": one("0s", 0),
			"bound, a unit":   one("60m", MaxThrottle),
			"hours":           odd("2h"),
			"negative unit":   odd("-3s"),
			"unknown unit":    odd("3 seconds"),
			"parameters":      one("12;w=60", 12*time.Second),
			"only parameters": one(";w=60", absent),

			"decimal comma":      one("1,5", 5*time.Second), // or a list; the longer of the two
			"list":               one("5, 7,6", 7*time.Second),
			"several":            {[]string{"5", "9"}, 9 * time.Second, false},
			"one of two odd":     {[]string{"soon", "9"}, 9 * time.Second, false},
			"two odd":            odd("soon", "1e9"),
			"a list with an odd": one("1e9,4", 4*time.Second),

			"epoch seconds":      one(epoch(30*time.Second, time.Second), 30*time.Second),
			"epoch decimal":      one(epoch(30*time.Second, time.Second)+".5", 30500*time.Millisecond),
			"epoch milliseconds": one(epoch(30*time.Second, time.Millisecond), 30*time.Second),
			"epoch microseconds": one(epoch(30*time.Second, time.Microsecond), 30*time.Second),
			"epoch nanoseconds":  one(epoch(30*time.Second, time.Nanosecond), 30*time.Second),
			"epoch, just past":   one(epoch(-30*time.Second, time.Second), 0),
			"epoch, long past":   odd(epoch(-2*time.Hour, time.Second)),
			"epoch, far ahead":   odd(epoch(2*time.Hour, time.Millisecond)),

			"date":            one(date(90*time.Second), 90*time.Second),
			"date, just past": one(date(-90*time.Second), 0),
			"date, long past": odd("Mon, 31 Dec 1990 23:59:59 GMT"),
			"date, never":     odd("Fri, 31 Dec 2999 23:59:59 GMT"),
			"date, old form":  one(now.Add(time.Minute).UTC().Format(time.ANSIC), time.Minute),
			"date of ISO":     one(now.Add(time.Minute).Format(time.RFC3339), time.Minute),
			"ISO, in ms":      one(now.Add(1500*time.Millisecond).UTC().Format(time.RFC3339Nano), 1500*time.Millisecond),
			"two dates":       {[]string{date(time.Minute), date(time.Second)}, time.Minute, false},
		} {
			d, odd := clocksOf(nil).wait(c.values)
			off := c.want <= 0 && d != c.want                                                                // no wait is none at all
			if off || float64(d)-float64(c.want) > 1e3 || float64(c.want)-float64(d) > 1e3 || odd != c.odd { // a float's last digits
				t.Errorf("%s, %.60q: %v, odd %v; want %v, %v", name, c.values, d, odd, c.want, c.odd)
			}
		}
	})
}

// A point in time is measured against the answer's own Date, so that a clock
// that is wrong, theirs or ours, makes no wait longer or shorter; against ours
// where the Date makes no sense of it.
func TestWaitsAgainstTheDateOfTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for skew, want := range map[time.Duration]time.Duration{
			0: 20 * time.Second, 10 * time.Minute: 20 * time.Second, -30 * time.Hour: 20 * time.Second,
		} {
			theirs := now.Add(skew)
			header := http.Header{"Date": {theirs.UTC().Format(http.TimeFormat)}}
			for _, text := range []string{
				strconv.FormatInt(theirs.Add(20*time.Second).Unix(), 10), strconv.FormatInt(theirs.Add(20*time.Second).UnixMilli(), 10),
				theirs.Add(20 * time.Second).UTC().Format(http.TimeFormat),
			} {
				if d, odd := clocksOf(header).wait([]string{text}); d != want || odd {
					t.Errorf("their clock is off by %v, %s: %v, odd %v; want %v", skew, text, d, odd, want)
				}
			}
		}
		at := []string{strconv.FormatInt(now.Add(20*time.Second).Unix(), 10)}
		for _, date := range []string{"", "yesterday", "Thu, 31 Dec 1970 23:59:59 GMT"} {
			if d, odd := clocksOf(http.Header{"Date": {date}}).wait(at); d != 20*time.Second || odd {
				t.Errorf("with the date %q: %v, odd %v", date, d, odd)
			}
		}
	})
}

// A number of calls that are left. Below none means a limit overdrawn only where
// the call was refused.
func TestRemaining(t *testing.T) {
	for text, want := range map[string][2]float64{ // beside a 429, beside a 200
		"": {absent, absent}, "7": {7, 7}, " 2.5 ": {2.5, 2.5}, "0": {0, 0}, "-3": {0, absent}, "-1": {0, absent},
		"1e300": {1e300, 1e300}, "1e999": {absent, absent}, "NaN": {absent, absent}, "inf": {absent, absent}, "none": {absent, absent},
		"5, 3": {3, 3}, "x,3": {3, 3}, "0x1": {absent, absent},
	} {
		for i, status := range []int{429, 200} {
			a := answer{status: status}
			if got := a.remaining([]string{text}); got != want[i] {
				t.Errorf("%d, %q: %v, want %v", status, text, got, want[i])
			}
		}
	}
}

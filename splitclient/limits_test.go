package splitclient

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

// Limits come with any answer, and are learnt before they hurt.
func TestLimitsOnAGoodAnswer(t *testing.T) {
	base := serve(t, reply{200, jsonType, "{}", map[string]string{
		"x-ratelimit-remaining-org": " 41.5", "X-RateLimit-Remaining-IP": "0",
		"X-RateLimit-Reset-Seconds-Org": "0.5", "X-RateLimit-Reset-Seconds-IP": "60",
	}})
	out := newClient(t, base).Do(t.Context(), call(audience.Add, "1"))
	sameVerdict(t, out, delivered(OK))
	want := Limits{RemainingOrg: 41.5, RemainingIP: 0, ResetOrg: 500 * time.Millisecond, ResetIP: time.Minute}
	if out.Limits != want || out.Delay != 0 {
		t.Errorf("limits %+v, delay %v; want %+v", out.Limits, out.Delay, want)
	}
}

func TestLimitHeaders(t *testing.T) {
	for text, want := range map[string]struct {
		remaining float64
		reset     time.Duration
	}{
		"": {absent, absent}, "7": {7, 7 * time.Second}, " 2.5 ": {2.5, 2500 * time.Millisecond}, "0": {0, 0}, "-0": {0, 0},
		"-3": {0, absent}, "1e3": {1000, 1000 * time.Second}, "3600": {3600, MaxThrottle}, "3601": {3601, MaxThrottle},
		"1e300": {1e300, MaxThrottle}, "1e999": {absent, absent}, "inf": {absent, absent}, "NaN": {absent, absent},
		"5, 5": {absent, absent}, "5s": {absent, absent}, "soon": {absent, absent}, "0.0000000001": {1e-10, 1},
	} {
		if got := parseRemaining(text); got != want.remaining {
			t.Errorf("remaining %q: %v, want %v", text, got, want.remaining)
		}
		if got := parseReset(text); got != want.reset {
			t.Errorf("reset %q: %v, want %v", text, got, want.reset)
		}
	}
}

// A date is as far away as the clock says.
func TestRetryAfterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		if got := parseRetryAfter(at); got != 90*time.Second {
			t.Errorf("%s in %v, want 90s", at, got)
		}
	})
}

// Whatever a server puts into its headers, the wait has its bounds.
func FuzzRateHeaders(f *testing.F) {
	f.Add("0", "12.5", "3", "0.1", "7")
	f.Add("", "", "", "", "Fri, 31 Dec 1999 23:59:59 GMT")
	f.Add("-1", "NaN", "1e308", "-Inf", "0x1p-2")
	f.Fuzz(func(t *testing.T, remOrg, remIP, resOrg, resIP, retry string) {
		header := http.Header{
			"X-Ratelimit-Remaining-Org": {remOrg}, "X-Ratelimit-Remaining-Ip": {remIP},
			"X-Ratelimit-Reset-Seconds-Org": {resOrg}, "X-Ratelimit-Reset-Seconds-Ip": {resIP},
		}
		a := &answer{status: 429, limits: parseLimits(header), retryAfter: parseRetryAfter(retry)}
		out := judge(a)
		if out.Kind != Throttled || out.Delay < MinThrottle || out.Delay > MaxThrottle {
			t.Errorf("%v, delay %v", out.Kind, out.Delay)
		}
		if (out.DelayIP != 0) != (out.Reason == ThrottledIP) || out.DelayIP > out.Delay || out.DelayIP < 0 {
			t.Errorf("%s: delay %v, for all %v", out.Reason, out.Delay, out.DelayIP)
		}
		l := out.Limits
		if l.RemainingOrg < absent || l.RemainingIP < absent || l.ResetOrg < absent || l.ResetIP < absent || max(l.ResetOrg, l.ResetIP) > MaxThrottle {
			t.Errorf("limits %+v", l)
		}
	})
}

package splitclient

import (
	"net/http"
	"testing"
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

// One odd header on a good answer is no fact.
func TestOddLimitsOnAGoodAnswer(t *testing.T) {
	for _, text := range []string{"1e9", "4102444800", "NaN", "-1", "soon"} {
		base := serve(t, reply{200, jsonType, "{}", map[string]string{
			"X-RateLimit-Remaining-IP": "0", "X-RateLimit-Reset-Seconds-IP": text, "Retry-After": text,
		}})
		out := newClient(t, base).Do(t.Context(), call(audience.Add, "1"))
		sameVerdict(t, out, delivered(OK))
		if out.Limits.ResetIP >= 0 || out.Delay != 0 || out.Doubtful || out.DoubtfulIP {
			t.Errorf("%s: %+v", text, out)
		}
	}
}

// Whatever a server puts into its headers, the wait has its bounds.
func FuzzRateHeaders(f *testing.F) {
	f.Add("0", "12.5", "3", "0.1", "7")
	f.Add("", "", "", "", "Fri, 31 Dec 1999 23:59:59 GMT")
	f.Add("-1", "NaN", "1e308", "-Inf", "0x1p-2")
	f.Add("5, 0", "-1", "1,5", "4102444800", "1764108000000")
	f.Add("0", "0", "30s", "2026-11-25T12:00:00Z", "-5h")
	f.Fuzz(func(t *testing.T, remOrg, remIP, resOrg, resIP, retry string) {
		header := http.Header{
			"X-Ratelimit-Remaining-Org": {remOrg}, "X-Ratelimit-Remaining-Ip": {remIP},
			"X-Ratelimit-Reset-Seconds-Org": {resOrg}, "X-Ratelimit-Reset-Seconds-Ip": {resIP}, "Retry-After": {retry}, "Date": {retry},
		}
		a := &answer{status: 429}
		a.readLimits(header)
		out := judge(a)
		if out.Kind != Throttled || out.Delay < MinThrottle || out.Delay > MaxThrottle {
			t.Errorf("%v, delay %v", out.Kind, out.Delay)
		}
		if (out.DelayIP != 0) != (out.Reason == ThrottledIP) || out.DelayIP > out.Delay || out.DelayIP < 0 {
			t.Errorf("%s: delay %v, for all %v", out.Reason, out.Delay, out.DelayIP)
		}
		if out.DoubtfulIP && out.DelayIP != MinThrottle && !out.Doubtful {
			t.Errorf("%s: %v of doubt for all, %v of none", out.Reason, out.DelayIP, out.Delay)
		}
		l := out.Limits
		if l.RemainingOrg < absent || l.RemainingIP < absent || l.ResetOrg < absent || l.ResetIP < absent || max(l.ResetOrg, l.ResetIP) > MaxThrottle {
			t.Errorf("limits %+v", l)
		}
	})
}

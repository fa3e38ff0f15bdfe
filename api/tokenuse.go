package api

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// tokenUse shows when each token was shown last, by its name. Tokens come and go while the
// server runs, and with them their series.
type tokenUse struct {
	tokens *tokens
	last   *prometheus.Desc
}

func newTokenUse(t *tokens) *tokenUse {
	return &tokenUse{t, prometheus.NewDesc("audiences_auth_token_last_used_timestamp_seconds",
		"When a post showed the token last, in seconds since 1970; 0: not since the start.", []string{"token"}, nil)}
}

// Describe tells the one metric.
func (u *tokenUse) Describe(to chan<- *prometheus.Desc) { to <- u.last }

// Collect tells the later use of tokens of one name: an authToken may be replaced twice
// before the first one ends.
func (u *tokenUse) Collect(to chan<- prometheus.Metric) {
	last := map[string]int64{}
	for _, h := range u.tokens.all() {
		name := strings.ToValidUTF8(h.Name, "\uFFFD")
		last[name] = max(last[name], h.lastUse.Load())
	}
	for name, at := range last {
		to <- prometheus.MustNewConstMetric(u.last, prometheus.GaugeValue, float64(at), name)
	}
}

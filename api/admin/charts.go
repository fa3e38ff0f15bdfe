package admin

import (
	"net/http"
	"time"

	"audiences/api/admin/series"
)

// SeriesAnswer is GET /admin/api/v1/series: how the relay fared.
type SeriesAnswer struct {
	Now    series.Now     `json:"now"`
	Points []series.Point `json:"points"` // the oldest first
}

const (
	mostPoints     = 720 // that a chart can show
	shortestWindow = 15 * time.Minute
)

func (s *Server) seriesOf(r *http.Request) (any, error) {
	given, err := parameters(r, "window")
	if err != nil {
		return nil, err
	}
	back := time.Hour
	if text := given["window"]; text != "" {
		if back, err = time.ParseDuration(text); err != nil || back < shortestWindow || back > series.Longest {
			return nil, bad("window is a length of time from 15m to 24h, such as 6h")
		}
	}
	return SeriesAnswer{s.series.Now(s.fresh()), s.series.Since(time.Now().Add(-back), mostPoints)}, nil
}

// fresh is within how long a key ought to be at Split: two intervals and a call.
func (s *Server) fresh() time.Duration { return 2*s.changing.Load().FlushInterval + 10*time.Second }

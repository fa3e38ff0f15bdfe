package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"audiences/actors"
)

// ping and uptime are what load balancers watch; they ask nobody, so nothing
// that hangs elsewhere makes them wait.
func (s *Server) ping(c echo.Context) error { return c.String(http.StatusOK, "pong") }

func (s *Server) uptime(c echo.Context) error {
	return c.String(http.StatusOK, uptimeText(time.Since(s.options.Started)))
}

func uptimeText(up time.Duration) string {
	seconds := int64(up / time.Second)
	return fmt.Sprintf("%dd:%dh:%dm:%ds", seconds/86400, seconds/3600%24, seconds/60%60, seconds%60)
}

// cache shows how many keys wait, per segment. The old server showed it to
// everybody, with a part of each apiToken.
func (s *Server) cache(c echo.Context) error {
	done, err := s.authorize(c.Request())
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.options.AnswerTimeout)
	defer cancel()
	views, err := s.options.Segments(ctx)
	if err != nil {
		return errNoView
	}
	return c.String(http.StatusOK, cacheText(views))
}

// cacheText writes a line per segment and verb in the old server's form. Segments
// that differ in nothing but their traffic type, which the form does not show,
// share a line. Keys that are in the journal alone are not told apart by verb
// without reading them, so they have a line of their own, called stored.
func cacheText(views []actors.SegmentView) string {
	counts := make(map[string]int)
	for _, view := range views {
		name := fmt.Sprintf("%s:%s:%s:%s:", view.Segment.Tenant,
			orNull(view.Segment.Workspace), view.Segment.Environment, view.Segment.Name)
		counts[name+"add"] += view.Adds
		counts[name+"delete"] += view.Deletes
		counts[name+"stored"] += view.Stored
	}
	lines := make([]string, 0, len(counts))
	for name, count := range counts {
		if count > 0 {
			lines = append(lines, fmt.Sprintf("%s => %d", name, count))
		}
	}
	if len(lines) == 0 {
		return "cache empty"
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func orNull(id string) string {
	if id == "" {
		return "null"
	}
	return id
}

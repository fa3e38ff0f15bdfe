package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"audiences/audience"
)

// Post is what Options.Answered is told of a post. It has no key and no token (I7).
type Post struct {
	TraceParent, TraceState string // the caller's trace context (W3C), as it came; "": none
	Began, Ended            time.Time
	Status                  int              // of the answer
	Segment                 audience.Segment // its tenant alone, or nothing, where the body was refused
	Verb                    audience.Verb    // 0: the body was refused
	Keys                    int              // different ones
}

// postKey is where the context of a request has what is known of its post so far.
const postKey = "post"

// noteShown notes that the token was shown. Who has not shown it could fill the store
// of traces.
func (s *Server) noteShown(c echo.Context) {
	if s.options.Answered != nil {
		c.Set(postKey, Post{})
	}
}

// notePost notes what is posted, before the relay may change the set of keys.
func (s *Server) notePost(c echo.Context, req request) {
	if s.options.Answered != nil {
		c.Set(postKey, Post{Segment: req.change.Segment, Verb: req.change.Verb, Keys: req.change.Keys.Len()})
	}
}

// tell tells of a post that is answered.
func (s *Server) tell(c echo.Context, began time.Time) {
	if s.options.Answered == nil {
		return
	}
	post, ok := c.Get(postKey).(Post)
	if !ok {
		return
	}
	if post.Verb == 0 {
		post.Segment.Tenant = tenantOf(c)
	}
	header := c.Request().Header
	post.TraceParent, post.TraceState = header.Get("Traceparent"), header.Get("Tracestate")
	post.Began, post.Ended, post.Status = began, time.Now(), c.Response().Status
	s.options.Answered(post)
}

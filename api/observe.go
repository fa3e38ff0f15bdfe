package api

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"audiences/api/connections"
	"audiences/audience"
)

// observe is the one middleware: it tells the gate that a request has come,
// contains panics, has errors written, counts the answer and tells of it.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		conn := connections.From(c.Request().Context())
		conn.Touch()
		if conn.Outstayed() {
			c.Response().Header().Set(echo.HeaderConnection, "close") // over HTTP/2 net/http makes a GOAWAY of it
		}
		if err := s.contain(next, c); err != nil {
			c.Error(err)
		}
		if c.Request().ProtoMajor > 1 && conn.IsStranger() {
			_ = c.Request().Body.Close() // what still comes would be kept for as long as the answer is not taken
		}
		s.metrics.answered(c.Response().Status)
		s.debug(c, time.Since(began))
		s.tell(c, began)
		return nil
	}
}

// debug writes a line for each request, at that level. Paths and methods are the
// caller's words and may be of a token or a key (I7), so only known ones are told.
func (s *Server) debug(c echo.Context, took time.Duration) {
	event := s.options.Logger.Debug()
	if !event.Enabled() {
		return
	}
	if tenant := tenantOf(c); tenant != (audience.TenantID{}) {
		event.Stringer("tenant", tenant)
	}
	event.Str("method", known(c.Request().Method, methods)).Str("path", known(c.Request().URL.Path, paths)).
		Int("status", c.Response().Status).Dur("ms", took.Round(time.Microsecond)).Str("from", c.RealIP()).
		Msg("answered")
}

var (
	methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace}
	paths = []string{"/audiences", "/audiences/", "/ping", "/ping/", "/uptime", "/uptime/", "/cache", "/cache/"}
)

// known is the word if it is one of these.
func known(word string, words []string) string {
	if slices.Contains(words, word) {
		return word
	}
	return "unknown"
}

// contain turns a panic into a 500. The panic's value is not logged and neither
// are the stack's arguments, as both may hold a key or a token (I7); its type and
// the places in the code are enough to find the fault.
func (s *Server) contain(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		s.metrics.panics.Inc()
		err = &crash{value: fmt.Sprintf("%T", value), stack: stack()}
		if c.Response().Committed {
			s.refusals.note(c, errOurs, err)
			panic(http.ErrAbortHandler) // the answer is half written: only cutting it off is honest
		}
	}()
	return next(c)
}

// crash is a panic as the log may tell of it; to the caller it is errOurs.
type crash struct {
	value string // its type
	stack []string
}

func (c *crash) Error() string { return errOurs.message }

func (c *crash) Unwrap() error { return errOurs }

// stack lists the functions and lines that led to a panic being recovered.
func stack() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for {
		frame, more := frames.Next()
		lines = append(lines, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			return lines
		}
	}
}

package api

import (
	"fmt"
	"net/http"
	"runtime"

	"github.com/labstack/echo/v4"

	"audiences/api/connections"
)

// observe is the one middleware: it tells the gate that a request has come,
// contains panics, has errors written, and counts the answer.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
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
		return nil
	}
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
		s.options.Logger.Error().Str("panic", fmt.Sprintf("%T", value)).Strs("stack", stack()).
			Msg("BUG: a request's handling panicked")
		if c.Response().Committed {
			panic(http.ErrAbortHandler) // the answer is half written: only cutting it off is honest
		}
		err = errOurs
	}()
	return next(c)
}

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

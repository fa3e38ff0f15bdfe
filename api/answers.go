package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// failure is every answer but a 200. The lambda passes the message on to
// mParticle, so it must make sense to a person there, and it must not contain a
// token or a key (I7).
type failure struct {
	status     int
	message    string
	retryAfter int // seconds; 0: no Retry-After
}

func (f *failure) Error() string { return f.message }

// Seconds for Retry-After: overload passes quickly, a restart takes longer.
const (
	retrySoon  = 1
	retryLater = 5
)

var (
	errMethod = &failure{status: http.StatusMethodNotAllowed, message: "method not allowed"}
	errToken  = &failure{status: http.StatusUnauthorized, message: "auth token doesn't match"}
	errPath   = &failure{status: http.StatusNotFound, message: "not found"}
	errOurs   = &failure{status: http.StatusInternalServerError, message: "internal error: outcome unknown, send it again"}

	errDraining = &failure{status: http.StatusServiceUnavailable, message: "the relay is stopping, send it again", retryAfter: retryLater}
	errCrowded  = &failure{status: http.StatusServiceUnavailable, message: "too many requests under way, send it again", retryAfter: retrySoon}
	errHeavy    = &failure{status: http.StatusServiceUnavailable, message: "too many bytes under way, send it again", retryAfter: retrySoon}
	errUnknown  = &failure{status: http.StatusServiceUnavailable, message: "outcome unknown, send it again", retryAfter: retrySoon}
	errNoView   = &failure{status: http.StatusServiceUnavailable, message: "segments cannot be listed now", retryAfter: retrySoon}

	errCompressed = invalidBody("it is compressed; send it as it is, without Content-Encoding")

	errCutBody  = &failure{status: http.StatusBadRequest, message: "invalid POST body: it was cut off"}
	errSlowBody = &failure{status: http.StatusRequestTimeout, message: "the POST body did not arrive in time"}
)

func badRequest(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func invalidBody(format string, args ...any) *failure {
	return badRequest("invalid POST body: "+format, args...)
}

func refused(cause error) *failure {
	return &failure{status: http.StatusServiceUnavailable, message: cause.Error(), retryAfter: retryLater}
}

func bodyTooLarge(limit int64) *failure {
	message := fmt.Sprintf("POST body is larger than %d bytes", limit)
	return &failure{status: http.StatusRequestEntityTooLarge, message: message}
}

func tooManyKeys(limit int) *failure {
	message := fmt.Sprintf("mpids has more than %d different keys; send them in several posts", limit)
	return &failure{status: http.StatusRequestEntityTooLarge, message: message}
}

// answerError is Echo's error handler: it writes any error as a failure.
func (s *Server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f := asFailure(err)
	header := c.Response().Header()
	if f.status == http.StatusMethodNotAllowed {
		header.Set(echo.HeaderAllow, http.MethodPost)
	}
	if f.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(f.retryAfter))
	}
	body, _ := jsontext.AppendQuote([]byte(`{"message":`), f.message) // replaces bad UTF-8 when it reports it
	_ = c.JSONBlob(f.status, append(body, '}'))                       // fails only when the caller has gone
	if f != errSlowBody && f != errCutBody {
		linger(c)
	}
}

// lingerTime bounds how long a refused caller's body is read away.
const lingerTime = 500 * time.Millisecond

// linger reads away what still comes of a body after a refusal that did not wait
// for it. The lambda asks for the connection to be closed after the answer, and
// net/http does that at once: bytes that arrive then are answered with a reset,
// which can overtake the answer, and the lambda tells mParticle 500 in place of it.
func linger(c echo.Context) {
	r := c.Request()
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return
	}
	control := http.NewResponseController(c.Response())
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, r.Body) // whatever it meets, the answer is out
	}
}

func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok && e.Code == http.StatusNotFound {
		return errPath
	}
	return errOurs
}

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
	cause      Cause
	message    string
	retryAfter int    // seconds; 0: no Retry-After
	field      string // the body's field that is at fault; "": none, or no single one
	reason     string // what stands behind CauseOther
}

func (f *failure) Error() string { return f.message }

// Seconds for Retry-After: overload passes quickly, a restart takes longer.
const (
	retrySoon  = 1
	retryLater = 5
)

var (
	errMethod = &failure{status: http.StatusMethodNotAllowed, cause: CauseMethod, message: "method not allowed"}
	errToken  = &failure{status: http.StatusUnauthorized, cause: CauseToken, message: "auth token doesn't match"}
	errPath   = &failure{status: http.StatusNotFound, cause: CausePath, message: "not found"}
	errOurs   = &failure{status: http.StatusInternalServerError, cause: CauseBug, message: "internal error: outcome unknown, send it again"}

	errDraining    = unavailable(CauseStopping, "the relay is stopping, send it again", retryLater)
	errCrowded     = unavailable(CauseRequests, "too many requests under way, send it again", retrySoon)
	errLetGo       = unavailable(CauseLetGo, "too many requests under way, send it again", retrySoon)
	errHeavy       = unavailable(CauseBytes, "too many bytes under way, send it again", retrySoon)
	errUnconfirmed = unavailable(CauseUnconfirmed, "outcome unknown, send it again", retrySoon)
	errNoAnswer    = unavailable(CauseNoAnswer, "outcome unknown, send it again", retrySoon)
	errNoView      = unavailable(CauseNoView, "segments cannot be listed now", retrySoon)

	errCompressed = invalidBody("it is compressed; send it as it is, without Content-Encoding")

	errCutBody  = &failure{status: http.StatusBadRequest, cause: CauseCut, message: "invalid POST body: it was cut off"}
	errSlowBody = &failure{status: http.StatusRequestTimeout, cause: CauseSlow, message: "the POST body did not arrive in time"}
)

func unavailable(cause Cause, message string, retryAfter int) *failure {
	return &failure{status: http.StatusServiceUnavailable, cause: cause, message: message, retryAfter: retryAfter}
}

// invalidBody is for what is wrong before a field can be looked at.
func invalidBody(format string, args ...any) *failure {
	message := "invalid POST body: " + fmt.Sprintf(format, args...)
	return &failure{status: http.StatusBadRequest, cause: CauseBody, message: message}
}

// badField says what is wrong with one field, by its name in the body.
func badField(name, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, cause: CauseField, field: name, message: fmt.Sprintf(format, args...)}
}

// refused is for what Refuse and Admit say, whose words are not of a body.
func (s *Server) refused(why error) *failure {
	f := unavailable(s.options.CauseOf(why), why.Error(), retryLater)
	if f.cause == CauseOther {
		f.reason = f.message
	}
	return f
}

func bodyTooLarge(limit int64) *failure {
	message := fmt.Sprintf("POST body is larger than %d bytes", limit)
	return &failure{status: http.StatusRequestEntityTooLarge, cause: CauseTooLarge, message: message}
}

func tooManyKeys(limit int) *failure {
	message := fmt.Sprintf("mpids has more than %d different keys; send them in several posts", limit)
	return &failure{status: http.StatusRequestEntityTooLarge, cause: CauseTooMany, message: message}
}

// answerError is Echo's error handler: it writes any error as a failure.
func (s *Server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f := asFailure(err)
	s.refusals.note(c, f, err)
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

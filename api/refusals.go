package api

import (
	"errors"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/logging"
)

// refusalLog counts all requests that are refused, and tells of them: of each cause the
// first one at once and then one line a period. Nothing of a body, an Authorization or
// a path is in these lines (I7): who had which field at fault is what the caller's
// owner needs, and the answer has the rest.
type refusalLog struct {
	metrics *metrics
	lines   map[Cause]*logging.Gathered[refusal]
}

// refusal is one request that was refused.
type refusal struct {
	field, reason string // as in failure
	tenant        audience.TenantID
	from          string // the caller's IP address
	crash         *crash // nil but for CauseBug
}

func newRefusalLog(m *metrics, logger zerolog.Logger) *refusalLog {
	r := &refusalLog{metrics: m, lines: map[Cause]*logging.Gathered[refusal]{}}
	for cause, words := range causeWords {
		level := zerolog.WarnLevel
		if cause == CauseBug {
			level = zerolog.ErrorLevel
		}
		r.lines[cause] = logging.Gather(logging.GatherFor, nil, func(count int, latest refusal) {
			event := logger.WithLevel(level).Str("cause", string(cause)).Int("count", count)
			latest.addTo(event)
			event.Msg(words)
		})
	}
	return r
}

// addTo adds what is known.
func (r refusal) addTo(event *zerolog.Event) {
	if r.field != "" {
		event.Str("field", r.field)
	}
	if r.reason != "" {
		event.Str("reason", r.reason)
	}
	if r.tenant != (audience.TenantID{}) {
		event.Stringer("tenant", r.tenant)
	}
	if r.from != "" {
		event.Str("from", r.from)
	}
	if r.crash != nil {
		event.Str("panic", r.crash.value).Strs("stack", r.crash.stack)
	}
}

// note takes a request that is about to be answered with f on account of err.
func (r *refusalLog) note(c echo.Context, f *failure, err error) {
	made, _ := errors.AsType[*crash](err)
	r.add(f.cause, refusal{field: f.field, reason: f.reason, tenant: tenantOf(c), from: c.RealIP(), crash: made})
}

func (r *refusalLog) add(cause Cause, one refusal) {
	r.metrics.refused.WithLabelValues(string(cause)).Inc()
	r.lines[cause].Note(one)
}

func (r *refusalLog) flush() {
	for _, lines := range r.lines {
		lines.Flush()
	}
}

// tenantKey is where a request's context keeps the tenant.
const tenantKey = "tenant"

// noteTenant says whose a request is, once that is known; the zero tenant is nobody.
func noteTenant(c echo.Context, tenant audience.TenantID) {
	if tenant != (audience.TenantID{}) {
		c.Set(tenantKey, tenant)
	}
}

func tenantOf(c echo.Context) audience.TenantID {
	tenant, _ := c.Get(tenantKey).(audience.TenantID)
	return tenant
}

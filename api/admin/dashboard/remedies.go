package dashboard

import (
	"net/url"

	"audiences/status"
)

// Remedies are the buttons beside something: those that may change something about it.
type Remedies struct {
	Target   string // parameters that name what is meant
	Remedies []status.Remedy
}

// Remedies are those of one tenant. A segment that is paused by itself goes on by itself
// alone.
func (t Tenants) Remedies(of status.Tenant) Remedies {
	whole := status.Condition{State: status.Idle}
	if of.Paused {
		whole.State = status.Paused
	}
	if of.Is(status.Parked) {
		whole.Also = status.Parked
	}
	return Remedies{url.Values{"tenant": {of.Tenant}}.Encode(), append(offered(whole, of.Counts), status.Move)}
}

// Remedies are those of all segments that the filter lets through.
func (s Segments) Remedies() Remedies {
	filter := url.Values{"filter": {"yes"}, "tenant": {s.Query.Get("tenant")}, "state": {s.Query.Get("state")}, "search": {s.Query.Get("search")}}
	return Remedies{filter.Encode(), []status.Remedy{status.Flush, status.Pause, status.Resume, status.Retry, status.Discard}}
}

// Remedies are those of something that is parked.
func (p Parked) Remedies(of Row) Remedies {
	return Remedies{of.Target(), []status.Remedy{status.Retry, status.Discard}}
}

// Remedies are those of one segment.
func (d Detail) Remedies() Remedies {
	return Remedies{d.Row.Target(), offered(d.Detail.Condition, d.Detail.Counts)}
}

// offered are the remedies that may change something.
func offered(c status.Condition, n status.Counts) (some []status.Remedy) {
	if c.Is(status.Paused) {
		some = append(some, status.Resume)
	} else {
		some = append(some, status.Flush, status.Pause)
	}
	if c.Is(status.Parked) || n.Parked > 0 {
		some = append(some, status.Retry, status.Discard)
	}
	return some
}

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

// Remedies are those of one tenant.
func (t Tenants) Remedies(of status.Tenant) Remedies {
	offered := offered(of.Condition, of.Counts)
	// A segment that is paused singly does not keep its tenant from being paused.
	if of.State == status.Paused {
		offered = append(offered, status.Pause)
	}
	return Remedies{url.Values{"tenant": {of.Tenant}}.Encode(), append(offered, status.Move)}
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
	if c.State == status.Paused {
		some = append(some, status.Resume)
	} else {
		some = append(some, status.Flush, status.Pause)
	}
	if c.State == status.Parked || n.Parked > 0 {
		some = append(some, status.Retry, status.Discard)
	}
	return some
}

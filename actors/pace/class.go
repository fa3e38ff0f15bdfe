package pace

import "audiences/splitclient"

// Class is what a tenant may expect when there is not enough for all (ADR 12).
// Anybody with the authToken can make up tenants, so who has never delivered
// anything must not be able to take from those who have.
type Class uint8

// The classes, the best first.
const (
	Proven    Class = iota // Split took keys of it once, and it does not fail now
	Faltering              // proven, and failing now: it goes before the two below
	New                    // no call of it has ended yet
	Failing                // it never delivered anything, and was tried
	classes
)

// String is the class in lower case.
func (c Class) String() string {
	return [...]string{"proven", "faltering", "new", "failing"}[c]
}

// Record is what the calls of a tenant have shown. The zero value is that of a
// tenant without any.
type Record struct {
	Proven   bool // Split took keys of it once; the journal keeps that
	failures int  // in a row
}

// falters is how many failures in a row make a proven tenant faltering. A call
// that timed out is worth as many: it takes a slot for its whole timeout.
const falters = 2

// Note records the outcome of a call, and reports whether the tenant is proven by
// it. What says nothing of the tenant changes nothing: a slot that was not used, a
// limit of our address, the relay's own stop. Nor does a refusal of keys or of a
// segment change anything for a proven tenant, whose other segments may be sound.
func (r *Record) Note(o splitclient.Outcome) (proves bool) {
	switch {
	case o.Kind == splitclient.Delivered:
		proves = !r.Proven
		*r = Record{Proven: true}
	case o.Kind == 0, o.Reason == splitclient.Cancelled, o.Reason == splitclient.ThrottledIP:
	case r.Proven && o.Kind == splitclient.Permanent && o.Reason != splitclient.Unauthorized:
	case o.Reason == splitclient.Timeout:
		r.failures = max(r.failures, falters)
	default:
		r.failures++
	}
	return proves
}

// Class is what follows from the record.
func (r Record) Class() Class {
	switch {
	case r.Proven && r.failures < falters:
		return Proven
	case r.Proven:
		return Faltering
	case r.failures == 0:
		return New
	}
	return Failing
}

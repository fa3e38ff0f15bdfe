package actors

import "audiences/splitclient"

// class is what a tenant may expect when there is not enough for all (ADR 12).
// Anybody with the authToken can make up tenants, so who has never delivered
// anything must not be able to take from those who have.
type class uint8

const (
	classProven    class = iota // Split took keys of it once, and it does not fail now
	classFaltering              // proven, and failing now: it goes before the two below
	classNew                    // no call of it has ended yet
	classFailing                // it never delivered anything, and was tried
	classes
)

// String is the class for a test's output.
func (c class) String() string {
	return [...]string{"proven", "faltering", "new", "failing"}[c]
}

// standing is what is known of a tenant that makes its class.
type standing struct {
	proven   bool // Split took keys of it once; the journal keeps that
	failures int  // in a row
}

// falters is how many failures in a row a proven tenant is allowed. A call without
// an end is worth as many: it takes a slot for its whole timeout.
const falters = 2

// learn takes the outcome of a call in, and reports whether it proves the tenant.
// What says nothing of the tenant changes nothing: a slot that was not used, a
// limit of our address, the relay's own stop. Nor does a refusal of keys or of a
// segment change anything for a proven tenant, whose other segments may be sound.
func (s *standing) learn(o splitclient.Outcome) (proves bool) {
	switch {
	case o.Kind == splitclient.Delivered:
		proves = !s.proven
		*s = standing{proven: true}
	case o.Kind == 0, o.Reason == splitclient.Cancelled, o.Reason == splitclient.ThrottledIP:
	case s.proven && o.Kind == splitclient.Permanent && o.Reason != splitclient.Unauthorized:
	case o.Reason == splitclient.Timeout:
		s.failures = max(s.failures+1, falters)
	default:
		s.failures++
	}
	return proves
}

func (s standing) class() class {
	switch {
	case s.proven && s.failures < falters:
		return classProven
	case s.proven:
		return classFaltering
	case s.failures == 0:
		return classNew
	}
	return classFailing
}

package pace

import "audiences/splitclient"

// failures is how many calls in a row have failed for now, during a drain. A stop
// need not try a destination for every segment to know that it is dead: after the
// first failure one call at a time finds out whether anything gets an answer, and
// after MostFailures there is no more.
type failures int

// MostFailures is how many calls in a row may fail during a drain before no more is
// tried.
const MostFailures = 4

// note records an outcome. Every answer that is about the call ends the row.
func (f *failures) note(o splitclient.Outcome) {
	switch {
	case o.Kind == 0 || o.Reason == splitclient.Cancelled:
	case o.Kind == splitclient.Transient:
		*f++
	default:
		*f = 0
	}
}

// usable is how many of so many slots may be taken.
func (f failures) usable(slots int) int {
	switch {
	case f == 0:
		return slots
	case int(f) < min(MostFailures, slots):
		return 1
	}
	return 0
}

// drain is what the calls of a drain have shown, of the proven tenants and of the
// others apart.
type drain struct{ proven, others failures }

// note records an outcome by the class that the tenant had. When proven tenants get
// no answer, the others need not try; an answer to those says nothing of the others.
func (d *drain) note(c Class, o splitclient.Outcome) {
	if c == Proven {
		d.proven.note(o)
	}
	if c != Proven || o.Kind == splitclient.Transient {
		d.others.note(o)
	}
}

// usable is how many of so many slots all tenants of the class may hold together;
// those that are not proven are one class here. Without a drain it is all of them.
func (d *drain) usable(c Class, slots int) int {
	switch {
	case d == nil:
		return slots
	case c == Proven:
		return d.proven.usable(slots)
	}
	return d.others.usable(slots)
}

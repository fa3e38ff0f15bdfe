package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus"
)

// waitReason is what keeps a tenant from a call that it wants. The texts are those of
// package status, where it has them.
type waitReason string

const (
	waitedOff        = waitReason(status.Held)
	waitedPaused     = waitReason(status.Paused)
	waitedToken      = waitReason(status.TokenRefused)
	waitedForTenant  = waitReason(status.ForTenantLimit) // Split's limit or the operator's ceiling
	waitedForAddress = waitReason(status.ForAddressLimit)
	waitedForTurn    = waitReason(status.ForTurn) // others were first, or as many calls as there may be were under way
)

var waitReasons = []waitReason{waitedOff, waitedPaused, waitedToken, waitedForTenant, waitedForAddress, waitedForTurn}

// waiting measures how long a tenant that wants to call has to wait, and for what. First
// the tenant itself may not call, then it waits for a slot of the registry's.
type waiting struct {
	since  time.Time // zero: it does not wait
	reason waitReason
}

// barred notes that the tenant may not call yet.
func (w *waiting) barred(gate pace.Gate, now time.Time, waited map[waitReason]prometheus.Observer) {
	reason := waitedForTenant
	switch {
	case gate.Off:
		reason = waitedOff
	case gate.Paused:
		reason = waitedPaused
	case gate.Refused:
		reason = waitedToken
	case gate.ByAddress && gate.Blocked.After(now):
		reason = waitedForAddress
	}
	if w.since.IsZero() || w.reason != reason {
		w.end(now, waited)
		*w = waiting{now, reason}
	}
}

// queued notes that the tenant waits for a slot.
func (w *waiting) queued(now time.Time, waited map[waitReason]prometheus.Observer) {
	w.end(now, waited)
	*w = waiting{now, waitedForTurn}
}

// granted notes that there is one; limited is when the registry last had none for the
// limit of the address.
func (w *waiting) granted(now, limited time.Time, waited map[waitReason]prometheus.Observer) {
	if !limited.Before(w.since) {
		w.reason = waitedForAddress
	}
	w.end(now, waited)
}

// end notes that the wait is over, if there was one.
func (w *waiting) end(now time.Time, waited map[waitReason]prometheus.Observer) {
	if !w.since.IsZero() {
		waited[w.reason].Observe(now.Sub(w.since).Seconds())
	}
	*w = waiting{}
}

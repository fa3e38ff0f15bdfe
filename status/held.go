package status

import (
	"fmt"
	"time"
)

// TenantHolds says that a tenant's pause still keeps from being sent what a remedy has let
// go. tenant is the fingerprint where it is not the tenant that the remedy is about; "": it
// is.
func TenantHolds(tenant string, until, now time.Time) string {
	of := "The tenant"
	if tenant != "" {
		of = "Tenant " + tenant
	}
	return fmt.Sprintf("%s is paused%s: nothing is sent before.", of, pauseEnd(until, now))
}

// SegmentsHold says it of so many segments, each of which is paused by itself.
func SegmentsHold(segments int) string {
	if segments == 1 {
		return "1 segment of these is paused: nothing of it is sent before that is over."
	}
	return Count(segments, "segment") + " of these are paused: nothing of them is sent before that is over."
}

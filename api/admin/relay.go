package admin

import (
	"context"

	"audiences/audience"
	"audiences/status"
)

// Relay is what the server shows, and what it does at an operator's wish. A segment with
// a Tenant alone stands for all of that tenant, where a method says so.
type Relay interface {
	// Status is every tenant with its segments, see actors.Relay.Status. With
	// status.ErrPartial comes a list that may lack some.
	Status(context.Context) ([]status.Tenant, error)
	// Budgets are the rate limits: the address first, then the tenants of which an answer
	// told theirs, in the order of Status.
	Budgets(context.Context) ([]status.Budget, error)
	// Segment is one segment with its last calls. It may wait for the disk.
	Segment(context.Context, audience.Segment) (status.Detail, error)
	// Parked lists a segment's parked keys: at most limit, after the cursor. A segment that
	// nobody knows is status.ErrUnknown.
	Parked(ctx context.Context, in audience.Segment, after string, limit int) (status.ParkedPage, error)
	// Where looks for a key: in one segment, in a tenant, or with the zero Segment in all. A
	// segment without Workspace or TrafficType stands for all that have its other names; one
	// that nobody knows is status.ErrUnknown.
	Where(ctx context.Context, in audience.Segment, key audience.Key, after string) (status.Whereabouts, error)
	// Events are the last ones with a number below before, the newest first; before 0: the
	// last ones of all.
	Events(ctx context.Context, before uint64, limit int) ([]status.Event, error)
	// Note keeps an event that the server itself caused: keys were revealed.
	Note(context.Context, status.Event) error
	// Remedy carries out a wish and returns once that is durable. It answers
	// status.ErrUnknown, ErrPausedNow, ErrOff, ErrNotNeeded and ErrImpossible.
	Remedy(context.Context, status.Wish) (status.Effect, error)
}

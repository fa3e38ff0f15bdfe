package mover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// answered waits for what a journal answers through a function.
func answered[T any](ctx context.Context, ask func(done func(T))) (answer T, err error) {
	got := make(chan T, 1)
	ask(func(answer T) { got <- answer })
	select {
	case answer = <-got:
		return answer, nil
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}

// failed waits for an error.
func failed(ctx context.Context, ask func(done func(error))) error {
	answer, err := answered(ctx, ask)
	return errors.Join(err, answer)
}

// pending calls f with the pages of a segment's pending keys.
func (s Side) pending(ctx context.Context, segment audience.Segment, f func(journal.Page) error) error {
	for after := (journal.Cursor{}); ; {
		page, err := answered(ctx, func(done func(journal.Page)) {
			s.Load(journal.Load{Segment: segment, After: after, Limit: s.page, NotBefore: s.Newest(), Done: done})
		})
		if err = errors.Join(err, page.Err); err != nil {
			return fmt.Errorf("read pending keys in %s: %w", s.Place, err)
		}
		if err := f(page); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		after = page.Next
	}
}

// parked is pending for parked keys.
func (s Side) parked(ctx context.Context, segment audience.Segment, f func([]journal.ParkedEntry) error) error {
	for after := (journal.Cursor{}); ; {
		page, err := answered(ctx, func(done func(journal.ParkedPage)) {
			s.Parked(journal.ParkedQuery{Segment: segment, After: after, Limit: s.page, Done: done})
		})
		if err = errors.Join(err, page.Err); err != nil {
			return fmt.Errorf("read parked keys in %s: %w", s.Place, err)
		}
		for i := range page.Entries {
			page.Entries[i].Refusal = plain(page.Entries[i].Refusal)
		}
		if err := f(page.Entries); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		after = page.Next
	}
}

// append appends changes of one tenant, and waits until they are durable.
func (s Side) append(ctx context.Context, tenant audience.TenantID, changes ...journal.Change) (version journal.Version, err error) {
	for _, c := range changes {
		if err := s.admit(ctx, c.Keys); err != nil {
			return 0, err
		}
	}
	err = failed(ctx, func(done func(error)) {
		version = s.Append(journal.Append{Tenant: tenant, Changes: changes, Done: done})
	})
	if err != nil {
		return 0, fmt.Errorf("write keys to %s: %w", s.Place, err)
	}
	return version, nil
}

// A journal on disk also says that it has no room where changes come faster than it looks
// at the disk.
const (
	roomWait  = 30 * time.Second
	roomPause = 250 * time.Millisecond
)

// admit waits for room.
func (s Side) admit(ctx context.Context, keys audience.Keys) error {
	for began := time.Now(); ; {
		err := s.Admit(keys)
		if err == nil {
			return nil
		}
		if !errors.Is(err, journal.ErrDiskFull) || time.Since(began) > roomWait {
			return fmt.Errorf("write keys to %s: %w", s.Place, err)
		}
		select {
		case <-time.After(roomPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

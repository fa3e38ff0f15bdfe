package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Standby makes a server that follows this one, and waits until each commit here waits
// for it. What is committed is then durable on both, and with the primary's setting
// synchronous_commit = remote_apply it can be read on both. All standbys that are
// connected are waited for.
//
// A standby that ends goes on being waited for, as in production, until the primary is
// configured with an empty synchronous_standby_names. So does a primary that comes back
// after its standby was promoted.
//
// It has the primary's settings and users. Its options win.
func (s *Server) Standby(ctx context.Context, o Options) (*Server, error) {
	standby, err := newServer(o, s.inherited())
	if err != nil {
		return nil, err
	}
	standby.adminPassword, standby.relayPassword = s.adminPassword, s.relayPassword
	name := standbyPrefix + strings.ToLower(rand.Text()[:8])
	if err := standby.copyFrom(ctx, s, name); err != nil {
		return nil, errors.Join(fmt.Errorf("copy a cluster: %w", err), standby.Stop())
	}
	if err := standby.startAnywhere(ctx); err != nil {
		return nil, err
	}
	if err := s.waitFor(ctx, name); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for a standby: %w", err), standby.Stop())
	}
	return standby, nil
}

// standbyPrefix begins the names of our standbys, which are those of their slots, too.
const standbyPrefix = "standby_"

// inherited are the settings that a standby gets from its primary. How durable it is,
// its own options say; nobody follows it.
func (s *Server) inherited() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := maps.Clone(s.settings)
	for name := range careless {
		delete(settings, name)
	}
	delete(settings, "synchronous_standby_names")
	return settings
}

// copyFrom copies the files of a server that runs. The slot has it keep what the copy
// has not received, however long that is away.
func (s *Server) copyFrom(ctx context.Context, primary *Server, name string) error {
	return s.run(ctx, nil, "pg_basebackup", "--pgdata", s.data(), "--checkpoint", "fast", "--no-sync",
		"--create-slot", "--slot", name, "--write-recovery-conf",
		"--dbname", fmt.Sprintf("host=127.0.0.1 port=%d user=%s sslmode=disable application_name=%s", primary.port, superuser, name))
}

// waitFor has each commit wait for all standbys that are connected, the named one among
// them.
func (s *Server) waitFor(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	follows := " FROM pg_stat_replication WHERE state = 'streaming' AND application_name "
	if err := s.untilSQL(ctx, "SELECT count(*)"+follows+"= '"+name+"'", "1"); err != nil {
		return err
	}
	names, err := s.SQL(ctx, "SELECT format('FIRST %s (%s)', count(*), string_agg(application_name, ', '))"+follows+"LIKE '"+standbyPrefix+"%'")
	if err != nil {
		return err
	}
	if err := s.configure(ctx, map[string]string{"synchronous_standby_names": names}); err != nil {
		return err
	}
	// It is the checkpointer that tells all sessions to wait. It reads the settings
	// before it does what it is asked for, so that its answer means that it has.
	if _, err := s.SQL(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	return s.untilSQL(ctx, "SELECT count(*)"+follows+"= '"+name+"' AND sync_state = 'sync'", "1")
}

// Promote has a standby take its primary's place, and waits until it is writable. Nobody
// ends the primary, which may have gone on.
func (s *Server) Promote(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.SQL(ctx, "SELECT pg_promote(false)"); err != nil {
		return fmt.Errorf("promote a standby: %w", err)
	}
	if err := s.untilSQL(ctx, "SELECT pg_is_in_recovery()", "f"); err != nil {
		return fmt.Errorf("promote a standby: %w", err)
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// SQL runs statements as the superuser, by psql, and returns the rows as lines.
func (s *Server) SQL(ctx context.Context, statements string) (string, error) {
	return s.psql(ctx, s.AdminURL(), statements)
}

func (s *Server) psql(ctx context.Context, as, statements string) (string, error) {
	cmd, err := s.psqlCommand(ctx, as, statements)
	if err != nil {
		return "", fmt.Errorf("run psql: %w", err)
	}
	text, err := cmd.Output()
	if err != nil {
		said := ""
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			said = ": " + strings.TrimSpace(string(failed.Stderr))
		}
		return "", fmt.Errorf("run psql: %w%s", errors.Join(err, context.Cause(ctx)), said)
	}
	return strings.TrimSpace(string(text)), nil
}

// psqlCommand has the URL's password in the environment: everybody on the machine can read
// the arguments of a program.
func (s *Server) psqlCommand(ctx context.Context, as, statements string) (*exec.Cmd, error) {
	to, err := url.Parse(as)
	if err != nil {
		return nil, err
	}
	password, _ := to.User.Password()
	to.User = url.User(to.User.Username())
	cmd := exec.CommandContext(ctx, filepath.Join(s.installation.bin, "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
		"--set", "ON_ERROR_STOP=1", "--dbname", to.String(), "--command", statements)
	cmd.Env = append(environment(), "PGPASSWORD="+password)
	return cmd, nil
}

// untilSQL waits for an answer. What fails is tried again, while the server runs.
func (s *Server) untilSQL(ctx context.Context, query, answer string) error {
	p := s.process.Load()
	if p == nil {
		return errNotStarted
	}
	var got string
	var failed error
	err := until(ctx, p.Ended, func() bool {
		got, failed = s.SQL(ctx, query)
		return failed == nil && got == answer
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait for %q of %s: %q: %w", answer, query, got, err), failed)
	}
	return nil
}

var errNotStarted = errors.New("it does not run")

// Configure changes settings of a server that runs, and waits until new connections
// have them. Those that only a start can change are changed by the next one.
func (s *Server) Configure(ctx context.Context, settings map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.configure(ctx, settings)
}

func (s *Server) configure(ctx context.Context, settings map[string]string) error {
	if !s.runs() {
		return fmt.Errorf("configure PostgreSQL: %w", errNotStarted)
	}
	before, err := s.SQL(ctx, "SELECT pg_conf_load_time()")
	if err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	maps.Copy(s.settings, settings)
	if err := s.writeSettings(); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	if err := s.process.Load().Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	if err := s.untilSQL(ctx, "SELECT pg_conf_load_time() > '"+before+"'", "t"); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	return nil
}

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are how a server is to be. The zero value is good for most tests.
type Options struct {
	// Settings are those of postgresql.conf. They win over the usual ones.
	Settings map[string]string
	// Durable servers outlive a power loss, as in production. Others are faster, and
	// outlive the death of their processes all the same.
	Durable bool
	// Log takes the server's log. A server and its standby write to theirs at the
	// same time. Nil is for nobody.
	Log io.Writer
}

// Server is one PostgreSQL with a directory of its own. Its methods may be called by
// several goroutines. Those that change it take turns, but Kill waits for nobody.
type Server struct {
	installation                 installation
	dir                          string
	port                         int
	adminPassword, relayPassword string
	log                          io.Writer

	process   atomic.Pointer[process] // the last one; nil before the first
	databases atomic.Int32            // those of NewDatabase

	mu       sync.Mutex // held while it is started, stopped or configured
	settings map[string]string
	removed  bool
}

// Start makes a server and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer(o, usual)
	if err != nil {
		return nil, err
	}
	s.adminPassword, s.relayPassword = rand.Text(), rand.Text()
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make a cluster: %w", err), s.Stop())
	}
	if err := s.startAnywhere(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// newServer makes a directory for one.
func newServer(o Options, below map[string]string) (*Server, error) {
	i, err := findInstallation()
	if err != nil {
		return nil, err
	}
	s := &Server{installation: i, log: o.Log, settings: maps.Clone(below)}
	if !o.Durable {
		maps.Copy(s.settings, careless)
	}
	maps.Copy(s.settings, o.Settings)
	if s.dir, err = makeDirectory(i); err != nil {
		return nil, err
	}
	return s, nil
}

// startAnywhere starts a server that has no port yet. Where somebody else was faster to
// take the port, it tries another one. A server that cannot start is removed.
func (s *Server) startAnywhere(ctx context.Context) (err error) {
	const attempts = 5
	for range attempts {
		if s.port, err = takePort(); err != nil {
			break
		}
		if err = s.Restart(ctx); err == nil {
			return nil
		}
		if ctx.Err() != nil || !isTaken(s.port) {
			break
		}
		givePortBack(s.port)
		s.port = 0
	}
	return errors.Join(err, s.Stop())
}

func isTaken(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return true
	}
	_ = listener.Close()
	return false
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Addr is where the server listens: host:port. It stays the same.
func (s *Server) Addr() string { return loopback(s.port) }

// URL connects as the user relay, who is no superuser and owns the database relay.
func (s *Server) URL() string { return s.url(relayName, s.relayPassword, relayName) }

// AdminURL connects to the same database as the superuser.
func (s *Server) AdminURL() string { return s.AdminURLOf(relayName) }

// AdminURLOf connects to one of NewDatabase as the superuser.
func (s *Server) AdminURLOf(database string) string {
	return s.url(superuser, s.adminPassword, database)
}

func (s *Server) url(user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Addr(), Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Restart starts the server again after Kill or Halt, with the same port and files,
// and waits until it answers.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.removed:
		return errors.New("start PostgreSQL: it has been removed")
	case s.runs():
		return errors.New("start PostgreSQL: it runs")
	}
	if err := s.writeSettings(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	cmd := exec.Command(filepath.Join(s.installation.bin, "postgres"), "-D", s.data()) // it outlives ctx
	s.installation.prepare(cmd, s.dir)
	log := &logEnd{to: s.log}
	cmd.Stdout, cmd.Stderr = log, log
	p, err := begin(cmd)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.process.Store(p)
	if err := until(ctx, p.Ended, func() bool { return s.isReady(p) }); err != nil {
		return errors.Join(fmt.Errorf("start PostgreSQL: %w; its log ends: %s", err, log), p.end())
	}
	return nil
}

// isReady reads what the postmaster says of itself. It is ready when it takes connections,
// which a standby does while it follows.
func (s *Server) isReady(p *process) bool {
	lines, err := s.postmasterFile()
	return err == nil && len(lines) >= 8 && lines[0] == strconv.Itoa(p.PID()) && strings.TrimSpace(lines[7]) == "ready"
}

// until waits for what has no signal of its own. It gives up when ended is closed.
func until(ctx context.Context, ended <-chan struct{}, holds func() bool) error {
	for pause := 5 * time.Millisecond; !holds(); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *Server) runs() bool {
	p := s.process.Load()
	return p != nil && !p.HasEnded()
}

// Halt stops the server in order: clients are disconnected and nothing of what they
// were told is lost. The files stay, and the port refuses connections.
func (s *Server) Halt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halt()
}

func (s *Server) halt() error {
	if !s.runs() {
		return nil
	}
	return s.process.Load().end()
}

// Kill ends all processes of the server at once with SIGKILL. The files stay as they are.
func (s *Server) Kill() error {
	if !s.runs() {
		return nil
	}
	return s.process.Load().kill()
}

// Stop stops the server, if it runs, and removes its files.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil
	}
	s.removed = true
	err := errors.Join(s.halt(), s.removeMemory(), os.RemoveAll(s.dir))
	givePortBack(s.port)
	return err
}

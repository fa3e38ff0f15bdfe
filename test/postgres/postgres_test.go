//go:build e2e

package postgres

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// within bounds a test; the machine may be busy.
const within = 2 * time.Minute

// start starts a server for a test, which shows its log if it fails.
func start(t *testing.T, o Options) (*Server, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	o.Log = t.Output()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, ctx
}

// ask runs statements as the relay's user.
func ask(t *testing.T, s *Server, statements string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	answer, err := s.psql(ctx, s.URL(), statements)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestStartAndStop: the relay's user owns its database and is no superuser, and nothing
// is left in the end.
func TestStartAndStop(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{Settings: map[string]string{"cluster_name": "it's"}})
	if got := ask(t, s, "CREATE TABLE t (k text); SELECT usesuper, current_database(), current_setting('fsync'), current_setting('cluster_name') FROM pg_user WHERE usename = current_user"); got != "f|relay|off|it's" {
		t.Errorf("the relay's user sees %s", got)
	}
	pid := s.process.pid()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	left, err := childrenOf(pid)
	if _, statErr := os.Stat(s.dir); err != nil || len(left) > 0 || !os.IsNotExist(statErr) {
		t.Errorf("left behind: %v, %v, %v", left, err, statErr)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// TestKillKeepsWhatIsCommitted, and so does a stop in order. The port refuses
// connections meanwhile.
func TestKillKeepsWhatIsCommitted(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, Options{})
	ask(t, s, "CREATE TABLE t (k text)")
	for _, c := range []struct {
		how string
		end func() error
	}{{"killed", s.Kill}, {"halted", s.Halt}, {"killed again", s.Kill}} {
		ask(t, s, "INSERT INTO t VALUES ('"+c.how+"')")
		url, pid := s.URL(), s.process.pid()
		children, err := childrenOf(pid)
		if err != nil || len(children) < 3 {
			t.Errorf("a server with children %v, %v", children, err)
		}
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", s.Addr()); err == nil {
			t.Errorf("%s: it takes connections", c.how)
			conn.Close()
		}
		if err := s.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if s.URL() != url {
			t.Errorf("%s: it came back as another one", c.how)
		}
		if got := ask(t, s, "SELECT count(*) FROM t WHERE k = '"+c.how+"'"); got != "1" {
			t.Errorf("%s: %s rows", c.how, got)
		}
		if err := s.Restart(ctx); err == nil {
			t.Errorf("%s: it was started beside itself", c.how)
		}
	}
}

// TestStopAfterAKill: a server that was killed can be removed, with the shared memory
// that it left.
func TestStopAfterAKill(t *testing.T) {
	t.Parallel()
	s, ctx := start(t, Options{})
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err != nil {
		t.Errorf("it was not killed: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.Restart(ctx); err == nil {
		t.Error("a removed server was started")
	}
}

//go:build e2e

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within bounds a test; the machine may be busy.
const within = 2 * time.Minute

// starterRole is set where the test binary is a process that starts a server and is
// killed: TestEndsWithWhoStartedIt.
const starterRole = "AUDIENCES_TEST_STARTS_POSTGRES"

func TestMain(m *testing.M) {
	if os.Getenv(starterRole) == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.process.Load().PID(), s.port, s.dir)
	select {}
}

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
	pid := s.process.Load().PID()
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

// TestStartFails, and says why in PostgreSQL's words.
func TestStartFails(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Options{Settings: map[string]string{"shared_buffers": "nonsense"}})
	if s != nil || err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v, %v", s, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(gone, Options{}); s != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", s, err)
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
		url, pid := s.URL(), s.process.Load().PID()
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

// TestFailover: what the primary committed is on the standby, which takes its place. Who
// comes through the network finds it by the same URL.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, ctx := start(t, Options{})
	ask(t, primary, "CREATE TABLE t (k text)")
	standby := follow(t, primary)
	network, err := NewProxy(primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	if _, err := standby.psql(ctx, standby.URL(), "INSERT INTO t VALUES ('nowhere')"); err == nil {
		t.Error("a standby is writable")
	}
	through := network.URL(primary.URL())
	if _, err := primary.psql(ctx, through, "INSERT INTO t VALUES ('kept')"); err != nil {
		t.Fatal(err)
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	network.Retarget(standby.Addr())
	if got, err := standby.psql(ctx, through, "INSERT INTO t VALUES ('new'); SELECT string_agg(k, ' ') FROM t"); got != "kept new" {
		t.Errorf("after the failover: %s, %v", got, err)
	}
	if err := standby.Promote(ctx); err == nil {
		t.Error("a primary was promoted")
	}
}

// TestCommitsWaitForAllStandbys: while one of two is away a commit is not answered. It
// is when that one comes back, or need not be waited for any more.
func TestCommitsWaitForAllStandbys(t *testing.T) {
	t.Parallel()
	primary, ctx := start(t, Options{Settings: map[string]string{"synchronous_commit": "remote_apply"}})
	ask(t, primary, "CREATE TABLE t (k text)")
	first, second := follow(t, primary), follow(t, primary)
	for _, c := range []struct {
		how    string
		end    func() error
		mended func() error
		both   bool // have it
	}{
		{"the first comes back", first.Halt, func() error { return first.Restart(ctx) }, true},
		{"the second comes back", second.Kill, func() error { return second.Restart(ctx) }, true},
		{"nobody is waited for", first.Kill, func() error {
			return primary.Configure(ctx, map[string]string{"synchronous_standby_names": ""})
		}, false},
	} {
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() {
			_, err := primary.psql(ctx, primary.URL(), "INSERT INTO t VALUES ('"+c.how+"')")
			answered <- err
		}()
		if err := primary.untilSQL(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1"); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-answered:
			t.Errorf("%s: answered before, %v", c.how, err)
		default:
		}
		if err := c.mended(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("%s: %v", c.how, err)
		}
		if got := ask(t, second, "SELECT count(*) FROM t WHERE k = '"+c.how+"'"); c.both && got != "1" {
			t.Errorf("%s: the standby has %s rows", c.how, got)
		}
	}
}

// follow makes a standby for a test.
func follow(t *testing.T, primary *Server) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	standby, err := primary.Standby(ctx, Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	return standby
}

// TestEndsWithWhoStartedIt: a server does not outlive a process that is killed.
func TestEndsWithWhoStartedIt(t *testing.T) {
	t.Parallel()
	starter := exec.CommandContext(t.Context(), os.Args[0])
	starter.Env = append(os.Environ(), starterRole+"=yes")
	starter.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, port int
	var dir string
	if _, err := fmt.Fscan(said, &pid, &port, &dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if !isTaken(port) {
		t.Error("nobody listens")
	}
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it was killed
	eventually(t, "the server has gone", func() bool { return isIn("ZX", pid) && !isTaken(port) })
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); !os.IsNotExist(err) {
		t.Errorf("it did not end in order: %v", err)
	}
}

//go:build e2e

package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"audiences/test/harness"
)

var many = flag.Int("cluster.move", 100_000, "how many keys TestMoveOfMany moves")

// TestMoveOfMany tells how long a move of many keys takes, and how much memory.
func TestMoveOfMany(t *testing.T) {
	s := newSite(t, nil)
	away := "http://127.0.0.1:1"
	cluster := map[string]any{"journalDir": nil, "journal": s.database.URL(), "journalKeyFile": filepath.Join(s.Dir, "journal.key")}
	s.with("disk", map[string]any{"drainTimeout": 0}, away)
	s.with("cluster", cluster, away)
	p := s.Run([]string{s.path("disk")}, nil)
	p.Ready()
	const post = 20_000
	for from := 0; from < *many; from += post {
		c := harness.Change{Segment: fmt.Sprint("s", from/post%10)}
		for key := range min(post, *many-from) {
			c.Keys = append(c.Keys, strconv.Itoa(1_000_000_000+from+key))
		}
		p.MustPost(c)
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, way := range [][2]string{{"disk", "cluster"}, {"cluster", "disk"}} {
		began := time.Now()
		p := s.Run([]string{"journal", "move", s.path(way[0]), "--to", s.path(way[1])}, nil)
		if code := p.Wait(10 * time.Minute); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		used := p.Cmd.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("%d keys from %s to %s in %v, %v of processor time, at most %d MiB", *many, way[0], way[1], time.Since(began).Round(100*time.Millisecond),
			(p.Cmd.ProcessState.UserTime() + p.Cmd.ProcessState.SystemTime()).Round(100*time.Millisecond), used.Maxrss>>10)
	}
}

// TestMove takes a relay from its disk to PostgreSQL and back. Each time the move is killed
// with SIGKILL again and again; then what was accepted before it is delivered after it, and
// no relay starts on what was left.
func TestMove(t *testing.T) {
	s := newSite(t, nil)
	away := "http://127.0.0.1:1" // where nobody is Split: what is accepted stays pending
	disk := map[string]any{"drainTimeout": 0, "logLevel": "info", "maxKeysPerPost": 10_000}
	cluster := map[string]any{"drainTimeout": 0, "logLevel": "info", "journalDir": nil, "journal": s.database.URL(), "journalKeyFile": filepath.Join(s.Dir, "journal.key"), "leaseTime": leaseTime.Seconds()}
	random := rand.New(rand.NewPCG(7, 7))

	s.with("cluster", cluster, away)
	s.accept(s.with("disk", disk, away), random)
	s.killedMove(random, "disk", "cluster")
	s.refuses(s.with("disk", disk, s.Split.URL), "was moved to PostgreSQL on")
	s.delivers(s.with("cluster", cluster, s.Split.URL))

	s.accept(s.with("cluster", cluster, away), random)
	s.killedMove(random, "cluster", "disk")
	s.refuses(s.with("cluster", cluster, s.Split.URL), "was moved to "+s.Dir)
	s.delivers(s.with("disk", disk, s.Split.URL))
	s.Judge()

	if code, _, errs := harness.Run(t, nil, "journal", "reopen", s.path("cluster"), "--yes"); code != 0 {
		t.Errorf("reopen: %d %s", code, errs)
	}
	s.with("cluster", cluster, s.Split.URL)
	p := s.Run([]string{s.path("cluster")}, nil)
	p.Ready()
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func (s *site) path(name string) string { return filepath.Join(s.Dir, name+".config") }

// with writes a configuration of that name, and returns its path.
func (s *site) with(name string, settings map[string]any, split string) string {
	s.T.Helper()
	settings["splitApiUrl"] = split
	s.Configure(settings)
	if err := os.Rename(s.Config(), s.path(name)); err != nil {
		s.T.Fatal(err)
	}
	return s.path(name)
}

// accept has a relay accept changes that it cannot deliver, and stops it.
func (s *site) accept(config string, random *rand.Rand) {
	s.T.Helper()
	p := s.Run([]string{config}, nil)
	p.Ready()
	for segment := range 6 {
		for n := range 6 {
			c := harness.Change{Token: fmt.Sprint("token-", segment%3), Segment: fmt.Sprint("s", segment), Verb: "add"}
			if n%3 == 2 {
				c.Verb = "delete"
			}
			from := random.IntN(8_000)
			for key := range 2_000 {
				c.Keys = append(c.Keys, strconv.Itoa(from+key))
			}
			s.ledger.Try(c)
			harness.Eventually(s.T, harness.Patience, "the post is accepted", func() bool { return p.PostBy(s.T.Context(), harness.Kept, c) == nil })
			s.ledger.Accept(c)
		}
	}
	if code := p.Terminate(); code != 0 {
		s.T.Errorf("exit code %d", code)
	}
}

// killedMove kills the move after a random time, until it was fast enough.
func (s *site) killedMove(random *rand.Rand, from, to string) {
	s.T.Helper()
	line := []string{"journal", "move", s.path(from), "--to", s.path(to)}
	for kills := 0; ; kills++ {
		p := s.Run(line, nil)
		select {
		case <-p.Ended:
		case <-time.After(time.Duration(random.IntN(1+400*(kills+1)))*time.Millisecond + 50*time.Millisecond):
			p.Kill()
		}
		if code := p.ExitCode(); code >= 0 {
			s.T.Logf("after %d kills: %d\n%s%s", kills, code, p.Output(), p.Log())
			if code != 0 && code != 3 { // 3: it was killed after its end
				s.T.Fatalf("exit code %d", code)
			}
			break
		}
	}
	code, _, errs := harness.Run(s.T, nil, line...)
	if code != 3 {
		s.T.Errorf("once more: exit code %d: %s", code, errs)
	}
}

// refuses has a relay that must not start.
func (s *site) refuses(config, why string) {
	s.T.Helper()
	p := s.Run([]string{config}, nil)
	if code := p.Wait(harness.Patience); code != 1 || !strings.Contains(p.Log(), why) {
		s.T.Errorf("a relay on what was left: exit code %d: %s", code, p.Log())
	}
}

// delivers has a relay deliver all, and stops it.
func (s *site) delivers(config string) {
	s.T.Helper()
	p := s.Run([]string{config}, nil)
	p.Ready()
	harness.Eventually(s.T, 2*harness.Patience, "Split has what was accepted", func() bool { return s.ledger.Difference(s.Split) == "" })
	if code := p.Terminate(); code != 0 {
		s.T.Errorf("exit code %d", code)
	}
}

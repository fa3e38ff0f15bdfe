//go:build e2e

package cluster

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"audiences/api/admin"
	"audiences/sandbox/postgres"
	"audiences/test/harness"
)

var away = flag.Duration("cluster.away", 5*time.Second, "how long the database is away in TestDatabaseAway")

// TestCutOff has one of three nodes lose the database in every way that a network has: cut,
// silent in one direction or both, all connections reset, slow.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	faults := map[string]func(*postgres.Proxy){
		"cut":                     (*postgres.Proxy).Cut,
		"silent":                  func(p *postgres.Proxy) { p.Silence(true, true) },
		"silent to the database":  func(p *postgres.Proxy) { p.Silence(true, false) },
		"silent to the relay":     func(p *postgres.Proxy) { p.Silence(false, true) },
		"all connections are cut": (*postgres.Proxy).CloseAll,
	}
	for name, fault := range faults {
		time.Sleep(time.Second)
		n := s.all()[rand.IntN(len(s.all()))]
		fault(n.way)
		time.Sleep(*leaseTime + 2*time.Second)
		if err := n.way.Mend(); err != nil {
			t.Fatal(err)
		}
		// Others have declared it dead, unless its lease did not lapse.
		harness.Eventually(t, harness.Patience, name+": the node has ended, or is ready again", func() bool { return n.hasEnded() || n.isReady() })
		if n.hasEnded() {
			if code := n.process.ExitCode(); code != standingStill {
				t.Errorf("%s: exit code %d", name, code)
			}
			s.forget(n)
			s.begin()
		}
	}
	l.finish()
}

// TestSlowDatabase: 250 ms more on the way to the database and back cost time, and no lease.
func TestSlowDatabase(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	time.Sleep(time.Second)
	for _, n := range s.all() {
		n.way.Delay(125 * time.Millisecond) // each way
	}
	time.Sleep(3 * *leaseTime)
	for _, n := range s.all() {
		if n.hasEnded() || !n.process.IsReady() {
			t.Errorf("%s is not ready", n.name)
		}
		if strings.Contains(n.process.Log(), "could not renew its lease") {
			t.Errorf("%s lost its lease", n.name)
		}
		n.way.Delay(0)
	}
	l.finish()
}

// TestDatabaseAway: while the database is away posts are refused at once, and everything is
// back by itself when it is. No node ends.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	s, l := threeUnderLoad(t)
	time.Sleep(2 * time.Second)
	if err := s.database.Kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	for _, n := range s.all() {
		began := time.Now()
		answer, err := n.process.Post(t.Context(), harness.Change{Segment: "s", Keys: []string{"1"}})
		if err != nil || answer.Status != 503 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s answers %v, %+v", n.name, err, answer)
		}
		t.Logf("refused within %v", time.Since(began).Round(time.Millisecond))
		if n.process.IsReady() {
			t.Errorf("%s is ready", n.name)
		}
	}
	for _, n := range s.all() {
		s.operatorsAreTold(n)
	}
	before := map[*node]int{}
	for _, n := range s.all() {
		before[n], _ = n.process.Resident()
	}
	time.Sleep(*away)
	for n, was := range before {
		if now, _ := n.process.Resident(); now > was+32<<20 {
			t.Errorf("%s has grown from %d to %d MiB", n.name, was>>20, now>>20)
		}
	}
	began := time.Now()
	if err := s.database.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.all() {
		harness.Eventually(t, harness.Patience, "the node is ready again", n.process.IsReady)
		if n.hasEnded() {
			t.Errorf("%s has ended", n.name)
		}
	}
	t.Logf("all are back %v after the restart of the database began", time.Since(began).Round(time.Millisecond))
	l.finish()
}

// operatorsAreTold: while the database is away, what only it knows is refused at once, and
// what the node knows by itself is shown.
func (s *site) operatorsAreTold(n *node) {
	s.T.Helper()
	const atOnce = 5 * time.Second // a busy machine's; without a refusal they wait until the database is back
	tenant := harness.Fingerprint(s.T, "token-0")
	of := `"tenant":"` + tenant + `","environment":"` + harness.Environment + `","segment":"s"`
	for what, ask := range map[string]func() (harness.Answer, error){
		"events": func() (harness.Answer, error) { return n.process.AdminGet("/admin/api/v1/events") },
		"segment": func() (harness.Answer, error) {
			return n.process.AdminGet("/admin/api/v1/segment?tenant=" + tenant + "&environment=" + harness.Environment + "&segment=s")
		},
		"where": func() (harness.Answer, error) {
			return n.process.AdminPost("/admin/api/v1/where", `{"key":"1",`+of+`}`)
		},
		"pause": func() (harness.Answer, error) { return n.process.AdminPost("/admin/api/v1/remedies/pause", `{`+of+`}`) },
		"pause of all that match": func() (harness.Answer, error) {
			return n.process.AdminPost("/admin/api/v1/remedies/pause", `{"filter":{"search":"s"}}`)
		},
	} {
		began := time.Now()
		answer, err := ask()
		if took := time.Since(began); err != nil || answer.Status != 503 || !strings.Contains(answer.Body, "does not answer") || took > atOnce {
			s.T.Errorf("%s at %s: %v, %d %s after %v", what, n.name, err, answer.Status, answer.Body, took)
		}
	}
	if verdict := get[admin.Summary](s, n, "summary").Verdict; !strings.Contains(verdict, "the journal's database does not answer") {
		s.T.Errorf("%s says: %s", n.name, verdict)
	}
	get[admin.TenantList](s, n, "tenants")
	get[admin.NodeList](s, n, "nodes")
}

// TestFailover kills the primary, and promotes its synchronous standby: nothing that was
// answered is lost, and no node has to be restarted.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	standby, err := s.database.Standby(t.Context(), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	for range 3 {
		s.begin()
	}
	l := s.load(8, 40*time.Millisecond)
	time.Sleep(2 * time.Second)
	l.longestGap()
	if err := s.database.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, n := range s.all() {
		n.way.Retarget(standby.Addr())
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if err := standby.Configure(ctx, map[string]string{"synchronous_standby_names": ""}); err != nil {
		t.Fatal(err)
	}
	writable := time.Now()
	accepted := s.ledger.Accepted()
	harness.Eventually(t, harness.Patience, "posts are taken again", func() bool { return s.ledger.Accepted() > accepted })
	t.Logf("a 200 %v after the standby was writable; the longest time without one was %v", time.Since(writable).Round(time.Millisecond), l.longestGap().Round(time.Millisecond))
	for _, n := range s.all() {
		harness.Eventually(t, harness.Patience, "the node is ready again", n.process.IsReady)
		if n.hasEnded() {
			t.Errorf("%s has ended", n.name)
		}
	}
	l.finish()
}

// TestTakeOver: when a node dies, its tenants' keys are delivered by others when its lease is
// over.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"segmentsFlushRateInSeconds": 0.2})
	for range 3 {
		s.begin()
	}
	s.spread()
	l := s.load(8, 40*time.Millisecond)
	time.Sleep(2 * time.Second)
	l.longestGap()
	victim := s.all()[1]
	s.signal(victim, syscall.SIGKILL)
	died := time.Now()
	s.forget(victim)
	seen := map[string]time.Time{} // when each tenant was called for the first time after the lease
	harness.Eventually(t, harness.Patience, "every tenant is delivered for again", func() bool {
		for _, c := range s.Split.Calls() {
			if c.Start.After(died.Add(50 * time.Millisecond)) {
				if _, known := seen[c.Tenant.String()]; !known {
					seen[c.Tenant.String()] = c.Start
				}
			}
		}
		return len(seen) == loadTenants
	})
	last := time.Duration(0)
	for _, at := range seen {
		last = max(last, at.Sub(died))
	}
	t.Logf("the last tenant was delivered for %v after the death; the longest time without a 200 was %v", last.Round(time.Millisecond), l.longestGap().Round(time.Millisecond))
	l.finish()
}

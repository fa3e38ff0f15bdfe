//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"audiences/sandbox"
	"audiences/test/harness"
)

var pictures = flag.String("pictures", "", "a directory that TestPageLooks puts pictures of the page into; empty: none are made")

// browser is a place with playwright and axe-core, where stories are told.
type browser struct{ dir string }

func newBrowser(t *testing.T) browser {
	t.Helper()
	return browser{nodeProgram(t, "browser")}
}

// tell tells one of the stories of browser/stories.js.
func (b browser) tell(t *testing.T, story, base string, given map[string]any) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	input := map[string]any{"story": story, "base": base, "chromium": chromium}
	maps.Copy(input, given)
	if _, err := runNode(t, b.dir, "tell.js", input); err != nil {
		t.Errorf("%s: %v", story, err)
	}
}

// playing starts a sandbox as a process of its own, and waits for its page.
func playing(t *testing.T, arguments ...string) (base string) {
	t.Helper()
	p := (&harness.Site{T: t}).Run(append([]string{"sandbox", "--flush", "500ms", "--for", "5m"}, arguments...), nil)
	page := regexp.MustCompile(`page +(http://[0-9.:]+)/`)
	harness.Eventually(t, harness.Patience, "the sandbox tells its page", func() bool { return page.MatchString(p.Output()) })
	return page.FindStringSubmatch(p.Output())[1]
}

// TestPageLooks: in each state, width and colour scheme the page is whole, can be read by
// everybody, and the browser has nothing to complain of.
func TestPageLooks(t *testing.T) {
	b := newBrowser(t)
	given := map[string]any{}
	if *pictures != "" {
		path, err := filepath.Abs(*pictures)
		if err != nil {
			t.Fatal(err)
		}
		given["pictures"] = path
	}
	for scenario, waits := range map[string]string{"healthy": "Healthy. 3 tenants, 15 segments", "outage": "repeated", "parked": "refuses a segment", "": "Healthy"} {
		t.Run("scenario "+scenario, func(t *testing.T) {
			arguments, name := []string{"--scenario", scenario}, scenario
			if scenario == "" {
				arguments, name = nil, "empty"
			}
			given := maps.Clone(given)
			given["waits"], given["picture"] = waits, name
			b.tell(t, "looks", playing(t, arguments...), given)
		})
	}
	t.Run("opened", func(t *testing.T) {
		b.tell(t, "opened", playing(t, "--scenario", "parked"), map[string]any{"segment": "sBig_spenders"})
	})
}

const (
	poison  = "8512839471928374"
	waiting = "8512839471928375"
	taken   = "8512839471928376"
	unknown = "8512839471928377"
)

// pageSite is a relay with a tenant of the name acme-prod, and some keys in each state.
func pageSite(t *testing.T, settings map[string]any) (*harness.Site, *harness.Process) {
	t.Helper()
	all := map[string]any{"tenantNames": map[string]any{harness.Fingerprint(t, harness.APIToken): "acme-prod"}}
	maps.Copy(all, settings)
	s := harness.NewSite(t, sandbox.Options{}, all)
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: poison})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "buyers", Keys: []string{taken}})
	p.MustPost(harness.Change{Segment: "again", Keys: []string{poison, "1"}})
	p.MustPost(harness.Change{Segment: "never", Keys: []string{poison, "1"}})
	for _, segment := range []string{"buyers", "again", "never"} {
		harness.Eventually(t, harness.Patience, "a key of "+segment+" arrives", func() bool { return len(s.Members(segment)) == 1 })
	}
	p.Shows(`audiences_keys_parked{reason="bad_request"} 2`)
	return s, p
}

// slowly starts the relay again, with segments that gather keys for an hour.
func slowly(t *testing.T, s *harness.Site, p *harness.Process, settings map[string]any) *harness.Process {
	t.Helper()
	p.Kill()
	all := map[string]any{"tenantNames": map[string]any{harness.Fingerprint(t, harness.APIToken): "acme-prod"}, "segmentsFlushRateInSeconds": 3600}
	maps.Copy(all, settings)
	s.Configure(all)
	p = s.Start()
	p.MustPost(harness.Change{Segment: "slow", Keys: []string{waiting}})
	return p
}

// TestPageInABrowser: what an operator does with the page.
func TestPageInABrowser(t *testing.T) {
	b := newBrowser(t)
	base := func(p *harness.Process) string { return "http://" + p.Admin }
	t.Run("live", func(t *testing.T) {
		b.tell(t, "live", playing(t, "--scenario", "healthy"), nil)
	})
	t.Run("late", func(t *testing.T) {
		b.tell(t, "late", playing(t, "--scenario", "healthy"), nil)
	})
	t.Run("silent", func(t *testing.T) {
		_, p := pageSite(t, nil)
		b.tell(t, "silent", base(p), map[string]any{"pid": p.PID()})
	})
	t.Run("lists", func(t *testing.T) {
		s := harness.NewSite(t, sandbox.Options{}, map[string]any{"tenantNames": map[string]any{harness.Fingerprint(t, harness.APIToken): "acme-prod"}, "segmentsFlushRateInSeconds": 3600})
		p := s.Start()
		const segments = 60
		for i := range segments {
			p.MustPost(harness.Change{Segment: fmt.Sprintf("list_%03d", i), Keys: []string{"1"}})
		}
		p.MustPost(harness.Change{Token: "tok-other", Segment: "list_060", Keys: []string{"1"}})
		b.tell(t, "lists", base(p), map[string]any{"segments": segments + 1})
	})
	t.Run("remedies", func(t *testing.T) {
		s, p := pageSite(t, nil)
		p = slowly(t, s, p, nil)
		p.MustPost(harness.Change{Segment: "buyers", Keys: []string{waiting}})
		b.tell(t, "remedies", base(p), map[string]any{"bad": poison})
		s.Judge()
	})
	t.Run("where", func(t *testing.T) {
		s, p := pageSite(t, nil)
		p = slowly(t, s, p, nil)
		b.tell(t, "where", base(p), map[string]any{"keys": map[string]any{
			waiting: `pending[\s\S]*Split has not been told to add it`,
			poison:  `parked[\s\S]*Split refused to add it`,
			taken:   `delivered[\s\S]*Delivered at .*, in call \d+: add`,
			unknown: `Not seen since .*: it is neither pending nor parked`,
		}})
	})
	t.Run("reveal", func(t *testing.T) {
		_, p := pageSite(t, nil)
		b.tell(t, "reveal", base(p), map[string]any{"segment": "never", "key": poison})
	})
	t.Run("keyboard", func(t *testing.T) {
		_, p := pageSite(t, nil)
		b.tell(t, "keyboard", base(p), nil)
	})
	t.Run("lost", func(t *testing.T) {
		for _, early := range []bool{false, true} {
			s, p := pageSite(t, map[string]any{"adminAddress": fmt.Sprint("127.0.0.1:", harness.FreePort(t))})
			seen, told := filepath.Join(t.TempDir(), "seen"), make(chan struct{})
			go func() {
				defer close(told)
				b.tell(t, "lost", base(p), map[string]any{"pid": p.PID(), "early": early, "seen": seen})
			}()
			harness.Eventually(t, 2*harness.Patience, "the page says that the relay is lost", func() bool {
				_, err := os.Stat(seen)
				return err == nil
			})
			s.Start().MustPost(harness.Change{Segment: "came_later", Keys: []string{taken}})
			<-told
		}
	})
	t.Run("viewer", func(t *testing.T) {
		hash, err := bcrypt.GenerateFromPassword([]byte("look, don't touch"), bcrypt.DefaultCost)
		if err != nil {
			t.Fatal(err)
		}
		s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": "0.0.0.0:0", "adminTls": true, "tenantNames": map[string]any{harness.Fingerprint(t, harness.APIToken): "acme-prod"},
			"adminUsers": []any{map[string]any{"name": "vera", "role": "viewer", "passwordHash": string(hash)}}})
		p := s.Start()
		p.MustPost(harness.Change{Segment: "buyers", Keys: []string{taken}})
		harness.Eventually(t, harness.Patience, "the key arrives", func() bool { return len(s.Members("buyers")) == 1 })
		_, port, _ := strings.Cut(p.Admin, "]:")
		if port == "" {
			_, port, _ = strings.Cut(p.Admin, ":")
		}
		b.tell(t, "viewer", "https://127.0.0.1:"+port, map[string]any{"name": "vera", "password": "look, don't touch"})
	})
}

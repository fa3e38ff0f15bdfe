package test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestDiskNearlyFull: with less free space than minFreeDiskBytes asks for, posts
// get 503 with Retry-After before they harm anything, and /readyz says why;
// /ping and /livez are fine, as a restart would not help, and what was accepted
// before is delivered all the same (I3).
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 60, "drainTimeout": 0})
	p := s.Start()
	p.Ready()
	p.MustPost(harness.Change{Segment: "sBefore", Keys: []string{"1"}})
	p.Kill()

	s.Configure(map[string]any{"minFreeDiskBytes": diskSize(s) - 1})
	p = s.Start()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	a, err := p.Post(ctx, harness.Change{Segment: "sRefused", Keys: []string{"1"}})
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Message() != "disk nearly full" {
		t.Errorf("a post: %d %s, Retry-After %q, %v", a.Status, a.Body, a.Header.Get("Retry-After"), err)
	}
	if a, err := p.Send(ctx, http.MethodGet, "/ping", "", nil); err != nil || a.Status != http.StatusOK {
		t.Errorf("/ping: %d, %v", a.Status, err)
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		a, err := p.AdminGet(path)
		if err != nil || a.Status != want || path == "/readyz" && !strings.Contains(a.Body, "disk nearly full") {
			t.Errorf("%s: %d %s, %v", path, a.Status, a.Body, err)
		}
	}
	harness.Eventually(t, harness.Patience, "what was accepted before is delivered", func() bool { return len(s.Members("sBefore")) == 1 })
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := s.Members("sRefused"); len(got) > 0 {
		t.Errorf("what was refused arrived: %d keys", len(got))
	}
	s.Judge()
}

// diskSize is the size in bytes of the disk that the site lies on.
func diskSize(s *harness.Site) int64 {
	s.T.Helper()
	var of syscall.Statfs_t
	if err := syscall.Statfs(s.Dir, &of); err != nil {
		s.T.Fatal(err)
	}
	return int64(of.Blocks) * of.Bsize
}

// TestDiskSmallerThanItsMark: no post could ever be taken on a disk that is smaller than
// minFreeDiskBytes. So less is kept free, and check and the start say so.
func TestDiskSmallerThanItsMark(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	s.Configure(map[string]any{"minFreeDiskBytes": diskSize(s) + 1})
	code, out, _ := harness.Run(t, nil, "check", s.Config())
	if code != 0 || !strings.Contains(out, "WARNING journal") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
	p := s.Start()
	if !strings.Contains(p.Log(), `"level":"warn"`) {
		t.Errorf("the start warns of nothing:\n%s", p.Log())
	}
	p.MustPost(harness.Change{Segment: "sTaken", Keys: []string{"1"}})
	p.Terminate()
}

// TestMovedJournal: a relay whose journal is moved away answers no 200 into it (I1), says
// why, delivers on, and takes posts again when it is back.
func TestMovedJournal(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	p.Ready()
	remove := s.Split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
	p.MustPost(harness.Change{Segment: "sBefore", Keys: []string{"1"}})
	if err := os.Rename(s.Journal(), s.Journal()+"-moved"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	for range 20 {
		if a, err := p.Post(ctx, harness.Change{Segment: "sLost", Keys: []string{"1"}}); err != nil || a.Status != http.StatusServiceUnavailable {
			t.Fatalf("a post: %d %s, %v", a.Status, a.Body, err)
		}
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		a, err := p.AdminGet(path)
		if err != nil || a.Status != want || path == "/readyz" && !strings.Contains(a.Body, "moved, removed or replaced") {
			t.Errorf("%s: %d %s, %v", path, a.Status, a.Body, err)
		}
	}
	remove()
	harness.Eventually(t, harness.Patience, "what was accepted before is delivered", func() bool { return len(s.Members("sBefore")) == 1 })
	if err := os.Rename(s.Journal()+"-moved", s.Journal()); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, harness.Patience, "posts are taken again", func() bool {
		a, err := p.Post(ctx, harness.Change{Segment: "sAfter", Keys: []string{"1"}})
		return err == nil && a.Status == http.StatusOK
	})
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.Judge()
}

package test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
)

// TestDiskNearlyFull: with less free space than minFreeDiskBytes asks for, posts
// get 503 with Retry-After before they harm anything, and /readyz says why;
// /ping and /livez are fine, as a restart would not help, and what was accepted
// before is delivered all the same (I3).
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 60, "drainTimeout": 0})
	p := s.start()
	p.ready()
	p.mustPost(change{segment: "sBefore", keys: []string{"1"}})
	p.kill()

	s.configure(map[string]any{"minFreeDiskBytes": s.diskSize() - 1})
	p = s.start()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := p.post(ctx, change{segment: "sRefused", keys: []string{"1"}})
	if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.message() != "disk nearly full" {
		t.Errorf("a post: %d %s, Retry-After %q, %v", a.status, a.body, a.header.Get("Retry-After"), err)
	}
	if a, err := p.send(ctx, http.MethodGet, "/ping", "", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("/ping: %d, %v", a.status, err)
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		a, err := p.adminGet(path)
		if err != nil || a.status != want || path == "/readyz" && !strings.Contains(a.body, "disk nearly full") {
			t.Errorf("%s: %d %s, %v", path, a.status, a.body, err)
		}
	}
	eventually(t, patience, "what was accepted before is delivered", func() bool { return len(s.members("sBefore")) == 1 })
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := s.members("sRefused"); len(got) > 0 {
		t.Errorf("what was refused arrived: %d keys", len(got))
	}
	s.judge()
}

// diskSize is the size in bytes of the disk that the site lies on.
func (s *site) diskSize() int64 {
	s.t.Helper()
	var of syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &of); err != nil {
		s.t.Fatal(err)
	}
	return int64(of.Blocks) * of.Bsize
}

// TestDiskSmallerThanItsMark: no post could ever be taken on a disk that is smaller than
// minFreeDiskBytes. So less is kept free, and check and the start say so.
func TestDiskSmallerThanItsMark(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	s.configure(map[string]any{"minFreeDiskBytes": s.diskSize() + 1})
	code, out, _ := run(t, nil, "check", s.config())
	if code != 0 || !strings.Contains(out, "WARNING journal") {
		t.Errorf("check ends with %d:\n%s", code, out)
	}
	p := s.start()
	if !strings.Contains(p.log(), `"level":"warn"`) {
		t.Errorf("the start warns of nothing:\n%s", p.log())
	}
	p.mustPost(change{segment: "sTaken", keys: []string{"1"}})
	p.terminate()
}

// TestMovedJournal: a relay whose journal is moved away answers no 200 into it (I1), says
// why, delivers on, and takes posts again when it is back.
func TestMovedJournal(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	p := s.start()
	p.ready()
	remove := s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
	p.mustPost(change{segment: "sBefore", keys: []string{"1"}})
	if err := os.Rename(s.journal(), s.journal()+"-moved"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 20 {
		if a, err := p.post(ctx, change{segment: "sLost", keys: []string{"1"}}); err != nil || a.status != http.StatusServiceUnavailable {
			t.Fatalf("a post: %d %s, %v", a.status, a.body, err)
		}
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		a, err := p.adminGet(path)
		if err != nil || a.status != want || path == "/readyz" && !strings.Contains(a.body, "moved, removed or replaced") {
			t.Errorf("%s: %d %s, %v", path, a.status, a.body, err)
		}
	}
	remove()
	eventually(t, patience, "what was accepted before is delivered", func() bool { return len(s.members("sBefore")) == 1 })
	if err := os.Rename(s.journal()+"-moved", s.journal()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "posts are taken again", func() bool {
		a, err := p.post(ctx, change{segment: "sAfter", keys: []string{"1"}})
		return err == nil && a.status == http.StatusOK
	})
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.judge()
}

package test

import (
	"context"
	"net/http"
	"strings"
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

	s.configure(map[string]any{"minFreeDiskBytes": int64(1) << 50})
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

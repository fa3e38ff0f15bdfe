package test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestTokensRotate: while callers post, the token in its file is replaced. Those who show the
// new one are let in soon, those who still show the old one go on, and no post fails.
func TestTokensRotate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the old one")
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"authToken": nil})
	p := s.LaunchWith([]string{"AUDIENCES_AUTH_TOKEN_FILE=" + file})
	p.Listening()
	post := func(token string, keys ...string) int {
		answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", token, harness.Change{Segment: "sRotate", Keys: keys}.Body())
		if err != nil {
			t.Error(err)
		}
		return answer.Status
	}
	var known atomic.Value
	known.Store("the old one")
	ended := make(chan struct{})
	var posts atomic.Int64
	var callers sync.WaitGroup
	for n := range 4 {
		callers.Go(func() {
			token := "the old one" // of one who never learns
			for {
				if n > 0 {
					token = known.Load().(string)
				}
				if status := post(token, fmt.Sprint(posts.Add(1))); status != http.StatusOK {
					t.Errorf("caller %d: %d", n, status)
					return
				}
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	if status := post("the new one", "0"); status != http.StatusUnauthorized {
		t.Errorf("before: %d", status)
	}
	write("the new one")
	harness.Eventually(t, harness.Patience, "the new token is taken", func() bool { return post("the new one", "0") == http.StatusOK })
	known.Store("the new one")
	time.Sleep(200 * time.Millisecond) // posts with both
	close(ended)
	callers.Wait()
	harness.Eventually(t, harness.Patience, "all keys are delivered", func() bool { return len(s.Members("sRotate")) == int(posts.Load())+1 })
}

// TestReload: SIGHUP has the tokens of the configuration replaced. What has a fault changes
// nothing, and what needs a restart is named.
func TestReload(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	sum := sha256.Sum256([]byte("hashed"))
	status := func(token string) int {
		answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", token, harness.Change{Segment: "sReload", Keys: []string{"1"}}.Body())
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	expect := func(what string, answers map[string]int) {
		t.Helper()
		for token, want := range answers {
			harness.Eventually(t, harness.Patience, fmt.Sprintf("%s: %q is answered %d", what, token, want), func() bool { return status(token) == want })
		}
	}
	reload := func(settings map[string]any) {
		t.Helper()
		s.Configure(settings)
		p.Signal(syscall.SIGHUP)
	}
	list := []any{map[string]any{"name": "a", "token": "plain"}, map[string]any{"name": "b", "tokenHash": hex.EncodeToString(sum[:]), "until": "2199-12-31"},
		map[string]any{"name": "c", "token": "ended", "until": "2020-01-01"}}
	reload(map[string]any{"authTokens": list, "splitTimeout": 4})
	expect("more tokens", map[string]int{"plain": 200, "hashed": 200, "ended": 401, harness.AuthToken: 200, "other": 401})
	harness.Eventually(t, harness.Patience, "what needs a restart is named", func() bool {
		return strings.Contains(p.Log(), `"taken":["authTokens"],"needRestart":["splitTimeout"]`)
	})
	_, said, _ := harness.Run(t, nil, "tokens", "--address", p.Admin)
	for _, line := range []string{`authToken +- +\d`, `a +- +\d`, `b +2200-01-01 \S+ +\d`, `c +2020-01-02 \S+ +never`} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(said) {
			t.Errorf("no line %q in\n%s", line, said)
		}
	}
	reload(map[string]any{"authTokens": list[:1], "prot": 5})
	harness.Eventually(t, harness.Patience, "the fault is told", func() bool { return strings.Contains(p.Log(), `"prot"`) || strings.Contains(p.Log(), `\"prot\"`) })
	expect("after a fault", map[string]int{"plain": 200, "hashed": 200, harness.AuthToken: 200})
	reload(map[string]any{"authToken": nil, "authTokens": list[:1]})
	expect("fewer tokens", map[string]int{"hashed": 401, "plain": 200, harness.AuthToken: 200}) // the last one for some minutes more
}

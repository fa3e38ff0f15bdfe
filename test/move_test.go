package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestJournalMove moves the journal of a relay from one directory to another: nothing is
// lost, what is paused stays so, no relay starts on what was left, and nothing secret is
// printed (I3, I7, I9).
func TestJournalMove(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	config := func(dir, split string) string {
		s.Configure(map[string]any{"journalDir": dir, "splitApiUrl": split, "drainTimeout": 0})
		path := filepath.Join(s.Dir, dir+".config")
		if err := os.Rename(s.Config(), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const away = "http://127.0.0.1:1"
	one, two := config("one", away), config("two", s.Split.URL)
	run := func(want int, env []string, args ...string) string {
		t.Helper()
		code, out, errs := harness.Run(t, env, args...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d: %s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	run(exitFailed, nil, "journal", "move", one, "--to", two)
	if _, err := os.Stat(filepath.Join(s.Dir, "one")); err == nil {
		t.Error("a journal was made where there was none")
	}

	p := s.Run([]string{one}, nil)
	p.Ready()
	const first, keys = 123_456_789, 30_000
	for segment := range 3 {
		c := harness.Change{Segment: fmt.Sprint("s", segment)}
		for key := range keys {
			c.Keys = append(c.Keys, strconv.Itoa(first+key))
		}
		p.MustPost(c)
	}
	tenant := harness.Fingerprint(t, harness.APIToken)
	run(exitDone, nil, "pause", tenant, harness.Environment+"/s1", "--address", p.Admin)
	if said := run(exitFailed, nil, "journal", "move", one, "--to", two); !strings.Contains(said, strconv.Itoa(p.PID())) {
		t.Errorf("beside a relay: %s", said)
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	run(exitWrong, nil, "journal", "move", one)
	run(exitWrong, nil, "journal", "move", one, "--to", one)
	run(exitWrong, nil, "journal", "move", one, "--to", filepath.Join(s.Dir, "nothing"))
	said := run(exitDone, []string{"AUDIENCES_TO_JOURNAL_DIR=three", "AUDIENCES_JOURNAL_DIR=one"}, "journal", "move", two, "--to", two, "--list")
	for _, secret := range []string{strconv.Itoa(first), harness.APIToken, harness.AuthToken + " "} {
		if strings.Contains(said, secret) {
			t.Errorf("it prints what is secret: %s", said)
		}
	}
	if !strings.Contains(said, strconv.Itoa(3*keys)) || !strings.Contains(said, harness.Environment+"/s2") {
		t.Errorf("it does not tell what was moved: %s", said)
	}
	three := config("three", s.Split.URL)
	run(exitNothing, nil, "journal", "move", one, "--to", three)
	run(exitFailed, nil, "journal", "move", one, "--to", two)
	run(exitFailed, nil, "serve", one)
	run(exitWrong, nil, "check", one)
	run(exitNothing, nil, "journal", "reopen", three, "--yes")
	run(exitWrong, nil, "journal", "reopen", one)

	p = s.Run([]string{three}, nil)
	p.Ready()
	harness.Eventually(t, harness.Patience, "what is not paused is delivered", func() bool { return len(s.Members("s0")) == keys && len(s.Members("s2")) == keys })
	if n := len(s.Members("s1")); n != 0 {
		t.Errorf("%d keys of the paused segment are delivered", n)
	}
	run(exitDone, nil, "resume", tenant, harness.Environment+"/s1", "--address", p.Admin)
	harness.Eventually(t, harness.Patience, "the rest is delivered", func() bool { return len(s.Members("s1")) == keys })
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	run(exitDone, nil, "journal", "move", three, "--to", one) // back to where it was
	run(exitFailed, nil, "serve", three)
	p = s.Run([]string{config("one", s.Split.URL)}, nil)
	p.Ready()
	p.Shows("audiences_keys_pending 0")
	s.Judge()
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/api/admin"
	"audiences/logging"
	"audiences/status"
)

// printed is what a command prints, for two goroutines.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// watching is a command that runs with --watch until it is interrupted.
type watching struct {
	t              *testing.T
	stdout, stderr printed
	interrupt      context.CancelFunc
	ended          chan error
}

func startWatch(t *testing.T, address string, args ...string) *watching {
	t.Helper()
	w := &watching{t: t, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	w.interrupt = cancel
	p := process{stdin: strings.NewReader(""), stdout: &w.stdout, stderr: logging.NewLineWriter(&w.stderr)}
	go func() { w.ended <- run(ctx, p, append(args, "--address", address, "--watch=10ms")) }()
	t.Cleanup(cancel)
	return w
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (w *watching) shows(text string) {
	w.t.Helper()
	eventually(w.t, text, func() bool { return strings.Contains(w.stdout.String()+w.stderr.String(), text) })
}

// end interrupts the command, which is a good end.
func (w *watching) end() {
	w.t.Helper()
	w.interrupt()
	if err := <-w.ended; err != nil {
		w.t.Errorf("it ended with %v", err)
	}
}

// chronicle is a relay that has events and nothing else.
type chronicle struct {
	newest, oldest atomic.Uint64
	asked          atomic.Int64
}

func (c *chronicle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.ParseUint(r.URL.Query().Get("limit"), 10, 64)
	before, _ := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	list := admin.EventList{Events: []status.Event{}}
	for n := c.newest.Load(); n > c.oldest.Load() && uint64(len(list.Events)) < limit; n-- {
		if before == 0 || n < before {
			list.Events = append(list.Events, status.Event{Number: n, At: time.Unix(int64(n), 0), Sentence: fmt.Sprintf("It is event %d.", n)})
		}
	}
	if n := len(list.Events); n > 0 && uint64(n) == limit {
		list.Next = list.Events[n-1].Number
	}
	_ = json.NewEncoder(w).Encode(list)
	c.asked.Add(1)
}

// looks waits until the command has looked again, twice, so that once was a whole look.
func (c *chronicle) looks(t *testing.T) {
	t.Helper()
	before := c.asked.Load()
	eventually(t, "another look", func() bool { return c.asked.Load() >= before+2 })
}

func startChronicle(t *testing.T, newest uint64) (*chronicle, string) {
	t.Helper()
	c := &chronicle{}
	c.newest.Store(newest)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, server.Listener.Addr().String()
}

// TestWatchEvents: each event is printed once and on one line, the oldest first, also where
// more have come between two looks than --limit, and as a JSON document each for programs.
func TestWatchEvents(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		c, address := startChronicle(t, 3)
		args := []string{"events", "--limit", "2"}
		if asJSON {
			args = append(args, "--json")
		}
		w := startWatch(t, address, args...)
		w.shows("It is event 3.")
		c.newest.Store(2500)
		w.shows("It is event 2500.")
		c.looks(t)
		w.end()
		lines := strings.Split(strings.TrimSuffix(w.stdout.String(), "\n"), "\n")
		if len(lines) != 2499 {
			t.Fatalf("JSON %t: %d lines, want 2499", asJSON, len(lines))
		}
		for i, line := range lines {
			if !strings.Contains(line, fmt.Sprintf("It is event %d.", i+2)) {
				t.Fatalf("JSON %t: line %d is %s", asJSON, i, line)
			}
			if asJSON && json.Unmarshal([]byte(line), &status.Event{}) != nil {
				t.Fatalf("line %d is no JSON: %s", i, line)
			}
		}
	}
}

// TestWatchEventsOfANewJournal: where the relay numbers its events from the beginning, they
// are printed as those of a command that has just begun.
func TestWatchEventsOfANewJournal(t *testing.T) {
	c, address := startChronicle(t, 70)
	w := startWatch(t, address, "events", "--limit", "1")
	w.shows("It is event 70.")
	c.newest.Store(0)
	c.looks(t)
	c.newest.Store(5)
	w.shows("It is event 5.")
	w.end()
	if n := strings.Count(w.stdout.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, w.stdout.String())
	}
}

// TestWatchJSON: a JSON document is one line, and nothing is between them.
func TestWatchJSON(t *testing.T) {
	_, address := startChronicle(t, 1)
	w := startWatch(t, address, "tenants", "--json")
	eventually(t, "three documents", func() bool { return strings.Count(w.stdout.String(), "\n") >= 3 })
	w.end()
	for _, line := range strings.Split(strings.TrimSuffix(w.stdout.String(), "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			t.Fatalf("no JSON document: %q", line)
		}
	}
}

// TestWatchGoesOn: what was shown once and is not to be had for a while is waited for, and
// that is said; what never was, or what this user may not see, ends the command.
func TestWatchGoesOn(t *testing.T) {
	const shown = `{"tenants":[]}`
	for _, c := range []struct {
		first, then int
		goesOn      bool
	}{
		{http.StatusOK, http.StatusServiceUnavailable, true},
		{http.StatusServiceUnavailable, http.StatusOK, true},
		{http.StatusOK, http.StatusNotFound, true},
		{http.StatusOK, http.StatusTooManyRequests, true},
		{http.StatusTooManyRequests, http.StatusOK, true},
		{http.StatusNotFound, http.StatusOK, false},
		{http.StatusOK, http.StatusUnauthorized, false},
	} {
		t.Run(fmt.Sprint(c.first, " then ", c.then), func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				switch asked.Add(1) {
				case 1:
					w.WriteHeader(c.first)
				case 2:
					w.WriteHeader(c.then)
				}
				_, _ = w.Write([]byte(shown))
			}))
			defer server.Close()
			w := startWatch(t, server.Listener.Addr().String(), "tenants")
			if !c.goesOn {
				var r refusal
				if err := <-w.ended; !errors.As(err, &r) || w.stderr.String() != "" {
					t.Errorf("it ended with %v, after %q", err, w.stderr.String())
				}
				return
			}
			eventually(t, "it goes on", func() bool { return asked.Load() > 4 })
			w.end()
			if n := strings.Count(w.stderr.String(), "\n"); n != 1 {
				t.Errorf("%d lines of trouble, want 1: %s", n, w.stderr.String())
			}
			if out := w.stdout.String(); strings.HasPrefix(out, "\n") || strings.Contains(out, "\n\n\n") || !strings.Contains(out, "\n\nTENANT") {
				t.Errorf("prints are not one empty line apart:\n%q", out)
			}
		})
	}
}

// TestWatchKeepsItsConnection: a relay that is looked at all day long sees one connection,
// also over HTTPS.
func TestWatchKeepsItsConnection(t *testing.T) {
	var connections, asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"tenants":[]}` + "\n"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, server.URL, "tenants", "--ca", authority)
	eventually(t, "ten looks", func() bool { return asked.Load() >= 10 })
	w.end()
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for %d looks", n, asked.Load())
	}
}

// TestInterval: how often is told in seconds, or as a length of time.
func TestInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0.5": time.Second / 2, "50ms": 50 * time.Millisecond, "1m": time.Minute,
		"": 0, "0": 0, "-1": 0, "-1s": 0, "soon": 0, "NaN": 0, "Inf": 0, "1e300": 0, "1e-300": 0,
	} {
		var got interval
		if err := got.Set(text); time.Duration(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, time.Duration(got), err)
		}
	}
}

package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"audiences/test/harness"
)

func TestFill(t *testing.T) {
	const text = "a\n<!-- bench x -->\nold\n<!-- end x -->\nb\n"
	got, err := fill(text, map[string]string{"x": "new\n"})
	if err != nil || got != "a\n<!-- bench x -->\nnew\n<!-- end x -->\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := fill(text, map[string]string{"y": ""}); err == nil {
		t.Error("a block without a place was not missed")
	}
}

func TestStageOf(t *testing.T) {
	for want, stack := range map[string][]string{
		"sockets":            {"internal/poll.(*FD).Write", "crypto/tls.(*Conn).Write", "net/http.(*conn).serve"},
		"TLS handshake":      {"crypto/tls.(*serverHandshakeState).run", "crypto/tls.(*Conn).HandshakeContext", "net/http.(*conn).serve"},
		"TLS records":        {"crypto/tls.(*Conn).Read", "audiences/api.(*workspace).read", "net/http.(*conn).serve"},
		"journal: hand over": {"crypto/sha256.Sum256", "audiences/journal/embedded.(*Journal).Append", "audiences/actors.(*tenant).Receive"},
		"garbage collector":  {"runtime.gcDrain", "runtime.gcAssistAlloc", "audiences/api.(*decoder).decode"},
		"other":              {"main.main"},
	} {
		if got := stageOf(stack); got != want {
			t.Errorf("%v: %s, want %s", stack, got, want)
		}
	}
}

// TestLedger: what a ledger takes for accepted is what its bodies had, and a key
// too many, too few or wrong is seen.
func TestLedger(t *testing.T) {
	l := newLedger("x", 3)
	has := map[string]sum{}
	for n := range int64(7) {
		if want := `"mpids":["`; !strings.Contains(string(l.bodyWith(nil, n, 2)), want) {
			t.Fatal("no keys in the body")
		}
		l.accepted(n, 2)
		s := has[l.names[n%3]]
		first := uint64(firstKey + 2*n)
		has[l.names[n%3]] = sum{Keys: s.Keys + 2, Sum: s.Sum + 2*first + 1}
	}
	if err := l.compare(has); err != nil || l.total() != 14 {
		t.Error(err, l.total())
	}
	for _, wrong := range []sum{{Keys: has["sx0"].Keys + 1, Sum: has["sx0"].Sum}, {Keys: has["sx0"].Keys, Sum: has["sx0"].Sum + 1}, {}} {
		if l.compare(map[string]sum{"sx0": wrong, "sx1": has["sx1"], "sx2": has["sx2"]}) == nil {
			t.Errorf("%v passes for %v", wrong, has["sx0"])
		}
	}
}

// TestFlat: growth is seen, and what only moves is not.
func TestFlat(t *testing.T) {
	var steady, growing []sample
	for n := range 40 {
		steady = append(steady, sample{memory: 100<<20 + n%7<<20, journal: 50 << 20, goroutines: 20})
		growing = append(growing, sample{memory: 100<<20 + 12*n<<20, journal: 50 << 20, goroutines: 20})
	}
	if err := flat(steady); err != nil {
		t.Error(err)
	}
	if flat(growing) == nil || flat(steady[:5]) == nil {
		t.Error("growth, or too few samples, passed")
	}
}

func TestRatio(t *testing.T) {
	outcomes := func(rates ...int) (all []outcome) {
		for _, rate := range rates {
			all = append(all, outcome{posts: rate, took: time.Second})
		}
		return all
	}
	two := turns{servers: []string{bareServer, relayServer}, found: [][]outcome{outcomes(100, 50, 300), outcomes(80, 40, 90)}}
	if got, want := two.ratio(relayServer, bareServer), (spread{0.3, 0.8, 0.8}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := two.rows("what", loadFigures)[2][1]; got != "0.80 (0.30 to 0.80)" {
		t.Errorf("the row says %q", got)
	}
}

// TestPlot: the plot is XML, and has all points.
func TestPlot(t *testing.T) {
	text := string(plot("a <b>", "x", "y", []point{{"1", 20}, {"10", 25}}))
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(text, "<circle") != 2 {
		t.Error("points are missing")
	}
}

// TestVerdict: the short form fails on what misses its generous limit, the long
// one only shows it.
func TestVerdict(t *testing.T) {
	for _, quick := range []bool{true, false} {
		r := newReport(options{quick: quick})
		r.check("a", "1", "2", false, true)
		if r.verdict() != nil {
			t.Error("a missed target failed the run")
		}
		r.check("b", "1", "9", false, false)
		if (r.verdict() != nil) != quick {
			t.Errorf("quick %v: %v", quick, r.verdict())
		}
	}
}

// TestQuiet: figures are written down only where nothing disturbed them.
func TestQuiet(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(docs, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(docs, "performance.md")
	const empty = "<!-- bench machine -->\n<!-- end machine -->\n<!-- bench targets -->\n<!-- end targets -->\n<!-- bench intake -->\n<!-- end intake -->\n"
	for _, c := range []struct {
		what    string
		rates   []int
		quiet   bool
		disturb func(*report)
	}{
		{"a quiet machine", []int{100, 110, 90}, true, func(*report) {}},
		{"figures that lie far apart", []int{100, 150, 90}, false, func(*report) {}},
		{"others at work", []int{100, 110, 90}, false, func(r *report) { r.disturb("others took %d %%", 50) }},
	} {
		if err := os.WriteFile(path, []byte(empty), 0o600); err != nil {
			t.Fatal(err)
		}
		one := turns{servers: []string{relayServer}, found: [][]outcome{nil}}
		for _, rate := range c.rates {
			one.found[0] = append(one.found[0], outcome{posts: rate, took: time.Second})
		}
		r := newReport(options{})
		r.turns("intake", "load", &one)
		c.disturb(r)
		err := r.write()
		text, _ := os.ReadFile(path)
		if written := string(text) != empty; (err == nil) != c.quiet || written != c.quiet {
			t.Errorf("%s: written: %v, %v", c.what, written, err)
		}
	}
}

// TestOthers: what others took is all that was busy and not ours.
func TestOthers(t *testing.T) {
	before, err := parseStat("cpu  100 0 50 1000 7 3 2 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseStat("cpu  190 5 75 1080 7 3 2 0 0 0\n")
	if err != nil {
		t.Fatal(err)
	}
	after.own = 100 * harness.Tick
	if got := after.othersSince(before); got != 0.1 {
		t.Errorf("%v of the cores, want 20 of 200 ticks", got)
	}
	if _, err := parseStat("intr 1 2 3"); err == nil {
		t.Error("another file was taken for it")
	}
}

// TestLeanServer: its answer comes after the post is in the log, and is one that
// the client of the other servers understands, over a connection that is kept.
func TestLeanServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lean.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveLeanly(there, log) }()
	l, reader, size := newLedger("", 2), bufio.NewReader(here), int64(0)
	for n := range int64(3) {
		body := l.body(nil, n)
		last := map[bool]string{true: "Connection: close\r\n"}[n == 2]
		if _, err := fmt.Fprintf(here, "POST /audiences HTTP/1.1\r\nHost: relay\r\n%sContent-Length: %d\r\n\r\n%s", last, len(body), body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || string(text) != "MPIDs add" {
			t.Errorf("%d %q, %v", response.StatusCode, text, err)
		}
		size += int64(len(body))
		if about, err := os.Stat(path); err != nil || about.Size() != size {
			t.Errorf("answered before the post was in the log: %v, %v", about, err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLoadElsewhere posts to all servers that it is given, with the token that they want.
func TestLoadElsewhere(t *testing.T) {
	const token = "that of the relays"
	var posts [2]atomic.Int64
	arguments := []string{"load", "-connections", "2", "-for", "50ms"}
	for n := range posts {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			posts[n].Add(1)
			_, _ = io.WriteString(w, "MPIDs add")
		}))
		defer server.Close()
		arguments = append(arguments, server.Listener.Addr().String())
	}
	if err := run(t.Context(), arguments); err == nil {
		t.Error("it went without a token")
	}
	t.Setenv("AUDIENCES_AUTH_TOKEN", token)
	if err := run(t.Context(), arguments); err != nil || posts[0].Load() == 0 || posts[1].Load() == 0 {
		t.Errorf("%d and %d posts, %v", posts[0].Load(), posts[1].Load(), err)
	}
	t.Setenv("AUDIENCES_AUTH_TOKEN", "another")
	if err := run(t.Context(), arguments); err == nil {
		t.Error("posts that are refused are counted")
	}
}

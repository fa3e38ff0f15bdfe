package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
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
		"journal: hand over": {"crypto/sha256.Sum256", "audiences/journal.(*Journal).Append", "audiences/actors.(*cell).Receive"},
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
	if got := two.ratio(relayServer, bareServer); got != 0.8 {
		t.Errorf("%v, want the median of 0.8, 0.8 and 0.3", got)
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

package test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// migration is a site that changes over: the traffic of the lambda, which goes to one of
// two servers and is recorded, and what Split should have of it.
type migration struct {
	*harness.Site
	old     *oldServer
	record  string // the file of all requests so far
	token   string // a file
	done    int    // lines of it that the relay was fed
	lines   int
	random  *rand.Rand
	members map[string]map[string]bool // what each segment should have
}

// TestMigration walks through docs/migration.md: the relay runs beside the old server with
// deliver: false and is fed what that got, is compared with it, takes its place, gives it
// back, and takes it again. Each time that it is the relay's turn every key is right in the
// end, also those that the old server brought in the wrong order, or lost.
func TestMigration(t *testing.T) {
	t.Parallel()
	m := newMigration(t)

	// Beside the old server.
	m.posts(m.old.URL, 300)
	m.old.flush()
	p := m.relay(false)
	m.feed(p)
	m.posts(m.old.URL, 200)
	m.feed(p)
	m.nothingNew(p)
	if calls := m.Split.Counts().Calls; calls != m.old.calls {
		t.Errorf("Split got %d calls, of which the old server made %d", calls, m.old.calls)
	}
	m.compare(p)

	// To the relay. What is under way in the old server at its end is lost there.
	m.posts(m.old.URL, 50)
	p = m.takeOver(p)
	m.check("cut over")
	m.posts("https://"+p.HTTPS, 200)
	m.delivered(p)
	m.check("the relay at work")

	// Back to the old server; the relay keeps its journal.
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	m.done = m.lines // its own posts it has delivered
	m.posts(m.old.URL, 100)
	m.old.flush()
	p = m.relay(false)
	m.feed(p)
	m.posts(m.old.URL, 100)

	// And to the relay once more.
	p = m.takeOver(p)
	m.check("cut over again")
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	m.Judge()
}

func newMigration(t *testing.T) *migration {
	t.Helper()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	return &migration{
		Site: s, old: newOldServer(t, s.Split.URL), record: filepath.Join(t.TempDir(), "posts.ndjson"), token: tokenFile(t, harness.AuthToken),
		random: rand.New(rand.NewPCG(3, 14)), members: map[string]map[string]bool{"sOne": {}, "sTwo": {}, "sThree": {}},
	}
}

// posts posts to the server in charge, as the lambda does, and records it.
func (m *migration) posts(url string, n int) {
	m.T.Helper()
	file, err := os.OpenFile(m.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		m.T.Fatal(err)
	}
	defer file.Close()
	segments := slices.Sorted(maps.Keys(m.members))
	server := &harness.Addresses{HTTPS: strings.TrimPrefix(url, "https://")}
	for range n {
		c := harness.Change{Segment: segments[m.random.IntN(len(segments))], Verb: "add", Keys: []string{strconv.Itoa(1_000_000 + m.random.IntN(40))}}
		if m.random.IntN(2) == 0 {
			c.Verb = "delete"
		}
		if err := server.PostKept(m.context(), c); err != nil {
			m.T.Fatal(err)
		}
		if m.members[c.Segment][c.Keys[0]] = true; c.Verb == "delete" {
			delete(m.members[c.Segment], c.Keys[0])
		}
		if _, err := fmt.Fprintf(file, "%s\n", c.Body()); err != nil {
			m.T.Fatal(err)
		}
		m.lines++
	}
}

func (m *migration) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	m.T.Cleanup(cancel)
	return ctx
}

// relay starts the relay.
func (m *migration) relay(deliver bool) *harness.Process {
	m.T.Helper()
	m.Configure(map[string]any{"deliver": deliver})
	p := m.Start()
	p.Ready()
	return p
}

// replay runs the command of that name.
func (m *migration) replay(p *harness.Process, more ...string) (code int, said string) {
	m.T.Helper()
	args := append([]string{"replay", m.record, "--to", "https://" + p.HTTPS, "--insecure", "--token-file", m.token, "--rate", "2000"}, more...)
	code, stdout, stderr := harness.Run(m.T, nil, args...)
	return code, stdout + stderr
}

// feed posts to the relay what was recorded since the last time.
func (m *migration) feed(p *harness.Process) {
	m.T.Helper()
	code, said := m.replay(p, "--from", strconv.Itoa(m.done+1))
	if want := fmt.Sprintf(", up to line %d.\n", m.lines); code != exitDone || !strings.HasSuffix(said, want) {
		m.T.Fatalf("exit code %d, want %s\n%s", code, want, said)
	}
	m.done = m.lines
}

// nothingNew is a feed where all is done.
func (m *migration) nothingNew(p *harness.Process) {
	m.T.Helper()
	if code, said := m.replay(p, "--from", strconv.Itoa(m.done+1)); code != exitNothing {
		m.T.Errorf("exit code %d\n%s", code, said)
	}
}

// compare compares the answers of a relay with those of an old server, neither of which
// can reach Split.
func (m *migration) compare(p *harness.Process) {
	m.T.Helper()
	spare := newOldServer(m.T.(*testing.T), "")
	code, said := m.replay(p, "--expect", spare.URL)
	if !regexp.MustCompile(fmt.Sprintf(`(?s)^POSTS.*\n%d +200 +200 +\n%d posts, up to line %d\.\n$`, m.lines, m.lines, m.lines)).MatchString(said) || code != exitDone {
		m.T.Errorf("compared: exit code %d\n%s", code, said)
	}
}

// takeOver changes over to the relay, as long as nobody posts: the old server ends, and
// what it was posted last is lost with it; the relay is fed the rest, and delivers.
func (m *migration) takeOver(p *harness.Process) *harness.Process {
	m.T.Helper()
	if len(m.wrong()) == 0 {
		m.T.Error("the old server did all right: what the relay does shows nothing")
	}
	m.old.forget()
	m.feed(p)
	if code := p.Terminate(); code != exitDone {
		m.T.Errorf("exit code %d", code)
	}
	p = m.relay(true)
	m.delivered(p)
	return p
}

// delivered waits until nothing is pending.
func (m *migration) delivered(p *harness.Process) {
	m.T.Helper()
	for _, line := range []string{"audiences_segments_uncounted 0", "audiences_keys_pending 0"} {
		p.Shows(line)
	}
}

// check wants every key of every segment to be right.
func (m *migration) check(when string) {
	m.T.Helper()
	for _, segment := range m.wrong() {
		m.T.Errorf("%s: %s has %q, want %q", when, segment, m.Members(segment), slices.Sorted(maps.Keys(m.members[segment])))
	}
}

// wrong are the segments of which Split has not just the keys that it should.
func (m *migration) wrong() (segments []string) {
	for segment, members := range m.members {
		if !slices.Equal(m.Members(segment), slices.Sorted(maps.Keys(members))) {
			segments = append(segments, segment)
		}
	}
	return segments
}

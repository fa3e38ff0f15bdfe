package sandbox

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "made-up-token-1"

// got is what the test's client got; err is set when there was no answer.
type got struct {
	status int
	header http.Header
	body   string
	err    error
	after  time.Duration
}

// caller is a client that behaves unless a test makes it misbehave.
type caller struct {
	t       *testing.T
	client  *http.Client
	base    string
	token   string
	query   string
	comment string
	title   string
}

func (c caller) as(token string) caller { c.token = token; return c }

func (c caller) do(ctx context.Context, method, path string, header http.Header, body string) got {
	c.t.Helper()
	start := time.Now()
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = header
	resp, err := c.client.Do(r)
	if err != nil {
		return got{err: err, after: time.Since(start)}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, resp.Header, string(data), err, time.Since(start)}
}

func (c caller) auth() http.Header {
	if strings.HasPrefix(c.token, "pat.") || strings.HasPrefix(c.token, "sat.") {
		return http.Header{"X-Api-Key": {c.token}}
	}
	return http.Header{"Authorization": {"Bearer " + c.token}}
}

func (c caller) api(method, path, body string) got {
	c.t.Helper()
	return c.do(c.t.Context(), method, "/internal/api/v2/segments/"+path, c.auth(), body)
}

func (c caller) body(keys []string) string {
	data, err := json.Marshal(changeBody{keys, c.comment, c.title})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

func (c caller) add(segment string, keys ...string) got {
	c.t.Helper()
	return c.api("PUT", "env/"+segment+"/uploadKeys"+c.query, c.body(keys))
}

func (c caller) remove(segment string, keys ...string) got {
	c.t.Helper()
	return c.api("PUT", "env/"+segment+"/removeKeys", c.body(keys))
}

// addWithin gives up after the timeout, as the relay does.
func (c caller) addWithin(timeout time.Duration, segment string, keys ...string) got {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), timeout)
	defer cancel()
	return c.do(ctx, "PUT", "/internal/api/v2/segments/env/"+segment+"/uploadKeys"+c.query, c.auth(), c.body(keys))
}

// inBubble runs a test in virtual time against a sandbox behind a Pipe. The
// bubble itself fails when the pipe leaves a goroutine behind.
func inBubble(t *testing.T, opts Options, test func(t *testing.T, s *Split, c caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Grace = cmp.Or(opts.Grace, -1)
		s := New(opts)
		p := s.Pipe()
		client := p.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		test(t, s, caller{t: t, client: client, base: "https://split.example", token: token, query: "?replace=false", comment: "by a test", title: "a test"})
		p.Close()
	})
}

func (g got) want(t *testing.T, status int, part string) {
	t.Helper()
	if g.status != status || !strings.Contains(g.body, part) {
		t.Errorf("answer %d %.300s %v, want %d with %q", g.status, g.body, g.err, status, part)
	}
}

func wantMembers(t *testing.T, s *Split, org, segment string, want ...string) {
	t.Helper()
	if have := s.Members(org, "env", segment); strings.Join(have, " ") != strings.Join(want, " ") {
		t.Errorf("members of %s: %v, want %v", segment, have, want)
	}
}

func wantViolations(t *testing.T, s *Split, want ...Promise) {
	t.Helper()
	var have []Promise
	for _, v := range s.Violations() {
		have = append(have, v.Promise)
	}
	if len(have) != len(want) {
		t.Errorf("violations %q, want %q", have, want)
		return
	}
	for i := range want {
		if have[i] != want[i] {
			t.Errorf("violation %d: %q, want %q", i, have[i], want[i])
		}
	}
}

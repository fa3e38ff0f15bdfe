//go:build e2e

package postgres

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/vault"
	"audiences/placement"
	server "audiences/sandbox/postgres"
)

// shared is the server that all tests have a database of their own on.
var shared *server.Server

func TestMain(m *testing.M) { os.Exit(server.Share(m, &shared)) }

// cluster is a database of a test's own, and the nodes on it.
type cluster struct {
	*testing.T
	url string
	key vault.Vault
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	url, err := shared.NewDatabase(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := vault.Make()
	return &cluster{T: t, url: url, key: key}
}

// node opens the journal as one more node does.
func (c *cluster) node(change ...func(*Options)) *Journal {
	c.Helper()
	o := Options{URL: c.url, Vault: c.key, Name: "n", Egress: "e", ReceiptsMaxAge: 24 * time.Hour, Logger: zerolog.New(zerolog.NewTestWriter(c.T)).Level(zerolog.InfoLevel)}
	for _, f := range change {
		f(&o)
	}
	j, err := Open(c.Context(), o)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = j.Close() })
	return j
}

// owner is a node that owns all slots.
func (c *cluster) owner(change ...func(*Options)) *Journal {
	c.Helper()
	return c.own(c.node(change...))
}

// own has a node own all slots.
func (c *cluster) own(j *Journal) *Journal {
	c.Helper()
	c.beat(j, placement.Beat{Claim: audience.AllSlots()})
	return j
}

// beat has the node beat, with a lease of an hour where b has none.
func (c *cluster) beat(j *Journal, b placement.Beat) placement.View {
	c.Helper()
	if b.Lease == 0 {
		b.Lease = time.Hour
	}
	view, err := j.Beat(c.Context(), b)
	if err != nil {
		c.Fatal(err)
	}
	return view
}

// sql is the only value that a query returns.
func sql[T any](c *cluster, query string, args ...any) (value T) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.url)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(c.Context(), query, args...).Scan(&value); err != nil {
		c.Fatalf("%s: %v", query, err)
	}
	return value
}

func tenant(text string) audience.Tenant {
	token, err := audience.ParseToken(text)
	if err != nil {
		panic(err)
	}
	return audience.NewTenant(token)
}

func segment(of audience.Tenant, name string) audience.Segment {
	return audience.Segment{Tenant: of.ID, Workspace: "w", Environment: "e", TrafficType: "user", Name: name}
}

func keys(texts string) (keys []audience.Key) {
	for text := range strings.FieldsSeq(texts) {
		key, err := audience.ParseKey(text)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// numbered is keys from one number to another.
func numbered(from, to int) string {
	var all strings.Builder
	for ; from < to; from++ {
		fmt.Fprintf(&all, " %d", from)
	}
	return all.String()
}

// accept appends and waits.
func accept(j *Journal, s audience.Segment, verb audience.Verb, texts string) (journal.Version, error) {
	done := make(chan error, 1)
	version := j.Append(journal.Append{Tenant: s.Tenant, Done: func(err error) { done <- err },
		Changes: []journal.Change{{Segment: s, Verb: verb, Keys: audience.KeysOf(keys(texts)...)}}})
	return version, <-done
}

func (c *cluster) accept(j *Journal, s audience.Segment, verb audience.Verb, texts string) journal.Version {
	c.Helper()
	version, err := accept(j, s, verb, texts)
	if err != nil {
		c.Fatal(err)
	}
	return version
}

// wait is what something asynchronous answers with.
func wait[T any](c *cluster, ask func(done func(T))) T {
	c.Helper()
	got := make(chan T, 1)
	ask(func(answer T) { got <- answer })
	select {
	case answer := <-got:
		return answer
	case <-time.After(30 * time.Second):
		c.Fatal("no answer")
		panic("unreachable")
	}
}

func (c *cluster) load(j *Journal, s audience.Segment) journal.Page {
	c.Helper()
	page := wait(c, func(done func(journal.Page)) {
		j.Load(journal.Load{Segment: s, Limit: 1_000, NotBefore: j.Newest(), Done: done})
	})
	if page.Err != nil {
		c.Fatal(page.Err)
	}
	return page
}

// pending is what waits in a segment: "+1 -2".
func (c *cluster) pending(j *Journal, s audience.Segment) string {
	c.Helper()
	var words []string
	for _, e := range c.load(j, s).Entries {
		words = append(words, signed(e.Verb, e.Key))
	}
	return strings.Join(words, " ")
}

func signed(verb audience.Verb, key audience.Key) string {
	if verb == audience.Delete {
		return "-" + key.Text()
	}
	return "+" + key.Text()
}

func (c *cluster) parked(j *Journal, s audience.Segment) string {
	c.Helper()
	page := wait(c, func(done func(journal.ParkedPage)) {
		j.Parked(journal.ParkedQuery{Segment: s, Limit: 1_000, Done: done})
	})
	if page.Err != nil {
		c.Fatal(page.Err)
	}
	var words []string
	for _, e := range page.Entries {
		words = append(words, signed(e.Verb, e.Key)+":"+e.Refusal.Reason)
	}
	return strings.Join(words, " ")
}

// drawn selects keys as a page showed them.
func drawn(entries []journal.Entry) journal.Selection {
	return journal.Selection{Drawn: func(yield func(audience.Key, journal.Version) bool) {
		for _, e := range entries {
			if !yield(e.Key, e.Version) {
				return
			}
		}
	}}
}

// covered selects keys that the node itself accepted, up to a version.
func covered(texts string, notAfter journal.Version) journal.Selection {
	return journal.Selection{Keys: slices.Values(keys(texts)), NotAfter: notAfter}
}

func (c *cluster) settle(j *Journal, s audience.Segment, selection journal.Selection, receipt journal.Receipt) (newer string) {
	c.Helper()
	type answer struct {
		newer []audience.Key
		err   error
	}
	got := wait(c, func(done func(answer)) {
		j.Settle(journal.Settle{Segment: s, Selection: selection, Receipt: receipt, Done: func(newer []audience.Key, err error) { done(answer{newer, err}) }})
	})
	if got.err != nil {
		c.Fatal(got.err)
	}
	return texts(got.newer)
}

func (c *cluster) park(j *Journal, s audience.Segment, verb audience.Verb, selection journal.Selection, reason string) (newer string) {
	c.Helper()
	type answer struct {
		newer []audience.Key
		err   error
	}
	got := wait(c, func(done func(answer)) {
		j.Park(journal.Park{Segment: s, Verb: verb, Selection: selection, Refusal: journal.Refusal{Reason: reason, At: time.Now()},
			Done: func(newer []audience.Key, err error) { done(answer{newer, err}) }})
	})
	if got.err != nil {
		c.Fatal(got.err)
	}
	return texts(got.newer)
}

func (c *cluster) unpark(j *Journal, s audience.Segment, discard bool, which string) int {
	c.Helper()
	u := journal.Unpark{Segment: s, Discard: discard}
	if which != "" {
		u.Keys = slices.Values(keys(which))
	}
	return wait(c, func(done func(int)) {
		u.Done = func(n int, err error) {
			if err != nil {
				c.Error(err)
			}
			done(n)
		}
		j.Unpark(u)
	})
}

func texts(keys []audience.Key) string {
	var all []string
	for _, key := range keys {
		all = append(all, key.Text())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

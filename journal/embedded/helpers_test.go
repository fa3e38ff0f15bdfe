package embedded

import (
	"errors"
	"flag"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"audiences/audience"
	"audiences/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func tenant(name string) audience.Tenant {
	token, err := audience.ParseToken("secret-api-token-of-" + name)
	if err != nil {
		panic(err)
	}
	return audience.NewTenant(token)
}

func segment(of audience.Tenant, name string) audience.Segment {
	return audience.Segment{Tenant: of.ID, Workspace: "ws", Environment: "env", TrafficType: "user", Name: name}
}

func keys(texts ...any) []audience.Key {
	var out []audience.Key
	for _, text := range texts {
		key, err := audience.ParseKey(fmt.Sprint(text))
		if err != nil {
			panic(err)
		}
		out = append(out, key)
	}
	return out
}

func numbers(from, n int) []audience.Key {
	out := make([]audience.Key, n)
	for i := range out {
		out[i] = audience.NumericKey(int64(from + i))
	}
	return out
}

// open opens a journal and closes it with the test; change may be nil.
func open(t testing.TB, options Options) *Journal {
	t.Helper()
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// fewer has rapid draw 25 histories in the place of a hundred, until it is ended: with the
// race detector one takes up to a second. -rapid.checks says how many it is to be.
func fewer(t *testing.T) (end func()) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return func() {}
	}
	if err := checks.Value.Set("25"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = checks.Value.Set(checks.DefValue) } // its own value
}

func inMemory() Options {
	return Options{Dir: "data/journal", Memory: NewMemory(), Logger: zerolog.Nop()}
}

func wait(t testing.TB, done <-chan error) {
	t.Helper()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// told makes what the journal calls of a channel that has room.
func told(done chan<- error) func(error) {
	if done == nil {
		return nil
	}
	return func(err error) { done <- err }
}

func toldKeys(done chan<- error) func([]audience.Key, error) {
	if done == nil {
		return nil
	}
	return func(newer []audience.Key, err error) {
		if len(newer) > 0 {
			err = errors.Join(err, fmt.Errorf("%d keys are newer", len(newer)))
		}
		done <- err
	}
}

func appendOf(seg audience.Segment, verb audience.Verb, keys audience.Keys, describe bool, done chan<- error) journal.Append {
	return journal.Append{Tenant: seg.Tenant, Changes: []journal.Change{{Segment: seg, Verb: verb, Keys: keys, Describe: describe}}, Done: told(done)}
}

// newestVersion covers all that the store has of its own node.
const newestVersion = journal.Version(1<<40 - 1)

func selected(keys iter.Seq[audience.Key]) journal.Selection {
	return journal.Selection{Keys: keys, NotAfter: newestVersion}
}

func settleOf(seg audience.Segment, keys iter.Seq[audience.Key], done chan<- error) journal.Settle {
	return journal.Settle{Segment: seg, Selection: selected(keys), Done: toldKeys(done)}
}

func parkOf(seg audience.Segment, verb audience.Verb, keys iter.Seq[audience.Key], refusal journal.Refusal, done chan<- error) journal.Park {
	return journal.Park{Segment: seg, Verb: verb, Selection: selected(keys), Refusal: refusal, Done: toldKeys(done)}
}

func add(t testing.TB, j *Journal, seg audience.Segment, verb audience.Verb, keys ...audience.Key) {
	t.Helper()
	done := make(chan error, 1)
	j.Append(appendOf(seg, verb, audience.KeysOf(keys...), true, done))
	wait(t, done)
}

func settle(t testing.TB, j *Journal, seg audience.Segment, keys ...audience.Key) {
	t.Helper()
	done := make(chan error, 1)
	j.Settle(settleOf(seg, slices.Values(keys), done))
	wait(t, done)
}

func park(t testing.TB, j *Journal, seg audience.Segment, verb audience.Verb, keys ...audience.Key) {
	t.Helper()
	done := make(chan error, 1)
	j.Park(parkOf(seg, verb, slices.Values(keys), journal.Refusal{Reason: "bad_request", Message: "no"}, done))
	wait(t, done)
}

func load(j *Journal, l journal.Load) journal.Page {
	done := make(chan journal.Page, 1)
	l.Done = func(p journal.Page) { done <- p }
	j.Load(l)
	return <-done
}

func count(j *Journal, seg audience.Segment) journal.Counts {
	done := make(chan journal.Counts, 1)
	j.Count(journal.Count{Segment: seg, Done: func(c journal.Counts) { done <- c }})
	return <-done
}

func parked(j *Journal, seg audience.Segment) journal.ParkedPage {
	done := make(chan journal.ParkedPage, 1)
	j.Parked(journal.ParkedQuery{Segment: seg, Limit: 1 << 30, Done: func(p journal.ParkedPage) { done <- p }})
	return <-done
}

func unpark(j *Journal, u journal.Unpark) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	u.Done = func(n int, err error) { done <- result{n, err} }
	j.Unpark(u)
	r := <-done
	return r.n, r.err
}

// pending is everything pending of a segment, by the text of the key.
func pending(t testing.TB, j *Journal, seg audience.Segment) map[string]audience.Verb {
	t.Helper()
	page := load(j, journal.Load{Segment: seg, Limit: 1 << 30})
	if page.Err != nil {
		t.Fatal(page.Err)
	}
	return verbs(page)
}

func verbs(page journal.Page) map[string]audience.Verb {
	out := map[string]audience.Verb{}
	for _, entry := range page.Entries {
		out[entry.Key.Text()] = entry.Verb
	}
	return out
}

func parkedVerbs(t testing.TB, j *Journal, seg audience.Segment) map[string]audience.Verb {
	t.Helper()
	page := parked(j, seg)
	if page.Err != nil {
		t.Fatal(page.Err)
	}
	out := map[string]audience.Verb{}
	for _, entry := range page.Entries {
		out[entry.Key.Text()] = entry.Verb
	}
	return out
}

// collect separates the items of a listing from its errors.
func collect[T any](seq iter.Seq2[T, error]) (items []T, errs []error) {
	for item, err := range seq {
		if err != nil {
			errs = append(errs, err)
		} else {
			items = append(items, item)
		}
	}
	return items, errs
}

func noStage(*pebble.Batch) {}

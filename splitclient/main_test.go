package splitclient

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"audiences/audience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "5ecret-t0ken-abcdefghij"

func mustToken(s string) audience.Token {
	token, err := audience.ParseToken(s)
	if err != nil {
		panic(err)
	}
	return token
}

func keyOf(text string) audience.Key {
	key, err := audience.ParseKey(text)
	if err != nil {
		panic(err)
	}
	return key
}

// call is a plain call for the segment env1/s1 with the token secret.
func call(verb audience.Verb, keys ...string) Call {
	set := new(audience.KeySet)
	for _, text := range keys {
		set.Add(keyOf(text))
	}
	return Call{Token: mustToken(secret), Verb: verb, Keys: set, Segment: audience.Segment{Environment: "env1", Name: "s1"}}
}

// serve runs a server on loopback until the test ends.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// newClient is a client with its own transport, closed before the servers.
func newClient(t testing.TB, base string) *Client {
	t.Helper()
	return newClientWith(t, Options{BaseURL: base, Timeout: 30 * time.Second})
}

func newClientWith(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// sameVerdict compares what the table decides.
func sameVerdict(t testing.TB, got, want Outcome) {
	t.Helper()
	if got.Kind != want.Kind || got.Reason != want.Reason || got.Scope != want.Scope {
		t.Errorf("%v %s scope %d, want %v %s scope %d", got.Kind, got.Reason, got.Scope, want.Kind, want.Reason, want.Scope)
	}
}

// sentKeys checks how many keys a client counts as sent in calls to add.
func sentKeys(t testing.TB, c *Client, want float64) {
	t.Helper()
	if got := testutil.ToFloat64(c.metrics.keys[audience.Add]); got != want {
		t.Errorf("%v keys count as sent, want %v", got, want)
	}
}

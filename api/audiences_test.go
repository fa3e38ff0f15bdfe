package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"audiences/actors"
	"audiences/audience"
)

// TestNoAnswerBeforeTheReply proves I1's first half at this door.
func TestNoAnswerBeforeTheReply(t *testing.T) {
	for name, c := range map[string]struct {
		reply error
		want  answer
	}{
		"durable": {nil, answer{status: 200, body: "MPIDs ADD"}},
		"unknown": {errors.New("disk on fire"), answer{status: 503, body: `{"message":"outcome unknown, send it again"}`, retryAfter: "1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			replies := make(chan chan<- error, 1)
			f := start(t, Options{Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
			answers := f.postLater(t, body("verb", `"ADD"`))
			reply := <-replies
			select {
			case got := <-answers:
				t.Fatalf("%s: answered %+v before the reply", name, got)
			case <-time.After(9 * time.Second):
			}
			reply <- c.reply
			if got := <-answers; got.status != c.want.status || got.body != c.want.body || got.retryAfter != c.want.retryAfter {
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
		})
	}
}

// TestReplyThatIsLate: the caller is told after AnswerTimeout that the outcome is
// unknown (I1); its share of the limits stays taken until the reply, as the
// change still takes memory behind the mailbox.
func TestReplyThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 1)
		f := start(t, Options{MaxRequestsInFlight: 1, Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		begun := time.Now()
		got := f.post(t, body())
		if got.status != 503 || got.retryAfter != "1" || !strings.Contains(got.body, "outcome unknown") || time.Since(begun) != 10*time.Second {
			t.Errorf("%+v after %v", got, time.Since(begun))
		}
		if got := f.post(t, body()); got.status != 503 || f.takenSoFar() != 1 {
			t.Errorf("with the first one's reply outstanding: %+v", got)
		}
		(<-replies) <- nil
		synctest.Wait()
		answers := f.postLater(t, body())
		(<-replies) <- nil
		if got := <-answers; got.status != 200 {
			t.Errorf("after the late reply: %+v", got)
		}
		if f.admission.requests.Load() != 0 || f.admission.bytes.Load() != 0 {
			t.Error("something is still counted")
		}
	})
}

// TestBadBodiesTakeNothing sends every refusal of the decoder's table over the
// wire.
func TestBadBodiesTakeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		for name, c := range refusals {
			if got := f.post(t, c.body); got.status != 400 || !strings.HasPrefix(got.body, `{"message":"`) {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if f.takenSoFar() != 0 || f.admission.requests.Load() != 0 || f.admission.bytes.Load() != 0 {
			t.Error("something was taken or is still counted")
		}
	})
}

func TestIgnoredEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := start(t, Options{Logger: zerolog.New(zerolog.SyncWriter(&out)).Level(zerolog.InfoLevel)})
		for _, c := range []struct {
			mpids string
			taken int
		}{{`[null]`, 0}, {`[]`, 0}, {`[null, "", null, "8735621876216983452"]`, 1}} {
			if got := f.post(t, body("mpids", c.mpids)); got.status != 200 || got.body != "MPIDs add" || f.takenSoFar() != c.taken {
				t.Errorf("%s: %+v, %d taken", c.mpids, got, f.takenSoFar())
			}
		}
		if n, m := testutil.ToFloat64(f.metrics.ignoredNull), testutil.ToFloat64(f.metrics.ignoredBlank); n != 3 || m != 1 {
			t.Errorf("counted %v null, %v blank", n, m)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !strings.Contains(out.String(), `"count":1,"null":2,"blank":1,"tenant":"`) {
			t.Errorf("not told with the numbers: %s", out.String())
		}
		if lines := strings.Count(out.String(), "\n"); lines != 2 || strings.Contains(out.String(), "87356") || strings.Contains(out.String(), "tok-") {
			t.Errorf("%d log lines: %s", lines, out.String())
		}
	})
}

// TestPanicIsContained covers I7 for the one value that nobody chose to print.
func TestPanicIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := start(t, Options{Logger: zerolog.New(zerolog.SyncWriter(&out)), Accept: func(_ chan<- error, changes ...audience.Change) {
			panic("tok-secret " + texts(changes[0].Keys)[0])
		}})
		got := f.post(t, body("mpids", "[8735621876216983452]"))
		if got.status != 500 || strings.Contains(got.body, "goroutine") || !strings.HasPrefix(got.body, `{"message":"`) {
			t.Errorf("%+v", got)
		}
		for _, secret := range []string{"tok-", "8735621876216983452", "0x793b"} {
			if strings.Contains(out.String()+got.body, secret) {
				t.Errorf("%s shows in %s", secret, out.String())
			}
		}
		if !strings.Contains(out.String(), "TestPanicIsContained") {
			t.Errorf("the log does not lead to the fault: %s", out.String())
		}
		if testutil.ToFloat64(f.metrics.panics) != 1 || f.admission.requests.Load() != 0 {
			t.Error("not counted, or still in flight")
		}
		if got := f.get(t, "/ping"); got.status != 200 {
			t.Errorf("after it: %+v", got)
		}
	})
}

// TestAuthToken has the ways to write one token, for several tokens.
func TestAuthToken(t *testing.T) {
	for token, headers := range map[string]map[string]bool{
		"foo": {
			"foo": true, " foo ": true, "foo\t": true,
			"Bearer foo": true, "bearer foo": true, "BEARER foo": true, "bEaReR foo": true,
			"Bearer  foo": true, "Bearer \t foo \t": true, "Bearer\tfoo": true, "  Bearer foo": true,
			"Token foo": true, "token  foo": true,
			"": false, " ": false, "FOO": false, "fo": false, "fooo": false, "f oo": false, "foo foo": false, "foo, foo": false,
			"Basic Zm9v": false, "Basic foo": false, "Bearerfoo": false, "Bearer": false, "Bearer ": false, "Bearer FOO": false,
			"Bearer Bearer foo": false, "Bearer Token foo": false, "Bearer: foo": false, "Bearer foo bar": false, "Bearer \"foo\"": false,
			"Bearer\u00a0foo": false,
		},
		"Bearer x": {
			"Bearer x": true, "bearer x": true, "BEARER \t x": true, "Bearer Bearer x": true, "token Bearer x": true,
			"x": false, "Token x": false, "Bearer": false, "Bearer X": false, "Bearer y": false,
		},
		"Token x":   {"Token x": true, "TOKEN  x": true, "Bearer Token x": true, "Bearer x": false, "x": false},
		"two words": {"two words": true, "Bearer two words": true, "two  words": false, "TWO words": false, "words": false},
		"Bearer":    {"Bearer": true, "Bearer Bearer": true, "bearer": false, "Bearer x": false, "": false},
		"":          {"": false, " ": false, "Bearer": false, "Bearer ": false, "Token ": false, "bearer\t": false},
	} {
		for header, want := range headers {
			var held tokens
			held.set([]Token{tokenOf("a", token)})
			if token == "" {
				held.set(nil)
			}
			if held.matches(header, time.Now()) != want {
				t.Errorf("token %q: %q matches: %v", token, header, !want)
			}
		}
	}
}

func TestCache(t *testing.T) {
	token, _ := audience.ParseToken("tok-aaaa")
	id := audience.NewTenant(token).ID
	segment := func(workspace, trafficType, name string) audience.Segment {
		return audience.Segment{Tenant: id, Workspace: workspace, Environment: "env1", TrafficType: trafficType, Name: name}
	}
	got := cacheText([]actors.SegmentView{
		{Segment: segment("ws1", "tt1", "b"), Adds: 2, Deletes: 1},
		{Segment: segment("ws1", "tt2", "b"), Adds: 3},
		{Segment: segment("", "tt1", "a"), Stored: 7},
		{Segment: segment("ws1", "tt1", "idle")},
	})
	want := fmt.Sprintf("%[1]s:null:env1:a:stored => 7\n%[1]s:ws1:env1:b:add => 5\n%[1]s:ws1:env1:b:delete => 1", id)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{Segments: func(ctx context.Context) ([]actors.SegmentView, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		begun := time.Now()
		if got := f.get(t, "/cache"); got.status != 503 || got.retryAfter == "" || time.Since(begun) != 10*time.Second {
			t.Errorf("%+v after %v", got, time.Since(begun))
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		f := start(t, Options{Registerer: registry})
		// 9 codes, 24 causes, 2 kinds, 2 verbs, panics, histogram, 2 gauges, 23 of the gate, a token: all there from the start
		if n, err := testutil.GatherAndCount(registry); n != 65 || err != nil {
			t.Errorf("%d series, %v", n, err)
		}
		f.post(t, body())
		f.post(t, "")
		f.get(t, "/nope")
		for code, want := range map[string]float64{"200": 1, "400": 1, "404": 1, "500": 0} {
			if got := testutil.ToFloat64(f.metrics.requests.WithLabelValues(code)); got != want {
				t.Errorf("code %s: %v, want %v", code, got, want)
			}
		}
	})
}

// BenchmarkPost prints the time and allocations of one post without TLS.
func BenchmarkPost(b *testing.B) { benchmarkPost(b, nil) }

// BenchmarkPostTold is the same with somebody who is told of it.
func BenchmarkPostTold(b *testing.B) { benchmarkPost(b, func(Post) {}) }

func benchmarkPost(b *testing.B, answered func(Post)) {
	s := New(Options{Tokens: fooToken, Answered: answered, Accept: func(reply chan<- error, _ ...audience.Change) { reply <- nil }})
	text := body("mpids", `["1000000000000000000"]`)
	reader := strings.NewReader(text)
	r := httptest.NewRequest(http.MethodPost, "/audiences", reader)
	r.Header.Set("Authorization", "foo")
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(text)
		w := nothing{http.Header{}}
		s.echo.ServeHTTP(w, r)
	}
}

// nothing is a ResponseWriter that keeps nothing.
type nothing struct{ header http.Header }

func (n nothing) Header() http.Header          { return n.header }
func (nothing) Write(text []byte) (int, error) { return len(text), nil }
func (nothing) WriteHeader(int)                {}

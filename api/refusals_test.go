package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"audiences/audience"
)

// told is a line on refusals.
type told struct {
	Level, Cause, Field, Reason, Tenant, Panic string
	Count                                      int
}

// tellings are the lines on refusals in a log.
func tellings(t *testing.T, log string) (lines []told) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line told
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Cause != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

const fingerprintLength = 12

// TestEveryRefusalIsToldAndCounted goes through all ways to be refused: each is counted
// under its cause, and the log tells of the first one at once and of the second one ten
// seconds later, with the field, and with the tenant where the body told it. It shows
// nothing of a body, a token or a path (I7).
func TestEveryRefusalIsToldAndCounted(t *testing.T) {
	post := func(text string) func(t *testing.T, f *fixture) {
		return func(t *testing.T, f *fixture) { f.post(t, text) }
	}
	send := func(text string) func(t *testing.T, f *fixture) {
		return func(t *testing.T, f *fixture) { <-f.raw(t, text) }
	}
	const head = "POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\n"
	refuse := func(err error) func() error { return func() error { return err } }
	disk, odd := errors.New("disk nearly full"), errors.New("the moon is full")
	causeOf := func(err error) Cause {
		if err == disk {
			return CauseDisk
		}
		return CauseOther
	}
	for name, c := range map[string]struct {
		cause   Cause
		field   string
		tenant  bool
		options Options
		once    func(t *testing.T, f *fixture)
	}{
		"no HTTP":          {CauseHeaders, "", false, Options{}, send("tok-secret\r\n\r\n")},
		"half a header":    {CauseHeaders, "", false, Options{}, send(head)},
		"a long header":    {CauseHeaders, "", false, Options{}, send(head + "X: " + strings.Repeat("tok-", 6000) + "\r\n\r\n")},
		"a path":           {CausePath, "", false, Options{}, send("POST /tok-secret HTTP/1.1\r\nHost: x\r\n\r\n")},
		"a method":         {CauseMethod, "", false, Options{}, send("tok-secret /audiences HTTP/1.1\r\nHost: x\r\n\r\n")},
		"a wrong token":    {CauseToken, "", false, Options{}, send("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: tok-secret\r\n\r\n")},
		"stopping":         {CauseStopping, "", false, Options{}, func(t *testing.T, f *fixture) { f.Drain(); f.post(t, body()) }},
		"a full disk":      {CauseDisk, "", false, Options{Refuse: refuse(disk), CauseOf: causeOf}, post(body())},
		"no room for keys": {CauseDisk, "", true, Options{Admit: func(audience.Keys) error { return disk }, CauseOf: causeOf}, post(body())},
		"something else":   {CauseOther, "", false, Options{Refuse: refuse(odd), CauseOf: causeOf}, post(body())},
		"in flight": {CauseRequests, "", false, Options{}, func(t *testing.T, f *fixture) {
			f.admission.requests.Add(4096)
			f.post(t, body())
			f.admission.requests.Add(-4096)
		}},
		"bytes": {CauseBytes, "", false, Options{}, func(t *testing.T, f *fixture) {
			f.admission.bytes.Add(256 << 20)
			f.post(t, body())
			f.admission.bytes.Add(-256 << 20)
		}},
		"a large body":   {CauseTooLarge, "", false, Options{MaxBodyBytes: 10}, post(body())},
		"many keys":      {CauseTooMany, "", false, Options{MaxKeysPerPost: 1}, post(body("mpids", `["1","2"]`))},
		"a slow body":    {CauseSlow, "", false, Options{}, send(head + "Content-Length: 9\r\n\r\n{")},
		"no object":      {CauseBody, "", false, Options{}, post(`"tok-secret"`)},
		"twice":          {CauseBody, "mpids", false, Options{}, post(`{"mpids": ["1"], ` + body()[1:])},
		"a verb":         {CauseField, "verb", false, Options{}, post(body("verb", `"tok-"`))},
		"no environment": {CauseField, "environmentId", true, Options{}, post(body("environmentId", ""))},
		"a key":          {CauseField, "mpids", true, Options{}, post(body("mpids", `[{"tok-secret":8735621876216983452}]`))},
		"not confirmed":  {CauseUnconfirmed, "", true, Options{Accept: func(reply chan<- error, _ ...audience.Change) { reply <- errors.New("tok-secret") }}, post(body())},
		"confirmed late": {CauseNoAnswer, "", true, Options{AnswerTimeout: time.Second, Accept: func(reply chan<- error, _ ...audience.Change) {
			time.AfterFunc(2*time.Second, func() { reply <- nil })
		}}, post(body())},
		"a panic": {CauseBug, "", true, Options{Accept: func(chan<- error, ...audience.Change) { panic("tok-secret") }}, post(body())},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				options := c.options
				options.Logger = zerolog.New(zerolog.SyncWriter(&out)).Level(zerolog.DebugLevel)
				f := start(t, options)
				for again := range 2 {
					c.once(t, f)
					time.Sleep(time.Second) // in which net/http ends the connection of one that it answered itself
					synctest.Wait()
					if n := testutil.ToFloat64(f.metrics.refused.WithLabelValues(string(c.cause))); n != float64(again+1) {
						t.Errorf("%v counted after %d", n, again+1)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				lines := tellings(t, out.String())
				if len(lines) != 2 {
					t.Fatalf("%d lines: %s", len(lines), out.String())
				}
				for _, line := range lines {
					bug := c.cause == CauseBug
					if line.Cause != string(c.cause) || line.Field != c.field || line.Count != 1 || (len(line.Tenant) == fingerprintLength) != c.tenant ||
						(line.Level == "error") != bug || (line.Panic == "string") != bug || (line.Reason != "") != (c.cause == CauseOther) {
						t.Errorf("%+v", line)
					}
				}
				for _, secret := range []string{"tok-", "8735621876216983452"} {
					if strings.Contains(out.String(), secret) {
						t.Errorf("%s shows in %s", secret, out.String())
					}
				}
			})
		})
	}
}

// TestManyRefusals is a day in the field: 902 of 960 posts were refused, and the log
// said nothing. Now one line says so at once and one within ten seconds how many there
// were, and a stop does not lose the number.
func TestManyRefusals(t *testing.T) {
	for name, wait := range map[string]bool{"ten seconds later": true, "at the stop": false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			full := false
			f := start(t, Options{Logger: zerolog.New(zerolog.SyncWriter(&out)), CauseOf: func(error) Cause { return CauseMemory }, Refuse: func() error {
				if full {
					return errors.New("memory nearly full")
				}
				return nil
			}})
			for i := range 960 {
				full = i >= 58
				f.post(t, body())
			}
			if wait {
				time.Sleep(10 * time.Second)
			} else if err := f.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			lines := tellings(t, out.String())
			if len(lines) != 2 || lines[0].Count != 1 || lines[1].Count != 901 || lines[1].Cause != "memory" {
				t.Errorf("%s: %+v", name, lines)
			}
		})
	}
}

var guessed = flag.Int("guesses", 20_000, "how many wrong tokens TestGuessesFillNoLog tries, in a minute")

// TestGuessesFillNoLog: who tries one token after the other is answered 401, and the log has
// a handful of lines of it, whatever their number.
func TestGuessesFillNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := New(Options{Tokens: fooToken, Logger: zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.InfoLevel)})
		var answering sync.WaitGroup
		for n := range *guessed {
			r := httptest.NewRequest(http.MethodPost, "/audiences", nil)
			r.Header.Set("Authorization", fmt.Sprint("Bearer guess-", n))
			w := httptest.NewRecorder()
			answering.Go(func() {
				if s.echo.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
					t.Errorf("%d: %d", n, w.Code)
				}
			})
			time.Sleep(time.Minute / time.Duration(*guessed))
		}
		answering.Wait()
		time.Sleep(time.Minute)
		s.flushLog()
		synctest.Wait()
		if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 10 {
			t.Errorf("%d lines", lines)
		}
		if strings.Contains(log.String(), "guess") {
			t.Error("the log repeats a token")
		}
	})
}

// TestGoodRequestsAreNotRefused: an answer that was good, a probe and a connection that
// ends between requests are no refusals.
func TestGoodRequestsAreNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := start(t, Options{Logger: zerolog.New(zerolog.SyncWriter(&out))})
		f.post(t, body())
		f.get(t, "/ping")
		<-f.raw(t, fmt.Sprintf("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nContent-Length: %d\r\n\r\n%s", len(body()), body()))
		f.client.CloseIdleConnections()
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, cause := range Causes() {
			if n := testutil.ToFloat64(f.metrics.refused.WithLabelValues(string(cause))); n != 0 {
				t.Errorf("%v refused for %s", n, cause)
			}
		}
		if lines := tellings(t, out.String()); len(lines) != 0 {
			t.Errorf("%+v", lines)
		}
	})
}

// TestDebugLines: at that level each request has a line, with the tenant where its body
// told it and no word that the caller chose (I7); at others there is none.
func TestDebugLines(t *testing.T) {
	for level, want := range map[zerolog.Level]int{zerolog.DebugLevel: 3, zerolog.InfoLevel: 0} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			f := start(t, Options{Logger: zerolog.New(zerolog.SyncWriter(&out)).Level(level), Accept: func(reply chan<- error, _ ...audience.Change) {
				time.AfterFunc(1500*time.Microsecond, func() { reply <- nil })
			}})
			f.post(t, body())
			f.get(t, "/ping?tok-secret")
			f.do(t, newRequest("TOK-SECRET", "/tok-secret", http.NoBody))
			var lines []string
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, `"ms":`) {
					lines = append(lines, line)
				}
			}
			if len(lines) != want || strings.Contains(strings.ToLower(out.String()), "tok-") {
				t.Fatalf("%s", out.String())
			}
			for i, part := range []string{
				`"method":"POST","path":"/audiences","status":200,"ms":1.5,`,
				`"method":"GET","path":"/ping","status":200,"ms":0,`,
				`"method":"unknown","path":"unknown","status":404,"ms":0,`,
			}[:want] {
				if !strings.Contains(lines[i], part) || strings.Contains(lines[i], `"tenant":"`) != (i == 0) {
					t.Errorf("%s, want %s", lines[i], part)
				}
			}
		})
	}
}

// TestAnswersAreANativeHistogramToo: a collector that speaks protobuf gets finer buckets.
func TestAnswersAreANativeHistogramToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		f := start(t, Options{Registerer: registry})
		f.post(t, body())
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "audiences_answer_seconds" {
				if h := family.GetMetric()[0].GetHistogram(); h.Schema == nil || len(h.GetBucket()) != 14 || h.GetSampleCount() != 1 {
					t.Errorf("%v", h)
				}
				return
			}
		}
		t.Error("no such metric")
	})
}

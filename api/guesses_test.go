package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestGuessesAreSlow: whoever shows many wrong tokens is answered late, and with a right one
// at once, also from the same address. Others are not slowed.
func TestGuessesAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Tokens: fooToken})
		ask := func(from, token string) (code int, took time.Duration) {
			r := httptest.NewRequest(http.MethodGet, "/cache", nil)
			r.RemoteAddr = from
			r.Header.Set("Authorization", token)
			w, began := httptest.NewRecorder(), time.Now()
			s.echo.ServeHTTP(w, r)
			return w.Code, time.Since(began)
		}
		for n := range 2 * freeGuesses {
			want := time.Duration(0)
			if n >= freeGuesses {
				want = guessWait
			}
			if code, took := ask(fmt.Sprint("192.0.2.1:", 1000+n), "wrong"); code != 401 || took != want {
				t.Errorf("wrong token %d: %d after %v, want %v", n+1, code, took, want)
			}
			if code, took := ask("192.0.2.1:5", "foo"); code != 200 || took != 0 {
				t.Errorf("a right token from that address: %d after %v", code, took)
			}
		}
		if code, took := ask("[2001:db8::1]:5", "wrong"); code != 401 || took != 0 {
			t.Errorf("a wrong token from another address: %d after %v", code, took)
		}
		time.Sleep(guessPeriod)
		if _, took := ask("192.0.2.1:5", "wrong"); took != 0 {
			t.Errorf("a minute later: after %v", took)
		}
	})
}

// TestGuessesAreBounded: neither the answers that wait nor the addresses grow with those who
// guess, and nothing waits for who has gone.
func TestGuessesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		for n := range 2 * mostAddresses {
			g.slow(t.Context(), fmt.Sprintf("192.0.%d.%d:1", n/256, n%256))
		}
		if len(g.wrong) != mostAddresses {
			t.Errorf("%d addresses are counted", len(g.wrong))
		}
		var waiting sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range freeGuesses + 2*mostGuessing {
			waiting.Go(func() { g.slow(ctx, "192.0.0.1:1") })
		}
		synctest.Wait()
		if g.waiting != mostGuessing {
			t.Errorf("%d answers wait", g.waiting)
		}
		began := time.Now()
		cancel()
		waiting.Wait()
		if g.waiting != 0 || time.Since(began) != 0 {
			t.Errorf("%d answers wait for who has gone, after %v", g.waiting, time.Since(began))
		}
	})
}

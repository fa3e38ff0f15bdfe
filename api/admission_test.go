package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"audiences/audience"
)

func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 2)
		f := start(t, Options{MaxRequestsInFlight: 2, Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		first, second := f.postLater(t, body()), f.postLater(t, body())
		synctest.Wait()
		if got := f.post(t, body()); got.status != 503 || got.retryAfter != "1" || !strings.HasPrefix(got.body, `{"message":"`) {
			t.Errorf("one too many: %+v", got)
		}
		if f.takenSoFar() != 2 {
			t.Error("a refused change was taken")
		}
		if got := f.get(t, "/ping"); got.status != 200 {
			t.Errorf("a probe under overload: %+v", got)
		}
		(<-replies) <- nil
		(<-replies) <- nil
		if a, b := <-first, <-second; a.status != 200 || b.status != 200 {
			t.Error(a, b)
		}
		third := f.postLater(t, body())
		(<-replies) <- nil
		if got := <-third; got.status != 200 {
			t.Errorf("after the overload: %+v", got)
		}
	})
}

func TestTooManyBytes(t *testing.T) {
	keys := array(20, strconv.Itoa)
	each := weight(mustDecode(t, keys).change.Keys)
	for name, send := range map[string]io.Reader{"counted": strings.NewReader(keys), "chunked": io.MultiReader(strings.NewReader(keys))} {
		synctest.Test(t, func(t *testing.T) {
			replies := make(chan chan<- error, 12)
			f := start(t, Options{MaxBodyBytes: each, MaxBytesInFlight: 12 * each, Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
			var answers []<-chan answer
			for range 12 {
				answers = append(answers, f.postLater(t, keys))
			}
			synctest.Wait()
			if n := f.admission.bytes.Load(); n != 12*each {
				t.Errorf("%d bytes counted", n)
			}
			if got := f.do(t, newRequest(http.MethodPost, "/audiences", send)); got.status != 503 || got.retryAfter != "1" {
				t.Errorf("%s: %+v", name, got)
			}
			if f.takenSoFar() != 12 {
				t.Error("a refused change was taken")
			}
			for range answers {
				(<-replies) <- nil
			}
			for _, a := range answers {
				if got := <-a; got.status != 200 {
					t.Error(got)
				}
			}
			if n := f.admission.bytes.Load(); n != 0 {
				t.Errorf("%d bytes still counted", n)
			}
			last := f.postLater(t, keys)
			(<-replies) <- nil
			if got := <-last; got.status != 200 {
				t.Errorf("after the overload: %+v", got)
			}
		})
	}
}

// TestShortKeysAreCountedAsTheyAreHeld: short keys take many times their text until
// they are durable; those that stand there twice take nothing.
func TestShortKeysAreCountedAsTheyAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 1)
		f := start(t, Options{Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		answers := f.postLater(t, body("mpids", "["+strings.Repeat("1,", 999)+"2,3]"))
		reply := <-replies
		if n := f.admission.bytes.Load(); n != 3*recordBytes+3*32 {
			t.Errorf("%d bytes counted", n)
		}
		reply <- nil
		<-answers
	})
}

// TestWhatIsLarge: a body of 64 KiB is taken beside others as it is; one byte more,
// and there must be room for all that is decoded from it.
func TestWhatIsLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{MaxBodyBytes: 2 * large, MaxBytesInFlight: 8 * large})
		f.admission.bytes.Add(3 * large) // others
		defer f.admission.bytes.Add(-3 * large)
		for size, status := range map[int]int{large: 200, large + 1: 503} {
			if got := f.post(t, body()+strings.Repeat(" ", size-len(body()))); got.status != status {
				t.Errorf("%d bytes: %+v, want %d", size, got, status)
			}
		}
	})
}

// TestLargestBodyPassesAlone: limits that no body could pass would refuse it
// for ever.
func TestLargestBodyPassesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{MaxBodyBytes: 3000, MaxBytesInFlight: 1})
		if got := f.post(t, body("mpids", "["+strings.Repeat("1,", 999)+"1]")); got.status != 200 {
			t.Errorf("%+v", got)
		}
	})
}

func TestBodyTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{MaxBodyBytes: 1000})
		exact := body() + strings.Repeat(" ", 1000-len(body()))
		for name, c := range map[string]struct {
			body   io.Reader
			status int
		}{
			"counted, exact":     {strings.NewReader(exact), 200},
			"chunked, exact":     {io.MultiReader(strings.NewReader(exact)), 200},
			"counted, too large": {strings.NewReader(exact + " "), 413},
			"chunked, too large": {io.MultiReader(strings.NewReader(exact + " ")), 413},
		} {
			before := f.takenSoFar()
			got := f.do(t, newRequest(http.MethodPost, "/audiences", c.body))
			if got.status != c.status || (f.takenSoFar() > before) != (c.status == 200) {
				t.Errorf("%s: %+v", name, got)
			}
			if c.status == 413 && got.body != `{"message":"POST body is larger than 1000 bytes"}` {
				t.Errorf("%s: %s", name, got.body)
			}
		}
	})
}

func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full error = errors.New("the disk is nearly full, send it again")
		f := start(t, Options{Refuse: func() error { return full }})
		got := f.post(t, body())
		if got.status != 503 || got.retryAfter != "5" || got.body != `{"message":"the disk is nearly full, send it again"}` || f.takenSoFar() != 0 {
			t.Errorf("%+v", got)
		}
		full = nil
		if got := f.post(t, body()); got.status != 200 {
			t.Errorf("after it: %+v", got)
		}
	})
}

// TestAdmit: what there is no room for is refused with the reason, and reaches nobody.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := start(t, Options{Admit: func(keys audience.Keys) error {
			if asked = keys.Len(); asked > 1 {
				return errors.New("disk nearly full")
			}
			return nil
		}})
		got := f.post(t, body("mpids", `["1","2"]`))
		if got.status != 503 || got.retryAfter != "5" || got.body != `{"message":"disk nearly full"}` || asked < 2 || f.takenSoFar() != 0 {
			t.Errorf("%+v, asked for %d keys", got, asked)
		}
		if got := f.post(t, body()); got.status != 200 || asked != 1 {
			t.Errorf("with room: %+v, asked for %d keys", got, asked)
		}
	})
}

// TestHangUpAfterHalfABody: HTTP/1 cannot go on behind a body that is not read.
func TestHangUpAfterHalfABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		got := <-f.raw(t, "POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nContent-Length: 99999999\r\n\r\n{")
		if got.status != 413 || !got.close {
			t.Errorf("%+v", got)
		}
	})
}

func TestReadBody(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader}
	for _, size := range []int{0, 1, firstBuffer - 1, firstBuffer, firstBuffer + 1, 100_000, 200_000} {
		for name, reader := range readers {
			for _, declared := range []int64{int64(size), -1} {
				text := strings.Repeat("x", size)
				w := &workspace{body: make([]byte, 0, firstBuffer)}
				ticket, _ := (&admission{maxRequests: 1, maxBytes: 1_000_000}).admit()
				if err := w.read(reader(strings.NewReader(text)), declared, 200_000, &ticket); err != nil || string(w.body) != text {
					t.Errorf("%d bytes, %s, declared %d: %d came, %v", size, name, declared, len(w.body), err)
				}
				if declared >= 0 && cap(w.body) > max(firstBuffer, size+1) {
					t.Errorf("%d bytes, %s: %d taken, though declared", size, name, cap(w.body))
				}
				if ticket.bytes < int64(size) || size > firstBuffer && ticket.bytes != int64(cap(w.body)) || cap(w.body) > max(firstBuffer, 2*size+1) {
					t.Errorf("%d bytes: %d counted, %d taken", size, ticket.bytes, cap(w.body))
				}
			}
		}
	}
}

func TestReadBodyFaults(t *testing.T) {
	for name, c := range map[string]struct {
		then error
		want *failure
	}{
		"cut off":   {io.ErrUnexpectedEOF, errCutBody},
		"too slow":  {os.ErrDeadlineExceeded, errSlowBody},
		"too heavy": {nil, errHeavy},
	} {
		w := &workspace{}
		others := &admission{maxRequests: 1, maxBytes: 10}
		others.bytes.Store(5)
		ticket, _ := others.admit()
		from := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(c.then))
		if c.then == nil {
			from = strings.NewReader("123456")
		}
		if err := w.read(from, -1, 10, &ticket); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
		ticket.release()
	}
}

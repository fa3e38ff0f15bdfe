package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"audiences/api/connections"
	"audiences/audience"
)

// TestZeroOptions: what is not said means what the comments of Options name.
func TestZeroOptions(t *testing.T) {
	o := Options{}.withDefaults()
	for name, c := range map[string]struct{ got, want int64 }{
		"AnswerTimeout":       {int64(o.AnswerTimeout), int64(10 * time.Second)},
		"MaxBodyBytes":        {o.MaxBodyBytes, 33_554_432},
		"MaxKeysPerPost":      {int64(o.MaxKeysPerPost), 1_000_000},
		"MaxRequestsInFlight": {int64(o.MaxRequestsInFlight), 4096},
		"MaxBytesInFlight":    {o.MaxBytesInFlight, 268_435_456},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
	if o.Started.IsZero() || o.Refuse() != nil {
		t.Errorf("no start, or everything is refused: %+v", o)
	}
	if views, err := o.Segments(t.Context()); len(views) != 0 || err != nil {
		t.Errorf("segments %v, %v", views, err)
	}
	if raised := (Options{MaxBodyBytes: 3, MaxBytesInFlight: 2}).withDefaults(); raised.MaxBytesInFlight != 3 {
		t.Errorf("bytes in flight: %d, less than the largest body", raised.MaxBytesInFlight)
	}
}

// TestWhoAnswersWhat is the table of methods, paths and tokens.
func TestWhoAnswersWhat(t *testing.T) {
	const (
		good     = "MPIDs add"
		method   = `{"message":"method not allowed"}`
		token    = `{"message":"auth token doesn't match"}`
		notFound = `{"message":"not found"}`
	)
	for _, c := range []struct {
		method, path, token string
		status              int
		body                string
	}{
		{"POST", "/audiences", "foo", 200, good},
		{"POST", "/audiences/", "Bearer foo", 200, good},
		{"POST", "/audiences?x=1", "foo", 200, good},
		{"POST", "/audiences", "", 401, token},
		{"POST", "/audiences", "bar", 401, token},
		{"POST", "/audiences/", "FOO", 401, token},
		{"GET", "/audiences", "foo", 405, method},
		{"PUT", "/audiences", "bar", 405, method}, // the method is looked at first
		{"DELETE", "/audiences/", "foo", 405, method},
		{"OPTIONS", "/audiences", "foo", 405, method},
		{"post", "/audiences", "foo", 405, method},
		{"BREW", "/audiences", "foo", 405, method},
		{"POST", "/audiences/x", "foo", 404, notFound},
		{"POST", "//audiences", "foo", 404, notFound},
		{"POST", "/./audiences", "foo", 404, notFound},
		{"POST", "/Audiences", "foo", 404, notFound},
		{"GET", "/nope", "foo", 404, notFound},
		{"GET", "/", "", 404, notFound},
		{"GET", "/pingfoo", "", 404, notFound},
		{"GET", "/ping", "", 200, "pong"},
		{"GET", "/ping/", "bar", 200, "pong"},
		{"POST", "/ping", "", 200, "pong"},
		{"BREW", "/ping", "", 200, "pong"},
		{"OPTIONS", "/ping", "", 200, "pong"},
		{"GET", "/uptime", "", 200, "0d:0h:0m:0s"},
		{"DELETE", "/uptime/", "", 200, "0d:0h:0m:0s"},
		{"GET", "/cache", "", 401, token},
		{"GET", "/cache", "foo", 200, "cache empty"},
		{"DELETE", "/cache/", "foo", 200, "cache empty"},
	} {
		t.Run(c.method+c.path+"+"+c.token, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, Options{})
				text := body()
				got := <-f.raw(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: relay\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
					c.method, c.path, c.token, len(text), text))
				if got.status != c.status || got.body != c.body {
					t.Errorf("%d %q, want %d %q", got.status, got.body, c.status, c.body)
				}
				if want := "application/json"; c.status != 200 && got.header.Get("Content-Type") != want {
					t.Errorf("content type %q, want %q", got.header.Get("Content-Type"), want)
				}
				if taken := f.takenSoFar(); (taken == 1) != (c.body == good) {
					t.Errorf("%d changes were taken", taken)
				}
			})
		})
	}
}

func TestHeadersThatClientsSend(t *testing.T) {
	text := body()
	head := fmt.Sprintf("Authorization: foo\r\nContent-Length: %d\r\n", len(text))
	for name, c := range map[string]struct {
		request string
		proto   string
	}{
		"HTTP/1.0":            {"POST /audiences HTTP/1.0\r\n" + head + "Connection: keep-alive\r\n\r\n" + text, "HTTP/1.0"},
		"Connection: close":   {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + head + "Connection: close\r\n\r\n" + text, "HTTP/1.1"},
		"a form's type":       {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + head + "Content-Type: application/x-www-form-urlencoded\r\n\r\n" + text, "HTTP/1.1"},
		"two tokens":          {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + head + "Authorization: bar\r\n\r\n" + text, "HTTP/1.1"},
		"header in lowercase": {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + strings.ToLower(head) + "\r\n" + text, "HTTP/1.1"},
		"chunked":             {fmt.Sprintf("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text), "HTTP/1.1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, Options{})
			if got := <-f.raw(t, c.request); got.status != 200 || got.proto != c.proto || f.takenSoFar() != 1 {
				t.Errorf("%s: %+v", name, got)
			}
		})
	}
}

// TestExpectContinue: a caller who asks first is told of a wrong token before it
// sends its body, and of a good one to go on.
func TestExpectContinue(t *testing.T) {
	for token, want := range map[string]int{"foo": 100, "bar": 401} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, Options{})
			got := <-f.raw(t, "POST /audiences HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\nAuthorization: "+token+"\r\n\r\n")
			if got.status != want {
				t.Errorf("token %s: %d, want %d", token, got.status, want)
			}
		})
	}
}

func TestHeadOfProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{Started: time.Now().Add(-49*time.Hour - 61*time.Second)})
		if got := f.do(t, newRequest(http.MethodHead, "/ping", nil)); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != "4" {
			t.Errorf("HEAD /ping: %+v", got)
		}
		if got := f.get(t, "/uptime"); got.body != "2d:1h:1m:1s" {
			t.Errorf("uptime %q", got.body)
		}
	})
}

func TestBothProtocolsOverTLS12AtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		if got := f.post(t, body()); got.status != 200 || got.proto != "HTTP/2.0" {
			t.Errorf("%+v, want 200 over HTTP/2", got)
		}
		for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			plain, err := f.pipes.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(plain, &tls.Config{
				InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version, NextProtos: []string{"http/1.1"},
			})
			if err := conn.Handshake(); (err == nil) != ok {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			} else if ok && conn.ConnectionState().NegotiatedProtocol != "http/1.1" {
				t.Errorf("%s: no HTTP/1.1", tls.VersionName(version))
			}
			_ = plain.Close()
		}
	})
}

// TestSlowClientsAreCutAndHoldNobodyUp: three bytes of a TLS hello, or half a
// body, silenced the old server until the client went away.
func TestSlowClientsAreCutAndHoldNobodyUp(t *testing.T) {
	const head = "POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\n"
	for name, c := range map[string]struct {
		sends  func(t *testing.T, f *fixture) <-chan answer
		after  time.Duration
		status int // 0: the connection is closed without a word
	}{
		"three bytes of a hello": {func(t *testing.T, f *fixture) <-chan answer { return f.rawPlain(t, "\x16\x03\x01") }, 5 * time.Second, 0},
		"half a header":          {func(t *testing.T, f *fixture) <-chan answer { return f.raw(t, head) }, 5 * time.Second, 0},
		"half a body":            {func(t *testing.T, f *fixture) <-chan answer { return f.raw(t, head+"Content-Length: 99\r\n\r\n{") }, 30 * time.Second, 408},
		"half a chunk": {func(t *testing.T, f *fixture) <-chan answer {
			return f.raw(t, head+"Transfer-Encoding: chunked\r\n\r\n9\r\n{")
		}, 30 * time.Second, 408},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, Options{})
				begun := time.Now()
				slow := c.sends(t, f)
				synctest.Wait()
				if n := f.admission.bytes.Load(); n > 1 {
					t.Errorf("%d bytes counted of a body that did not come", n)
				}
				if got := f.post(t, body()); got.status != 200 || time.Since(begun) != 0 {
					t.Errorf("another post: %+v after %v", got, time.Since(begun))
				}
				got := <-slow
				if got.status != c.status || time.Since(begun) != c.after {
					t.Errorf("%+v after %v, want %d after %v", got, time.Since(begun), c.status, c.after)
				}
				if got.status != 0 && !got.close {
					t.Error("the connection goes on behind half a body")
				}
				synctest.Wait()
				if n := f.admission.requests.Load(); n != 0 {
					t.Errorf("%d requests still counted", n)
				}
				if f.takenSoFar() != 1 {
					t.Error("something of the slow one was taken")
				}
			})
		})
	}
}

// rawPlain writes below TLS and reports when the server hangs up.
func (f *fixture) rawPlain(t *testing.T, text string) <-chan answer {
	conn, err := f.pipes.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		answers <- answer{}
	}()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return answers
}

// TestRefusedBodyIsReadAway: a caller who is refused before his body has come, and
// who wants the connection to be closed, can send all of it: a reset would overtake
// the answer.
func TestRefusedBodyIsReadAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		plain, err := f.pipes.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
		begun, whole := make(chan int, 1), make(chan answer, 1)
		go func() { // before writing: the server's session ticket wants a reader
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				begun <- 0
				whole <- answer{}
				return
			}
			begun <- response.StatusCode
			whole <- readAnswer(response)
		}()
		const size = 100_000
		if _, err := fmt.Fprintf(conn, "POST /audiences HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", size); err != nil {
			t.Fatal(err)
		}
		status := <-begun
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Errorf("the body: %v", err)
		}
		if got := <-whole; status != 401 || !strings.HasPrefix(got.body, `{"message":"`) {
			t.Errorf("%d, %+v", status, got)
		}
	})
}

func TestHTTP2BodyThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		begun := time.Now()
		half, pipe := io.Pipe()
		go func() { _, _ = pipe.Write([]byte("{")) }()
		got := f.do(t, newRequest(http.MethodPost, "/audiences", half))
		if got.status != 408 || got.proto != "HTTP/2.0" || time.Since(begun) != 30*time.Second {
			t.Errorf("%+v after %v", got, time.Since(begun))
		}
	})
}

func TestShutdownAnswersWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 1)
		f := start(t, Options{Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		if got := f.get(t, "/ping"); got.status != 200 {
			t.Fatal(got)
		}
		underWay := f.postLater(t, body())
		reply := <-replies
		f.Drain()
		if got := f.post(t, body()); got.status != 503 || got.retryAfter != "5" {
			t.Errorf("a straggler: %+v", got)
		}
		if got := f.get(t, "/ping"); got.status != 200 {
			t.Errorf("a probe while draining: %+v", got)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- f.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-stopped:
			t.Fatalf("stopped with a request under way: %v", err)
		default:
		}
		reply <- nil
		if got := <-underWay; got.status != 200 {
			t.Errorf("the one under way: %+v", got)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if f.takenSoFar() != 1 {
			t.Error("the straggler was taken")
		}
	})
}

// TestBodyThatEndsAfterTheStop covers I1: a post that was admitted before the drain
// and whose last byte comes after it is refused, to be sent again. The actors may have
// ended by then.
func TestBodyThatEndsAfterTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		whole := body()
		half, pipe := io.Pipe()
		answers := make(chan answer, 1)
		go func() { answers <- f.do(t, newRequest(http.MethodPost, "/audiences", half)) }()
		_, _ = pipe.Write([]byte(whole[:5]))
		synctest.Wait()
		f.Drain()
		_, _ = pipe.Write([]byte(whole[5:]))
		_ = pipe.Close()
		if got := <-answers; got.status != 503 || got.retryAfter != "5" || f.takenSoFar() != 0 {
			t.Errorf("%+v, %d taken", got, f.takenSoFar())
		}
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 1)
		f := start(t, Options{Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		conn := f.raw(t, fmt.Sprintf("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nContent-Length: %d\r\n\r\n%s", len(body()), body()))
		reply := <-replies
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if err := f.Shutdown(ctx); err == nil || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		if got := <-conn; got.status != 0 {
			t.Errorf("answered %+v; want it cut (I1)", got)
		}
		reply <- nil
	})
}

// TestStrangersDoNotFloodTheLog: whatever they do a thousand times is one line at once
// and one with the number ten seconds later, whatever these say.
func TestStrangersDoNotFloodTheLog(t *testing.T) {
	from := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}
	long := errors.New(strings.Repeat("long ", 1000))
	edge := newEdgeLog(zerolog.Nop())
	events := map[string]func(e *edgeLog, l serverLog){
		"accept":  func(e *edgeLog, _ serverLog) { e.acceptFailed(net.ErrClosed) },
		"message": func(_ *edgeLog, l serverLog) { _, _ = l.Write([]byte("http2: tired\n")) },
		"panic": func(_ *edgeLog, l serverLog) {
			_, _ = l.Write([]byte("http2: panic serving 192.0.2.1:5: tok-secret\n"))
		},
	}
	for _, why := range connections.Failures() {
		if edge.handshakes[why] == nil {
			t.Fatalf("no words for handshakes that fail as %s", why)
		}
		events[string(why)] = func(e *edgeLog, _ serverLog) { e.handshakeFailed(from, why, long) }
	}
	for _, why := range connections.Closings() {
		if edge.closings[why] == nil {
			t.Fatalf("no words for connections let go for %s", why)
		}
		events["for "+string(why)] = func(e *edgeLog, _ serverLog) { e.letGo(from, why) }
	}
	for name, event := range events {
		synctest.Test(t, func(t *testing.T) {
			var out logBuffer // it is read before a timer of the log writes
			e := newEdgeLog(zerolog.New(&out).Level(zerolog.InfoLevel))
			l := serverLog{e, newMetrics(nil, &admission{})}
			for range 1000 {
				event(e, l)
			}
			if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), `"count":1,`) {
				t.Errorf("%s: %d lines at once: %.300s", name, n, out.String())
			}
			period := 10 * time.Second
			if name == string(connections.Silent) {
				period = 10 * time.Minute
			}
			time.Sleep(period)
			synctest.Wait()
			if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), `"count":999`) || len(out.String()) > 2000 {
				t.Errorf("%s: %d lines in all: %.300s", name, n, out.String())
			}
			if strings.Contains(out.String(), "tok-secret") {
				t.Errorf("%s: %s", name, out.String())
			}
			if n := testutil.ToFloat64(l.metrics.panics); (n == 1000) != (name == "panic") {
				t.Errorf("%s: %v panics counted", name, n)
			}
		})
	}
}

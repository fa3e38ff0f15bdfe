package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	strangersIdle        = flag.Int("strangers.idle", 200, "idle strangers of TestStrangersBesideCallers; make strangers has 5000")
	strangersHandshaking = flag.Int("strangers.handshaking", 20, "strangers that make one handshake after the other; make strangers has 1000")
	strangersFor         = flag.Duration("strangers.for", time.Second, "how long each row lasts; make strangers has 20s")
)

// What healthy callers do, meanwhile.
const (
	callersKept    = 40 // over kept connections
	callersNew     = 20 // with a new connection for each post, as the lambda does
	callersEach    = 5  // posts a second of each; so few that one waits for itself only behind an answer of 200 ms
	callerPatience = 3 * time.Second
)

// TestStrangersBesideCallers prints what strangers cost healthy callers: the time
// from when a post was due to its answer, memory and open files, each beside the
// same without strangers. Asserted is what no busy machine explains: every post is
// answered 200, probes are answered, and Split gets the keys.
func TestStrangersBesideCallers(t *testing.T) {
	near, far := "127.0.0.1", "127.0.0.9"
	var table strings.Builder
	fmt.Fprintf(&table, "%-42s %10s %10s %10s %10s %8s %8s %8s %9s\n", "strangers", "kept p50", "kept p99", "new p50", "new p99", "failed", "RSS MiB", "files", "hands/s")
	for _, row := range []struct {
		what              string
		idle, handshaking int
		from              string
	}{
		{"none", 0, 0, near},
		{"idle, callers' address", *strangersIdle, 0, near},
		{"none", 0, 0, near},
		{"handshaking, another address", 0, *strangersHandshaking, far},
		{"none", 0, 0, near},
		{"handshaking, callers' address", 0, *strangersHandshaking, near},
		{"none", 0, 0, near},
		{"idle and handshaking, another address", *strangersIdle, *strangersHandshaking, far},
	} {
		s := harness.NewSite(t, sandbox.Options{}, nil)
		p := s.Start()
		p.Ready()
		m := measureCallers(t, p, row.idle, row.handshaking, row.from)
		fmt.Fprintf(&table, "%-42s %10v %10v %10v %10v %8d %8d %8d %9.0f\n", fmt.Sprintf("%s (%d, %d)", row.what, row.idle, row.handshaking),
			m.kept.at(50), m.kept.at(99), m.fresh.at(50), m.fresh.at(99), m.failed, m.memory>>20, m.files, m.handshakes)
		if m.failed > 0 && *strangersHandshaking < 100 {
			t.Errorf("%s: %d posts were not answered 200: %v", row.what, m.failed, m.reason)
		}
		harness.Eventually(t, harness.Patience, "the keys are in Split", func() bool { return len(s.Members("sHealthy")) > 0 })
		if code := p.Terminate(); code != 0 {
			t.Errorf("%s: exit code %d", row.what, code)
		}
		s.Judge()
	}
	t.Logf("each row lasts %v; %d callers keep their connection, %d make a new one for each post; %d posts a second each\n%s", *strangersFor, callersKept, callersNew, callersEach, table.String())
}

// delays are how long posts took from when they were due.
type delays []time.Duration

func (d delays) at(percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[(len(d)-1)*percent/100].Round(10 * time.Microsecond)
}

type measured struct {
	kept, fresh delays
	failed      int
	reason      error // of one that failed
	memory      int
	files       int
	handshakes  float64 // of the strangers, a second
}

// measureCallers lets callers post beside these strangers.
func measureCallers(t *testing.T, p *harness.Process, idle, handshaking int, from string) (m measured) {
	t.Helper()
	p.MustPost(harness.Change{Segment: "sHealthy", Keys: []string{"1"}})
	done := keepCrowd(t, p.HTTPS, from, idle)
	defer done()
	var callers sync.WaitGroup
	kept := make([]*http.Client, callersKept)
	for i := range kept { // which have their connections before the strangers come
		kept[i] = &http.Client{Timeout: callerPatience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer kept[i].CloseIdleConnections()
		if err := p.PostBy(t.Context(), kept[i], harness.Change{Segment: "sHealthy", Keys: []string{"1"}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), *strangersFor)
	defer cancel()
	var shaken func() (int, error)
	if handshaking > 0 {
		shaken = sendStrangers(t, p.HTTPS, from, handshaking)
	}
	var mu sync.Mutex
	call := func(client *http.Client, into *delays) {
		callers.Go(func() {
			for due := time.Now(); ctx.Err() == nil; due = due.Add(time.Second / callersEach) {
				waitUntil(ctx, due)
				err := p.PostBy(t.Context(), client, harness.Change{Segment: "sHealthy", Keys: []string{"1"}})
				took := time.Since(due)
				mu.Lock()
				*into = append(*into, took)
				if err != nil {
					m.failed, m.reason = m.failed+1, err
				}
				mu.Unlock()
			}
		})
	}
	for _, client := range kept {
		call(client, &m.kept)
	}
	fresh := &http.Client{Timeout: callerPatience, Transport: harness.Lambda.Transport}
	for range callersNew {
		call(fresh, &m.fresh)
	}
	<-ctx.Done()
	m.memory, _ = p.Resident()
	m.files = p.OpenFiles()
	callers.Wait()
	if shaken != nil {
		made, err := shaken()
		if err != nil {
			t.Errorf("the strangers' process: %v", err)
		}
		m.handshakes = float64(made) / strangersFor.Seconds()
	}
	return m
}

func waitUntil(ctx context.Context, due time.Time) {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// keepCrowd has so many idle strangers: one that is cut off comes again, after a while.
func keepCrowd(t *testing.T, address, from string, n int) (done func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all, there sync.WaitGroup
	there.Add(n)
	places := make(chan struct{}, 32)
	for range n {
		all.Go(func() {
			var first sync.Once
			for ctx.Err() == nil {
				places <- struct{}{}
				conn, err := dialFrom(ctx, address, from)
				if err == nil {
					_ = conn.SetDeadline(time.Now().Add(callerPatience))
					secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
					_, err = io.WriteString(secured, "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
					_ = conn.SetDeadline(time.Time{})
				}
				<-places
				first.Do(there.Done)
				if err == nil {
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					_, _ = io.Copy(io.Discard, conn)
					stop()
				}
				if conn != nil {
					_ = conn.Close()
				}
				waitUntil(ctx, time.Now().Add(10*time.Second)) // where there is no room for all, they are still idle ones
			}
		})
	}
	there.Wait()
	return func() {
		cancel()
		all.Wait()
	}
}

func dialFrom(ctx context.Context, address, from string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: callerPatience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return dialer.DialContext(ctx, "tcp", address)
}

// strangersRole, in the environment of the test's own binary, makes it a process of
// strangers: address, where they come from, how many, for how long.
const strangersRole = "AUDIENCES_TEST_STRANGERS"

// sendStrangers starts a process of strangers that make one handshake after the
// other. It is one of its own, and nice, so that what strangers cost themselves
// costs the callers nothing. shaken waits for its end and returns how many
// handshakes the server has done its part of.
func sendStrangers(t *testing.T, address, from string, n int) (shaken func() (int, error)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "nice", "-n", "19", self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %v", strangersRole, address, from, n, *strangersFor))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (made int, err error) {
		if err := cmd.Wait(); err != nil {
			return 0, err
		}
		_, err = fmt.Sscan(out.String(), &made)
		return made, err
	}
}

// beStrangers is that process.
func beStrangers(role string) error {
	var address, from, lasts string
	var n int
	if _, err := fmt.Sscan(role, &address, &from, &n, &lasts); err != nil {
		return err
	}
	duration, err := time.ParseDuration(lasts)
	if err != nil {
		return err
	}
	hello, err := recordFlight(&tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var made atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				if shake(ctx, address, from, hello) == nil {
					made.Add(1)
				}
			}
		})
	}
	all.Wait()
	_, err = fmt.Println(made.Load())
	return err
}

// shake returns nil when the server did its part of a handshake.
func shake(ctx context.Context, address, from string, hello []byte) error {
	conn, err := dialFrom(ctx, address, from)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // leaves no port behind that waits
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return err
	}
	if first[0] != 22 { // a handshake record; 21 is an alert
		return errors.New("refused")
	}
	return nil
}

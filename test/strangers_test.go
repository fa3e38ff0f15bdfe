package test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// crowd opens so many connections to an address and leaves them be until the test
// ends. Where there is TLS they ask for /ping once, after which a server lets them
// be for longest. That all of them stay open, or come so far, is nobody's promise.
func crowd(t *testing.T, address string, n int, withTLS bool) {
	t.Helper()
	conns := make([]net.Conn, n)
	var all sync.WaitGroup
	places := make(chan struct{}, 32)
	for i := range n {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			conn, err := net.DialTimeout("tcp", address, harness.Patience)
			if err != nil {
				return
			}
			conns[i] = conn
			if withTLS {
				_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
				_, _ = io.WriteString(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
			}
		})
	}
	all.Wait()
	t.Cleanup(func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
}

// TestStrangersTakeNoFiles fills both ports with strangers, more of them than the
// process may have files open. Meanwhile the journal begins new logs and tables,
// and Split is called: all of them need files.
func TestStrangersTakeNoFiles(t *testing.T) {
	t.Parallel()
	const each = 100_000
	for files, n := range map[int]int{96: 200, 128: 400, 256: 400, 1024: 1100} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			t.Parallel() // strangers that get no room cost time alone
			s := harness.NewSite(t, sandbox.Options{MaxMembers: each}, nil)
			p := s.LaunchWithFiles(files)
			p.Ready()
			crowd(t, p.HTTPS, n, true)
			crowd(t, p.HTTPS, n/4, false)
			crowd(t, p.Admin, n/4, false)
			segments := 5 // of four megabytes each, and a log has sixteen
			for i := range segments {
				p.MustPost(harness.Change{Token: fmt.Sprint("tok-", i), Segment: fmt.Sprint("s", i), Keys: numbers(0, each)})
				ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
				if a, err := p.Send(ctx, "GET", "/ping", "", nil); err != nil || a.Body != "pong" {
					t.Fatalf("probe: %s %v", a.Body, err)
				}
				cancel()
				if a, err := p.AdminGet("/readyz"); err != nil || a.Status != 200 {
					t.Fatalf("readyz: %s %v", a.Body, err)
				}
				if open := p.OpenFiles(); open > files-8 {
					t.Errorf("%d files are open, of %d", open, files)
				}
			}
			harness.Eventually(t, harness.Patience, "all keys are in Split", func() bool {
				for i := range segments {
					if s.Split.Size(fmt.Sprint("tok-", i), harness.Environment, fmt.Sprint("s", i)) != each {
						return false
					}
				}
				return true
			})
			a, err := p.AdminGet("/metrics")
			if err != nil {
				t.Fatal(err)
			}
			for _, port := range []string{"https", "admin"} {
				if want := fmt.Sprintf("audiences_connections_closed_total{port=%q,reason=\"descriptors\"} 0\n", port); !strings.Contains(a.Body, want) {
					t.Errorf("the %s port ran out of files", port)
				}
			}
			if strings.Contains(p.Log(), "too many open files") {
				t.Error("some part ran out of files")
			}
			if code := p.Terminate(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			s.Judge()
		})
	}
}

// TestTooFewFilesAreRefused: a sentence at the start, in place of a fault at night.
func TestTooFewFilesAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).LaunchWithFiles(64)
	if code := p.Wait(harness.Patience); code != 1 || strings.Contains(p.Log(), "goroutine") || !strings.Contains(p.Log(), "ulimit") {
		t.Errorf("exit code %d: %s", code, p.Log())
	}
}

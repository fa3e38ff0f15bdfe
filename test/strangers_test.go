package test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/sandbox"
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
			conn, err := net.DialTimeout("tcp", address, patience)
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

// openFiles is how many the process has open.
func (p *process) openFiles() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Error(err)
	}
	return len(entries)
}

// TestStrangersTakeNoFiles fills both ports with strangers, more of them than the
// process may have files open. Meanwhile the journal begins new logs and tables,
// and Split is called: all of them need files.
func TestStrangersTakeNoFiles(t *testing.T) {
	t.Parallel()
	const each = 100_000
	for files, n := range map[int]int{96: 200, 128: 400, 256: 400, 1024: 1100} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			s := newSite(t, sandbox.Options{MaxMembers: each}, nil)
			p := s.launchWithFiles(files)
			p.ready()
			crowd(t, p.https, n, true)
			crowd(t, p.https, n/4, false)
			crowd(t, p.admin, n/4, false)
			segments := 5 // of four megabytes each, and a log has sixteen
			for i := range segments {
				p.mustPost(change{token: fmt.Sprint("tok-", i), segment: fmt.Sprint("s", i), keys: numbers(0, each)})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if a, err := p.send(ctx, "GET", "/ping", "", nil); err != nil || a.body != "pong" {
					t.Fatalf("probe: %s %v", a.body, err)
				}
				cancel()
				if a, err := p.adminGet("/readyz"); err != nil || a.status != 200 {
					t.Fatalf("readyz: %s %v", a.body, err)
				}
				if open := p.openFiles(); open > files-8 {
					t.Errorf("%d files are open, of %d", open, files)
				}
			}
			eventually(t, patience, "all keys are in Split", func() bool {
				for i := range segments {
					if s.split.Size(fmt.Sprint("tok-", i), environment, fmt.Sprint("s", i)) != each {
						return false
					}
				}
				return true
			})
			a, err := p.adminGet("/metrics")
			if err != nil {
				t.Fatal(err)
			}
			for _, port := range []string{"https", "admin"} {
				if want := fmt.Sprintf("audiences_connections_closed_total{port=%q,reason=\"descriptors\"} 0\n", port); !strings.Contains(a.body, want) {
					t.Errorf("the %s port ran out of files", port)
				}
			}
			if strings.Contains(p.log(), "too many open files") {
				t.Error("some part ran out of files")
			}
			if code := p.terminate(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			s.judge()
		})
	}
}

// TestTooFewFilesAreRefused: a sentence at the start, in place of a fault at night.
func TestTooFewFilesAreRefused(t *testing.T) {
	t.Parallel()
	p := newSite(t, sandbox.Options{}, nil).launchWithFiles(64)
	if code := p.wait(patience); code != 1 || strings.Contains(p.log(), "goroutine") || !strings.Contains(p.log(), "ulimit") {
		t.Errorf("exit code %d: %s", code, p.log())
	}
}

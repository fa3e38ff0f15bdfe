package test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestThousandHandshakesAtOnce: strangers who all send a hello, for which the relay does its
// part of the handshake, and then nothing. The relay keeps to its connections and to some
// memory, callers are answered meanwhile, and each of the strangers is let go and counted.
func TestThousandHandshakesAtOnce(t *testing.T) {
	t.Parallel()
	const strangers, most = 1000, 200
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"maxConnections": most})
	p := s.Start()
	kept := harness.NewKept(1) // a caller's connection that is there already
	post := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		defer cancel()
		return p.PostBy(ctx, kept, harness.Change{Segment: "meanwhile", Keys: []string{"1"}})
	}
	if err := post(); err != nil {
		t.Fatal(err)
	}
	before, _ := p.Resident()
	files := p.OpenFiles()
	hello := firstFlight(t, &tls.Config{InsecureSkipVerify: true})

	begin := make(chan struct{})
	var all sync.WaitGroup
	for range strangers {
		all.Go(func() {
			<-begin
			conn, err := net.DialTimeout("tcp", p.HTTPS, harness.Patience)
			if errors.Is(err, syscall.ECONNRESET) { // let go before it knew of its connection
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
				t.Error(err)
			}
			_, _ = conn.Write(hello) // it may have been let go already
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a stranger is neither answered nor let go")
			}
		})
	}
	close(begin)
	for range 20 {
		if err := post(); err != nil {
			t.Error(err)
		}
		if open := p.OpenFiles(); open > files+most+20 { // the journal opens some too
			t.Errorf("%d files are open, %d before, for at most %d connections", open, files, most)
		}
	}
	harness.Eventually(t, harness.Patience, "a new connection of a caller", func() bool {
		a, err := p.Post(t.Context(), harness.Change{Segment: "new", Keys: []string{"2"}})
		return err == nil && a.Status == 200
	})
	all.Wait()
	if _, peak := p.Resident(); peak > before+64<<20 {
		t.Errorf("%d MiB at most, %d before", peak>>20, before>>20)
	}
	harness.Eventually(t, harness.Patience, "all strangers are counted", func() bool {
		m, err := p.Metrics()
		if err != nil {
			return false
		}
		counted := 0.0
		for name, n := range m {
			if strings.HasPrefix(name, "audiences_handshakes_failed_total{https") || strings.HasPrefix(name, "audiences_connections_closed_total{https") {
				counted += n
			}
		}
		return counted >= strangers
	})
}

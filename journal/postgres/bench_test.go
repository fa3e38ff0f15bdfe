//go:build e2e

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/vault"
)

// The benchmarks tell what the database takes of its processors, as its processes say of
// themselves: times depend on what else the machine does, this hardly does.
//
//	go test -tags e2e ./journal/postgres -run '^$' -bench .

// processorTime is what the server's processes have taken so far, those that have ended
// included.
func processorTime(b *testing.B, j *Journal) (all time.Duration) {
	b.Helper()
	var backend int
	err := j.accept.do(b.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&backend)
	})
	if err != nil {
		b.Fatal(err)
	}
	server := statOf(fmt.Sprint(backend)).parent
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		switch s := statOf(filepath.Base(process)); {
		case s.pid == server:
			all += s.own + s.ended
		case s.parent == server:
			all += s.own
		}
	}
	return all
}

type stat struct {
	pid, parent int
	own, ended  time.Duration
}

// statOf is what proc(5) tells of a process; nothing where it has ended.
func statOf(pid string) (s stat) {
	const tick = 10 * time.Millisecond
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return s
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	fields := strings.Fields(after)                // the state is the third one of proc(5)
	number := func(n int) (value int) {
		_, _ = fmt.Sscan(fields[n-3], &value)
		return value
	}
	_, _ = fmt.Sscan(pid, &s.pid)
	s.parent = number(4)
	s.own, s.ended = time.Duration(number(14)+number(15))*tick, time.Duration(number(16)+number(17))*tick
	return s
}

func benchmarked(b *testing.B) *Journal {
	url, err := shared.NewDatabase(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	key, _ := vault.Make()
	j, err := Open(b.Context(), Options{URL: url, Vault: key, Lease: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	return j
}

// BenchmarkAccept writes groups of posts with one key each, all of them new, in 20 segments.
func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{1, 20, 280} {
		b.Run(fmt.Sprintf("group of %d", size), func(b *testing.B) {
			j := benchmarked(b)
			who := tenant("token")
			n, before := uint64(0), processorTime(b, j)
			for b.Loop() {
				g := &group{began: time.Now(), rows: map[row]change{}, segments: map[segmentID]audience.Segment{}}
				for range size {
					n++
					s := segment(who, fmt.Sprint("s", n%20))
					id, mixed := idOf(s), n*0x9e3779b97f4a7c15 // in no order
					g.segments[id] = s
					g.rows[row{id, string(journal.AppendKey(nil, audience.NumericKey(int64(mixed))))}] = change{audience.Add, journal.Version(n)}
				}
				if err := j.write(g); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b, j)-before).Microseconds())/float64(n), "PG-us/post")
		})
	}
}

// BenchmarkPage reads pages of 10,000 keys of a segment that has a million.
func BenchmarkPage(b *testing.B) {
	j := benchmarked(b)
	s := segment(tenant("token"), "s")
	id := idOf(s)
	const million = 1_000_000
	err := j.ask(func(ctx context.Context, conn *pgx.Conn) error {
		rows := make([][]any, 0, million)
		for n := range million {
			rows = append(rows, []any{int64(n), id, int16(1), binary.BigEndian.AppendUint64([]byte{'n'}, uint64(n)*7919^1<<63)})
		}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"pending"}, []string{"ver", "segment", "verb", "key"}, pgx.CopyFromRows(rows))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	var after journal.Cursor
	pages, before := 0, processorTime(b, j)
	for b.Loop() {
		done := make(chan journal.Page, 1)
		j.Load(journal.Load{Segment: s, After: after, Limit: 10_000, NotBefore: j.Newest(), Done: func(p journal.Page) { done <- p }})
		page := <-done
		if page.Err != nil || len(page.Entries) != 10_000 {
			b.Fatalf("%d keys: %v", len(page.Entries), page.Err)
		}
		if after = page.Next; !page.More {
			after = journal.Cursor{}
		}
		pages++
	}
	b.ReportMetric(float64((processorTime(b, j)-before).Microseconds())/float64(pages)/10, "PG-us/1000keys")
}

// BenchmarkSettle settles pages of 10,000 keys, by the versions with which they were drawn.
func BenchmarkSettle(b *testing.B) {
	j := benchmarked(b)
	s := segment(tenant("token"), "s")
	var settling time.Duration
	var keys int
	for b.Loop() {
		var p audience.Packer
		for n := range 10_000 {
			p.Put(audience.NumericKey(int64(n)))
		}
		done := make(chan error, 1)
		version := j.Append(journal.Append{Tenant: s.Tenant, Changes: []journal.Change{{Segment: s, Verb: audience.Add, Keys: p.Keys()}}, Done: func(err error) { done <- err }})
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		before := processorTime(b, j)
		j.Settle(journal.Settle{Segment: s, Selection: journal.Selection{NotAfter: version, Keys: func(yield func(audience.Key) bool) {
			for n := range 10_000 {
				if !yield(audience.NumericKey(int64(n))) {
					return
				}
			}
		}}, Done: func(_ []audience.Key, err error) { done <- err }})
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		settling += processorTime(b, j) - before
		keys += 10_000
	}
	b.ReportMetric(float64(settling.Microseconds())/float64(keys), "PG-us/key")
}

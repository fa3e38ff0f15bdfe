package logging

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// reader is the other end of a log: each line waits for a turn, which says how
// many of its bytes are taken and with which error.
type reader struct {
	turns chan turn
	got   strings.Builder
}

type turn struct {
	part int // bytes taken; -1: all
	err  error
}

func newReader() *reader { return &reader{turns: make(chan turn, 100_000)} }

func (r *reader) Write(line []byte) (int, error) {
	t := <-r.turns
	if t.part < 0 {
		t.part = len(line)
	}
	r.got.Write(line[:t.part])
	return t.part, t.err
}

// takes lets the reader take n more lines whole.
func (r *reader) takes(n int) {
	for range n {
		r.turns <- turn{part: -1}
	}
}

func (r *reader) lines() []string {
	return strings.Split(strings.TrimSuffix(r.got.String(), "\n"), "\n")
}

// TestLinesKeepTheirOrder: all is written, whole and in order, also what comes
// after a rest, and a Flush waits for it.
func TestLinesKeepTheirOrder(t *testing.T) {
	r := newReader()
	r.takes(300)
	w := NewLineWriter(r)
	w.Flush(time.Hour) // with nothing to wait for
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint("line ", i))
		line := []byte(want[i] + "\n")
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		clear(line) // the caller goes on using it
		if i%100 == 0 {
			w.Flush(time.Hour)
		}
	}
	w.Flush(time.Hour)
	if !slices.Equal(r.lines(), want) || w.Dropped() != 0 {
		t.Errorf("%d dropped, %q", w.Dropped(), r.lines())
	}
}

// TestStalledReader: nobody who writes waits, the oldest lines give way, a Flush
// ends when its time is up, and once the reader goes on the last line says how many
// are missing: once, and not again.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		w := NewLineWriter(r)
		w.tellWith(func(n uint64) { fmt.Fprintf(w, "%d dropped\n", n) })
		write := func(i int) { fmt.Fprintf(w, "line %d\n", i) }
		write(0)
		synctest.Wait() // the reader has the first line in hand
		for i := range maxHeldLines + 100 {
			write(i + 1)
		}
		if got := w.Dropped(); got != 100 {
			t.Errorf("%d dropped while the reader stalls, want 100", got)
		}
		began := time.Now()
		w.Flush(LastWords)
		if took := time.Since(began); took != LastWords {
			t.Errorf("a flush took %v, want %v", took, LastWords)
		}
		r.takes(2*maxHeldLines + 10)
		w.Flush(time.Hour)
		got := r.lines()
		if want := fmt.Sprint("line ", maxHeldLines+100); got[0] != "line 0" || got[1] != "line 101" || got[len(got)-2] != want {
			t.Errorf("%q %q ... %q", got[0], got[1], got[len(got)-2:])
		}
		if got[len(got)-1] != "100 dropped" || strings.Count(r.got.String(), "dropped") != 1 {
			t.Errorf("the last line is %q", got[len(got)-1])
		}
		write(0)
		w.Flush(time.Hour)
		if last := r.lines()[len(got):]; len(last) != 1 || last[0] != "line 0" {
			t.Errorf("later: %q", last)
		}
	})
}

// TestHeldBytesAreBounded: long lines count by their length; one that is longer
// than the bound passes alone.
func TestHeldBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		w := NewLineWriter(r)
		long := make([]byte, maxHeldBytes/8)
		_, _ = w.Write(long)
		synctest.Wait()
		for range 9 {
			_, _ = w.Write(long)
		}
		if got := w.Dropped(); got != 1 {
			t.Errorf("%d dropped, want 1", got)
		}
		_, _ = w.Write(make([]byte, maxHeldBytes+1))
		if got := w.Dropped(); got != 9 {
			t.Errorf("%d dropped, want 9", got)
		}
		r.takes(2)
		w.Flush(time.Hour)
		if got := r.got.Len(); got != len(long)+maxHeldBytes+1 {
			t.Errorf("%d bytes were written", got)
		}
	})
}

// TestReaderIsGone: lines that cannot be written are counted, and nobody is told
// who is not there. A line that was cut off does not spoil the next one.
func TestReaderIsGone(t *testing.T) {
	r := newReader()
	w := NewLineWriter(r)
	w.tellWith(func(n uint64) { fmt.Fprintf(w, "%d dropped\n", n) })
	gone := errors.New("broken pipe")
	for _, next := range []turn{{0, gone}, {3, gone}, {0, gone}} {
		r.turns <- next
		fmt.Fprintln(w, "abcdef")
		w.Flush(time.Hour)
	}
	if got := w.Dropped(); got != 3 || r.got.String() != "abc" {
		t.Errorf("%d dropped, %q", got, r.got.String())
	}
	r.takes(2)
	fmt.Fprintln(w, "whole")
	w.Flush(time.Hour)
	if want := []string{"abc", "whole", "3 dropped"}; !slices.Equal(r.lines(), want) {
		t.Errorf("%q, want %q", r.lines(), want)
	}
}

// TestLoggerTellsWhatWasDropped at every level, and the metric counts it.
func TestLoggerTellsWhatWasDropped(t *testing.T) {
	r := newReader()
	w := NewLineWriter(r)
	registry := prometheus.NewRegistry()
	RegisterDropped(w, registry)
	logger := New(Options{Level: "error", Format: "auto"}, w)
	r.turns <- turn{0, io.ErrClosedPipe}
	logger.Error().Msg("lost")
	w.Flush(time.Hour)
	r.takes(2)
	logger.Error().Msg("back")
	w.Flush(time.Hour)
	var told struct{ Lines uint64 }
	if got := r.lines(); len(got) != 2 || json.Unmarshal([]byte(got[1]), &told) != nil || told.Lines != 1 {
		t.Errorf("%q", got)
	}
	const want = "# HELP audiences_log_lines_dropped_total Log lines that were not written: the reader of standard error stalled or has gone.\n" +
		"# TYPE audiences_log_lines_dropped_total counter\naudiences_log_lines_dropped_total 1\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestTimes: every line has its time, to the millisecond.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		r.takes(2)
		w := NewLineWriter(r)
		time.Sleep(123456789 * time.Nanosecond)
		logger := New(Options{}, w)
		logger.Info().Msg("one")
		part := logger.With().Str("of", "a part").Logger()
		part.Warn().Msg("two")
		w.Flush(time.Hour)
		for _, line := range r.lines() {
			var event struct{ Time string }
			if err := json.Unmarshal([]byte(line), &event); err != nil || !strings.Contains(event.Time, ":00.123") {
				t.Errorf("%v in %s", err, line)
			} else if at, err := time.Parse(time.RFC3339Nano, event.Time); err != nil || time.Since(at) >= time.Millisecond {
				t.Errorf("%v in %s", err, line)
			}
		}
	})
}

// TestTerminal: what is not a device is read by programs.
func TestTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if NewLineWriter(file).isTerminal() || NewLineWriter(io.Discard).isTerminal() {
		t.Error("a file passes for a terminal")
	}
}

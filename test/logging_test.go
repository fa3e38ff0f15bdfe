package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var logFor = flag.Duration("log.for", 0, "how long the relay is under load while nobody reads its log, at least")

// talkative are the settings of a relay whose log cannot be read: its ports are
// known beforehand.
func talkative(t *testing.T, more map[string]any) map[string]any {
	settings := map[string]any{"port": harness.FreePort(t), "adminAddress": fmt.Sprint("127.0.0.1:", harness.FreePort(t)), "logLevel": "trace"}
	for key, value := range more {
		settings[key] = value
	}
	return settings
}

// startUnread starts a relay with such settings whose standard error is that file.
func startUnread(s *harness.Site, settings map[string]any, stderr *os.File) *harness.Process {
	s.T.Helper()
	s.Configure(settings)
	p := s.RunAs([]string{s.Config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
	answering(s, p, settings)
	return p
}

// answering waits until the relay answers at the ports of its settings.
func answering(s *harness.Site, p *harness.Process, settings map[string]any) {
	s.T.Helper()
	p.HTTPS, p.Admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(settings["port"].(int))), settings["adminAddress"].(string)
	harness.Eventually(s.T, harness.Patience, "the relay is ready", p.IsReady)
}

// ways are what standard error is under a container runtime and under systemd.
var ways = map[string]func() (reader, writer *os.File, err error){
	"pipe": os.Pipe,
	"socket": func() (reader, writer *os.File, err error) {
		ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			return nil, nil, err
		}
		return os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "writer"), nil
	},
}

// stalled is a way that takes nothing more until somebody reads.
func stalled(t *testing.T, way string) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := ways[way]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	for _, part := range []int{4096, 1} {
		for err = nil; err == nil; {
			if err := writer.SetWriteDeadline(time.Now().Add(time.Second / 10)); err != nil {
				t.Fatal(err)
			}
			_, err = writer.Write([]byte(strings.Repeat("\n", part)))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	return reader, writer
}

// unreadLoad posts for -log.for, and until lines are dropped. Each of its posts is
// worth a line at that level, and a key, which has to be delivered.
func unreadLoad(s *harness.Site, p *harness.Process) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), *logFor+4*harness.Patience)
	defer cancel()
	var (
		enough atomic.Bool
		posts  sync.WaitGroup
		took   [4]latencies
	)
	for client := range took {
		posts.Go(func() {
			for n := 0; !enough.Load(); n++ {
				began := time.Now()
				if err := p.PostKept(ctx, harness.Change{Segment: fmt.Sprint("sUnread", client), Keys: []string{"", fmt.Sprint(n)}}); err != nil {
					s.T.Error(err)
					return
				}
				took[client] = append(took[client], time.Since(began))
			}
		})
	}
	began := time.Now()
	harness.Eventually(s.T, *logFor+4*harness.Patience, "lines are dropped", func() bool {
		return p.Metric("audiences_log_lines_dropped_total") > 0 && time.Since(began) >= *logFor
	})
	enough.Store(true)
	posts.Wait()
	for client := range took {
		harness.Eventually(s.T, harness.Patience, "every key is delivered", func() bool {
			return len(s.Members(fmt.Sprint("sUnread", client))) == len(took[client])
		})
	}
	all := slices.Sorted(slices.Values(slices.Concat(took[:]...)))
	s.T.Logf("%d posts in %v: p50 %v, p99 %v, at most %v; %v lines dropped", len(all), time.Since(began).Round(time.Second/10),
		latencies(all).at(0.5), latencies(all).at(0.99), latencies(all).at(1), p.Metric("audiences_log_lines_dropped_total"))
}

// TestStalledLog: nobody reads standard error. Posts are answered, keys are
// delivered, lines that nobody will read are counted; when somebody reads again
// the log goes on and says how many are missing.
func TestStalledLog(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	reader, writer := stalled(t, "pipe")
	p := startUnread(s, talkative(t, nil), writer)
	p.MustPost(harness.Change{Segment: "sStalled", Keys: []string{"1"}})
	harness.Eventually(t, harness.Patience, "keys are delivered", func() bool { return len(s.Members("sStalled")) == 1 })

	unreadLoad(s, p)

	told := make(chan uint64, 1)
	go func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			var event struct{ Lines uint64 }
			if json.Unmarshal(lines.Bytes(), &event) == nil && event.Lines > 0 {
				told <- event.Lines
				break
			}
		}
	}()
	select {
	case n := <-told:
		if dropped := p.Metric("audiences_log_lines_dropped_total"); n == 0 || float64(n) != dropped {
			t.Errorf("the log says that %d lines are missing, the metric says %v", n, dropped)
		}
	case <-time.After(harness.Patience):
		t.Error("the log does not say that lines are missing")
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	s.Judge()
}

// TestStalledLogAtTheEnd: every way to end takes no longer than it would, and a
// second more, when nobody reads standard error.
func TestStalledLogAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		end  func(t *testing.T, s *harness.Site, stderr *os.File) *harness.Process
		code int
	}{
		{"stop", func(t *testing.T, s *harness.Site, stderr *os.File) *harness.Process {
			p := startUnread(s, talkative(t, nil), stderr)
			p.MustPost(harness.Change{Segment: "sStop", Keys: []string{"1"}})
			p.Signal(syscall.SIGTERM)
			return p
		}, exitDone},
		{"a start that fails", func(t *testing.T, s *harness.Site, stderr *os.File) *harness.Process {
			s.Configure(map[string]any{"journalDir": "audiences.config"})
			return s.RunAs([]string{s.Config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
		}, exitFailed},
		{"a configuration that is wrong", func(t *testing.T, s *harness.Site, stderr *os.File) *harness.Process {
			s.Configure(map[string]any{"port": -1})
			return s.RunAs([]string{s.Config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
		}, exitWrong},
		{"a dump of the runtime", func(t *testing.T, s *harness.Site, stderr *os.File) *harness.Process {
			p := startUnread(s, talkative(t, nil), stderr)
			p.Signal(syscall.SIGQUIT)
			return p
		}, exitWrong},
	} {
		for way := range ways {
			t.Run(way+"/"+c.what, func(t *testing.T) {
				t.Parallel()
				s := harness.NewSite(t, sandbox.Options{}, nil)
				_, writer := stalled(t, way)
				if code := c.end(t, s, writer).Wait(harness.Patience); code != c.code {
					t.Errorf("exit code %d, want %d", code, c.code)
				}
			})
		}
	}
}

// TestClosedLog: the reader of standard error has gone. The relay goes on, counts
// what it cannot write, and stops as told.
func TestClosedLog(t *testing.T) {
	t.Parallel()
	for way, open := range ways {
		for _, first := range []bool{false, true} { // it has gone before the relay starts
			t.Run(fmt.Sprintf("%s, before the start: %v", way, first), func(t *testing.T) {
				t.Parallel()
				s := harness.NewSite(t, sandbox.Options{}, nil)
				reader, writer, err := open()
				if err != nil {
					t.Fatal(err)
				}
				defer writer.Close()
				if first {
					_ = reader.Close()
				}
				p := startUnread(s, talkative(t, nil), writer)
				_ = reader.Close() // fails if it is closed already
				unreadLoad(s, p)
				if code := p.Terminate(); code != exitDone {
					t.Errorf("exit code %d", code)
				}
			})
		}
	}
}

// TestClosedDescriptors: without standard input, output and error at its start, the
// relay writes its log nowhere, and above all not into a file that got the number of
// one of them.
func TestClosedDescriptors(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	settings := talkative(t, nil)
	s.Configure(settings)
	for range 2 { // the second start reads what the first one wrote
		p := s.RunAs([]string{s.Config()}, nil, func(cmd *exec.Cmd) {
			cmd.Args = []string{"sh", "-c", `exec "$0" "$1" <&- >&- 2>&-`, cmd.Path, s.Config()}
			cmd.Path = "/bin/sh"
		})
		answering(s, p, settings)
		for fd := range 3 {
			if file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.PID(), fd)); err != nil || file != "/dev/null" {
				t.Errorf("descriptor %d is %s, %v", fd, file, err)
			}
		}
		p.MustPost(harness.Change{Segment: "sNowhere", Keys: []string{"1"}})
		if n := p.Metric("audiences_journal_set_aside"); n != 0 {
			t.Errorf("%v damaged stores", n)
		}
		if code := p.Terminate(); code != exitDone {
			t.Errorf("exit code %d", code)
		}
	}
	s.Judge()
}

// TestFailingWriteIsTold: the one line that says why the process ends gets out
// before it does. A limit on the size of files stands for a disk that fails.
func TestFailingWriteIsTold(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.RunAs([]string{s.Config()}, nil, func(cmd *exec.Cmd) {
		cmd.Args = []string{"sh", "-c", `ulimit -f 64; exec "$0" "$1"`, cmd.Path, s.Config()}
		cmd.Path = "/bin/sh"
	})
	p.Listening()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	for i := 0; ; i++ {
		a, err := p.Post(ctx, harness.Change{Segment: "sFull", Keys: numbers(1000*i, 1000)})
		if err != nil || a.Status != 200 {
			break
		}
	}
	if code := p.Wait(harness.Patience); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	var event struct{ Level, Error string }
	if last := lastLine(p.Log()); json.Unmarshal([]byte(last), &event) != nil || event.Level != "error" || event.Error == "" {
		t.Errorf("the last line is %s", last)
	}
}

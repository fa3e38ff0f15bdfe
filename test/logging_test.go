package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
)

// talkative are the settings of a relay whose log cannot be read: its ports are
// known beforehand.
func talkative(t *testing.T, more map[string]any) map[string]any {
	settings := map[string]any{"port": freePort(t), "adminAddress": fmt.Sprint("127.0.0.1:", freePort(t)), "logLevel": "trace"}
	for key, value := range more {
		settings[key] = value
	}
	return settings
}

// startUnread starts a relay with such settings whose standard error is that file.
func (s *site) startUnread(settings map[string]any, stderr *os.File) *process {
	s.t.Helper()
	s.configure(settings)
	p := s.runAs([]string{s.config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
	s.answering(p, settings)
	return p
}

// answering waits until the relay answers at the ports of its settings.
func (s *site) answering(p *process, settings map[string]any) {
	s.t.Helper()
	p.https, p.admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(settings["port"].(int))), settings["adminAddress"].(string)
	eventually(s.t, patience, "the relay is ready", func() bool {
		a, err := p.adminGet("/readyz")
		return err == nil && a.status == 200
	})
}

// fullPipe is a pipe that takes nothing more until somebody reads.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	if err := writer.SetWriteDeadline(time.Now().Add(time.Second / 10)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{4096, 1} {
		for err = nil; err == nil; {
			_, err = writer.Write([]byte(strings.Repeat("\n", part)))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	return reader, writer
}

// TestStalledLog: nobody reads standard error. Posts are answered, keys are
// delivered, lines that nobody will read are counted; when somebody reads again
// the log goes on and says how many are missing.
func TestStalledLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	reader, writer := fullPipe(t)
	p := s.startUnread(talkative(t, nil), writer)
	p.mustPost(change{segment: "sStalled", keys: []string{"1"}})
	eventually(t, patience, "keys are delivered", func() bool { return len(s.members("sStalled")) == 1 })

	// Every post with a blank MPID is worth a line.
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	var enough atomic.Bool
	var posts sync.WaitGroup
	for range 4 {
		posts.Go(func() {
			for !enough.Load() {
				if err := p.postKept(ctx, change{segment: "sBlank", keys: []string{""}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	eventually(t, 4*patience, "lines are dropped", func() bool { return p.metric("audiences_log_lines_dropped_total") > 0 })
	enough.Store(true)
	posts.Wait()

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
		if dropped := p.metric("audiences_log_lines_dropped_total"); n == 0 || float64(n) != dropped {
			t.Errorf("the log says that %d lines are missing, the metric says %v", n, dropped)
		}
	case <-time.After(patience):
		t.Error("the log does not say that lines are missing")
	}
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	s.judge()
}

// TestStalledLogAtTheEnd: every way to end takes no longer than it would, and a
// second more, when nobody reads standard error.
func TestStalledLogAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		end  func(t *testing.T, s *site, stderr *os.File) *process
		code int
	}{
		{"stop", func(t *testing.T, s *site, stderr *os.File) *process {
			p := s.startUnread(talkative(t, nil), stderr)
			p.mustPost(change{segment: "sStop", keys: []string{"1"}})
			p.signal(syscall.SIGTERM)
			return p
		}, exitDone},
		{"a start that fails", func(t *testing.T, s *site, stderr *os.File) *process {
			s.configure(map[string]any{"journalDir": "audiences.config"})
			return s.runAs([]string{s.config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
		}, exitFailed},
		{"a configuration that is wrong", func(t *testing.T, s *site, stderr *os.File) *process {
			s.configure(map[string]any{"port": -1})
			return s.runAs([]string{s.config()}, nil, func(cmd *exec.Cmd) { cmd.Stderr = stderr })
		}, exitWrong},
		{"a dump of the runtime", func(t *testing.T, s *site, stderr *os.File) *process {
			p := s.startUnread(talkative(t, nil), stderr)
			p.signal(syscall.SIGQUIT)
			return p
		}, exitWrong},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, sandbox.Options{}, nil)
			_, writer := fullPipe(t)
			if code := c.end(t, s, writer).wait(patience); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
		})
	}
}

// TestClosedLog: the reader of standard error has gone. The relay goes on, counts
// what it cannot write, and stops as told.
func TestClosedLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	p := s.startUnread(talkative(t, nil), writer)
	_ = reader.Close()
	for i := range 20 {
		p.mustPost(change{segment: fmt.Sprint("sClosed", i), keys: []string{"1"}})
		p.signal(syscall.SIGHUP) // is worth a line
	}
	eventually(t, patience, "lines are counted", func() bool { return p.metric("audiences_log_lines_dropped_total") > 0 })
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for i := range 20 {
		if n := len(s.members(fmt.Sprint("sClosed", i))); n != 1 {
			t.Errorf("segment %d has %d keys", i, n)
		}
	}
}

// TestClosedDescriptors: without standard input, output and error at its start, the
// relay writes its log nowhere, and above all not into a file that got the number of
// one of them.
func TestClosedDescriptors(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	settings := talkative(t, nil)
	s.configure(settings)
	for range 2 { // the second start reads what the first one wrote
		p := s.runAs([]string{s.config()}, nil, func(cmd *exec.Cmd) {
			cmd.Args = []string{"sh", "-c", `exec "$0" "$1" <&- >&- 2>&-`, cmd.Path, s.config()}
			cmd.Path = "/bin/sh"
		})
		s.answering(p, settings)
		for fd := range 3 {
			if file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.cmd.Process.Pid, fd)); err != nil || file != "/dev/null" {
				t.Errorf("descriptor %d is %s, %v", fd, file, err)
			}
		}
		p.mustPost(change{segment: "sNowhere", keys: []string{"1"}})
		if n := p.metric("audiences_journal_set_aside"); n != 0 {
			t.Errorf("%v damaged stores", n)
		}
		if code := p.terminate(); code != exitDone {
			t.Errorf("exit code %d", code)
		}
	}
	s.judge()
}

// TestFailingWriteIsTold: the one line that says why the process ends gets out
// before it does. A limit on the size of files stands for a disk that fails.
func TestFailingWriteIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.runAs([]string{s.config()}, nil, func(cmd *exec.Cmd) {
		cmd.Args = []string{"sh", "-c", `ulimit -f 64; exec "$0" "$1"`, cmd.Path, s.config()}
		cmd.Path = "/bin/sh"
	})
	p.listening()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := 0; ; i++ {
		a, err := p.post(ctx, change{segment: "sFull", keys: numbers(1000*i, 1000)})
		if err != nil || a.status != 200 {
			break
		}
	}
	if code := p.wait(patience); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	var event struct{ Level, Error string }
	if last := lastLine(p.log()); json.Unmarshal([]byte(last), &event) != nil || event.Level != "error" || event.Error == "" {
		t.Errorf("the last line is %s", last)
	}
}

// TestOutputThatNobodyReads: commands that print end as they would, with their own
// exit code and nothing but their own words; one that goes on until it is told ends.
func TestOutputThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"help"}, exitDone},
		{[]string{"version"}, exitDone},
		{[]string{"check", "-h"}, exitDone},
		{[]string{"sandbox", "-h"}, exitDone},
		{[]string{"check", s.config()}, exitDone},
		{[]string{"keygen", "-out", filepath.Join(s.dir, "new.jks")}, exitDone},
		{[]string{"sandbox", "-traffic", "50", "-flush", "50ms"}, exitDone},
	} {
		t.Run(strings.Join(c.args[:1], " "), func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			_ = reader.Close()
			p := (&site{t: t}).runAs(c.args, nil, func(cmd *exec.Cmd) { cmd.Stdout = writer })
			if code := p.wait(patience); code != c.code {
				t.Errorf("%q: exit code %d, want %d", c.args, code, c.code)
			}
			if strings.Contains(p.log(), "goroutine") || strings.Contains(p.log(), "pipe") {
				t.Errorf("%q: %s", c.args, p.log())
			}
		})
	}
}

// TestSandboxWithStalledOutput: whoever looks on and stops reading keeps the
// sandbox neither from its calls nor from its end.
func TestSandboxWithStalledOutput(t *testing.T) {
	t.Parallel()
	_, writer := fullPipe(t)
	port := freePort(t)
	p := (&site{t: t}).runAs([]string{"sandbox", "-flush", "50ms", "-port", strconv.Itoa(port)}, nil,
		func(cmd *exec.Cmd) { cmd.Stdout = writer })
	p.https = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ask := func(method, path, what string) func() bool {
		return func() bool {
			a, err := p.send(t.Context(), method, path, "sandbox", []byte(what))
			return err == nil && a.status == 200 && !strings.Contains(a.body, "=>")
		}
	}
	eventually(t, patience, "the sandbox takes a post", ask("POST", "/audiences", body()))
	eventually(t, patience, "its key is delivered", ask("GET", "/cache", ""))
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// metric is the value of a metric without labels.
func (p *process) metric(name string) (value float64) {
	p.t.Helper()
	a, err := p.adminGet("/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(a.body) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			if value, err = strconv.ParseFloat(words[1], 64); err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	p.t.Fatalf("there is no metric %s", name)
	return 0
}

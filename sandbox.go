package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"audiences/api/keyfile"
	"audiences/config"
	"audiences/sandbox"
)

// sandboxToken is what the sandbox's relay expects in Authorization.
const sandboxToken = "sandbox"

// sandboxCommand runs the relay and the Split look-alike in one process, with a
// made-up key and a journal that lives as long as the command.
func sandboxCommand(ctx context.Context, args []string, stdout io.Writer, stderr *lineWriter) error {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	port := flags.Int("port", 0, "HTTPS `port`; 0: a free one")
	flush := flags.Duration("flush", 3*time.Second, "how long a segment gathers keys")
	perSecond := flags.Int("traffic", 0, "post `N` lambda-like requests a second, at most 1000")
	lasting := flags.Duration("for", 10*time.Minute, "how long the traffic lasts")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *perSecond < 0 || *perSecond > 1000 {
		return fmt.Errorf("%w: audiences sandbox [-port PORT] [-flush 3s] [-traffic N] [-for 10m]", errUsage)
	}
	// The end of a terminal ends what was tried out in it, too.
	ctx = untilTold(ctx, stderr, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	shown := newLineWriter(stdout) // the look-alike must not wait for whoever looks on
	defer shown.Flush(lastWords)
	dir, err := os.MkdirTemp("", "audiences-sandbox-")
	if err != nil {
		return fmt.Errorf("make sandbox directory: %w", err)
	}
	defer os.RemoveAll(dir)

	tally := &tally{out: shown, began: time.Now()}
	split, err := sandbox.Start(sandbox.Options{OnCall: tally.call})
	if err != nil {
		return err
	}
	defer split.Close()
	cfg, err := sandboxConfig(dir, *port, *flush, split.URL)
	if err != nil {
		return err
	}
	s, err := start(cfg, newLogger(cfg, stderr), stderr)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("https://127.0.0.1:%s/audiences", portOf(s.listener))
	fmt.Fprintf(shown, sandboxText, url, s.adminListener.Addr(), split.URL, sandboxToken, url, split.URL)
	if *perSecond > 0 {
		trafficCtx, stop := context.WithTimeout(ctx, *lasting)
		defer stop()
		done := make(chan struct{})
		defer func() { <-done }()
		go func() {
			defer close(done)
			post(trafficCtx, url, *perSecond, &tally.posted)
		}()
	}
	return s.run(ctx)
}

const sandboxText = `
relay         %s   (self-signed certificate, made for this run)
probes        http://%s/readyz and /metrics
look-alike    %s/sandbox/state   (Split's part; see package sandbox for its faults)

Paste this; the key arrives in the look-alike after the flush interval:

  curl -k -H 'Authorization: %s' %s \
    -d '{"apiToken":"demo","workspaceId":"w","environmentId":"e","trafficTypeId":"t","verb":"add","mpids":["1"],"segment":"sDemo"}'
  curl %s/sandbox/segments/e/sDemo

Every call to Split prints a line below. Ctrl-C stops.

`

// sandboxConfig is a configuration with everything inside dir.
func sandboxConfig(dir string, port int, flush time.Duration, splitURL string) (config.Config, error) {
	key := filepath.Join(dir, "key.jks")
	file, err := os.OpenFile(key, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return config.Config{}, fmt.Errorf("make sandbox key: %w", err)
	}
	const password = "password"
	if err := keyfile.Generate(file, keyfile.GenerateOptions{Password: password}); err != nil {
		return config.Config{}, fmt.Errorf("make sandbox key: %w", err)
	}
	if err := file.Close(); err != nil {
		return config.Config{}, fmt.Errorf("make sandbox key: %w", err)
	}
	text := fmt.Sprintf(`{"port": %d, "authToken": %q, "segmentsFlushRateInSeconds": %g, "keyFile": "key.jks", "keyPassword": %q,
		"journalDir": "journal", "splitApiUrl": %q, "adminAddress": "127.0.0.1:0", "logLevel": "warn"}`,
		port, sandboxToken, flush.Seconds(), password, splitURL)
	path := filepath.Join(dir, "audiences.config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return config.Config{}, fmt.Errorf("write sandbox configuration: %w", err)
	}
	return config.Load(path, nil) // the same door as any other configuration
}

// tally prints each call to the look-alike with what it saved so far.
type tally struct {
	out    io.Writer
	began  time.Time
	posted atomic.Int64

	mu          sync.Mutex
	calls, keys int
}

func (t *tally) call(c sandbox.Call) {
	if c.Verb == 0 {
		return // not a change: somebody looks at the keys
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if c.Applied {
		t.keys += c.Keys
	}
	line := fmt.Sprintf("%6.1fs  %-6s %5d keys  %s/%s  %d", time.Since(t.began).Seconds(), c.Verb, c.Keys, c.Environment, c.Segment, c.Status)
	if c.Outcome != sandbox.OutcomeOK {
		line += " " + c.Outcome
	}
	if posted := t.posted.Load(); posted > 0 {
		line += fmt.Sprintf("   (so far %d posts in, %d keys delivered in %d calls)", posted, t.keys, t.calls)
	}
	fmt.Fprintln(t.out, line)
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

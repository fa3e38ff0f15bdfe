package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/keyfile"
	"audiences/config"
	"audiences/logging"
	"audiences/sandbox"
)

// sandboxToken is what the sandbox's relay expects in Authorization.
const sandboxToken = "sandbox"

// trial is what the flags of `audiences sandbox` say.
type trial struct {
	port    int
	flush   time.Duration
	traffic int           // posts a second; 0: none
	lasting time.Duration // of the traffic
}

func sandboxCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox [--traffic N]",
		Short: "try it: relay and a Split look-alike in one process",
		Long: `Runs the relay and a look-alike of Split in one process, with a key made up for the
run, in a directory that goes when it ends. It prints a curl command to try, and
every call to the look-alike. Ctrl-C ends it.
`,
		Args: noArguments,
	}
	var t trial
	cmd.Flags().IntVar(&t.port, "port", 0, "HTTPS `port`; 0: a free one")
	cmd.Flags().DurationVar(&t.flush, "flush", 3*time.Second, "how long a segment gathers keys")
	cmd.Flags().IntVar(&t.traffic, "traffic", 0, fmt.Sprintf("post `N` lambda-like requests a second, at most %d", sandbox.MaxTraffic))
	cmd.Flags().DurationVar(&t.lasting, "for", 10*time.Minute, "how long the traffic lasts")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if t.traffic < 0 || t.traffic > sandbox.MaxTraffic {
			return wrong(cmd, "--traffic must be 0 to %d", sandbox.MaxTraffic)
		}
		return t.run(cmd.Context(), p)
	}
	return cmd
}

// run runs the relay and the Split look-alike in one process, with a made-up key and
// a journal that lives as long as the command.
func (t trial) run(ctx context.Context, p process) error {
	// The end of a terminal ends what was tried out in it, too.
	ctx = untilTold(ctx, p.stderr, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	shown := logging.NewLineWriter(p.stdout) // the look-alike must not wait for whoever looks on
	defer shown.Flush(logging.LastWords)
	dir, err := os.MkdirTemp("", "audiences-sandbox-")
	if err != nil {
		return fmt.Errorf("make sandbox directory: %w", err)
	}
	defer os.RemoveAll(dir)

	traffic := &sandbox.Traffic{Token: sandboxToken}
	tally := &tally{out: shown, began: time.Now(), posted: traffic.Accepted}
	split, err := sandbox.Start(sandbox.Options{OnCall: tally.call})
	if err != nil {
		return err
	}
	defer split.Close()
	cfg, err := t.configure(dir, split.URL)
	if err != nil {
		return err
	}
	s, err := start(cfg, newLogger(cfg, p), p)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("https://127.0.0.1:%s/audiences", portOf(s.listener))
	fmt.Fprintf(shown, sandboxText, url, s.adminListener.Addr(), split.URL, sandboxToken, url, split.URL)
	if t.traffic > 0 {
		traffic.URL, traffic.PerSecond = url, t.traffic
		defer t.post(ctx, traffic)()
	}
	return s.run(ctx)
}

// post begins the traffic. What it returns ends the traffic before its time, and waits
// for the requests under way.
func (t trial) post(ctx context.Context, traffic *sandbox.Traffic) (end func()) {
	ctx, stop := context.WithTimeout(ctx, t.lasting)
	var posting sync.WaitGroup
	posting.Go(func() { traffic.Run(ctx) })
	return func() {
		stop()
		posting.Wait()
	}
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

// configure makes a configuration with everything inside dir.
func (t trial) configure(dir, splitURL string) (config.Config, error) {
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
		t.port, sandboxToken, t.flush.Seconds(), password, splitURL)
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
	posted func() int64

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
	if posted := t.posted(); posted > 0 {
		line += fmt.Sprintf("   (so far %d posts in, %d keys delivered in %d calls)", posted, t.keys, t.calls)
	}
	fmt.Fprintln(t.out, line)
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/keyfile"
	"audiences/audience"
	"audiences/config"
	"audiences/logging"
	"audiences/sandbox"
)

// sandboxToken is what the sandbox's relay expects in Authorization.
const sandboxToken = "sandbox"

// trial is what the flags of `audiences sandbox` say.
type trial struct {
	port, adminPort, splitPort int // 0: a free one
	flush                      time.Duration
	traffic                    int           // posts a second; 0: none
	tenants                    int           // of the traffic
	lasting                    time.Duration // of the traffic
	ends                       bool          // the sandbox ends with it
	splitOnly                  bool
	scenario                   scenario
}

func sandboxCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox [--scenario NAME] [--traffic N]",
		Short: "try it: relay and a Split look-alike in one process",
		Long: `Runs the relay and a look-alike of Split in one process, with a key made up for the
run, in a directory that goes when it ends. It prints a curl command to try, the
addresses of the relay's page and of the look-alike's, and every call to Split and
every event. Ctrl-C ends it with a verdict: whether all that was accepted came
through in its order.

With --scenario it also plays traffic, and has Split misbehave:

` + scenarioHelp() + `
  audiences sandbox --scenario outage
  audiences sandbox --traffic 200 --port 5010 --admin-port 3010

Exit codes: 0 ended as told, 1 something failed or did not come through, 2 the command
line is wrong.
`,
		Args: noArguments,
	}
	t, name := trial{}, ""
	flags := cmd.Flags()
	flags.IntVar(&t.port, "port", 0, "HTTPS `port`; 0: a free one")
	flags.IntVar(&t.adminPort, "admin-port", 0, "`port` of the page and the probes; 0: a free one")
	flags.IntVar(&t.splitPort, "split-port", 0, "`port` of the look-alike; 0: a free one")
	flags.DurationVar(&t.flush, "flush", 3*time.Second, "how long a segment gathers keys")
	flags.StringVar(&name, "scenario", "", "what happens, by `name`: "+scenarioNames())
	flags.IntVar(&t.tenants, "tenants", len(customers), "how many tenants the traffic has, 2 to 1000")
	flags.IntVar(&t.traffic, "traffic", 0, fmt.Sprintf("post `N` lambda-like requests a second, at most %d; 0: as the scenario has it, or none", sandbox.MaxTraffic))
	flags.DurationVar(&t.lasting, "for", 10*time.Minute, "how long the traffic lasts; where it is given, the sandbox ends then, too")
	flags.BoolVar(&t.splitOnly, "split-only", false, "run the look-alike alone, with the scenario's faults")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case t.traffic < 0 || t.traffic > sandbox.MaxTraffic:
			return wrong(cmd, "--traffic must be 0 to %d", sandbox.MaxTraffic)
		case t.tenants < 2 || t.tenants > 1000:
			return wrong(cmd, "--tenants must be 2 to 1000")
		case slices.ContainsFunc([]int{t.port, t.adminPort, t.splitPort}, func(port int) bool { return port < 0 || port > 65535 }):
			return wrong(cmd, "a port is 0 to 65535")
		case t.flush <= 0 || t.lasting <= 0:
			return wrong(cmd, "--flush and --for must be more than 0")
		}
		if name != "" {
			if t.scenario, err = scenarioNamed(name); err != nil {
				return wrong(cmd, "%v", err)
			}
			t.traffic = cmp.Or(t.traffic, t.scenario.posts)
		}
		t.ends = cmd.Flags().Changed("for")
		return t.run(cmd.Context(), p)
	}
	return cmd
}

// tokens are the apiTokens of the traffic's tenants.
func (t trial) tokens() (list []string) {
	for n := range t.tenants {
		list = append(list, "demo-"+t.customer(n))
	}
	return list
}

func (t trial) customer(n int) string {
	if n < len(customers) {
		return customers[n]
	}
	return fmt.Sprintf("customer-%d", n+1)
}

// run runs the relay and the Split look-alike in one process, with a made-up key and
// a journal that lives as long as the command.
func (t trial) run(ctx context.Context, p process) error {
	// The end of a terminal ends what was tried out in it, too.
	ctx = untilTold(ctx, p.stderr, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	shown := logging.NewLineWriter(p.stdout) // the look-alike must not wait for whoever looks on
	defer shown.Flush(logging.LastWords)
	traffic := &sandbox.Traffic{Token: sandboxToken, Tenants: t.tokens()}
	tally := &tally{out: shown, began: time.Now(), posted: traffic.Accepted}
	split, err := sandbox.Start(sandbox.Options{OnCall: tally.call, Address: fmt.Sprintf("127.0.0.1:%d", t.splitPort)})
	if err != nil {
		return err
	}
	defer split.Close()
	if t.scenario.rules != nil {
		for _, rule := range t.scenario.rules(traffic.Tenants) {
			split.Fault(rule)
		}
	}
	if t.splitOnly {
		fmt.Fprintf(shown, splitOnlyText, split.URL, split.URL)
		<-ctx.Done()
		return nil
	}
	left, err := t.relay(ctx, p, shown, split, traffic)
	if err != nil || t.traffic == 0 {
		return err
	}
	return t.verdict(shown, split.Split, traffic, left)
}

// relay runs the relay before the look-alike, until it is told to end; left is how many keys
// it had not delivered then.
func (t trial) relay(ctx context.Context, p process, shown io.Writer, split *sandbox.Server, traffic *sandbox.Traffic) (left int, err error) {
	dir, err := os.MkdirTemp("", "audiences-sandbox-")
	if err != nil {
		return 0, fmt.Errorf("make sandbox directory: %w", err)
	}
	defer os.RemoveAll(dir)
	cfg, err := t.configure(dir, split.URL)
	if err != nil {
		return 0, err
	}
	s, err := start(ctx, cfg, newLogger(cfg, p), p)
	if err != nil {
		return 0, err
	}
	url := fmt.Sprintf("https://127.0.0.1:%s/audiences", portOf(s.listener))
	fmt.Fprintf(shown, sandboxText, url, s.adminListener.Addr(), s.adminListener.Addr(), split.URL, sandboxToken, url, split.URL)
	ctx, end := context.WithCancel(ctx)
	defer end()
	telling := tellEvents(ctx, shown, s.relay, t.names())
	defer telling.Wait()
	if t.traffic > 0 {
		traffic.URL, traffic.PerSecond = url, t.traffic
		if t.scenario.first != nil {
			traffic.First = t.scenario.first(traffic.Tenants)
		}
		posting := t.post(ctx, traffic)
		defer posting.Wait()
		if t.ends {
			go func() { posting.Wait(); end() }()
		}
	}
	err = s.run(ctx)
	end()
	return s.relay.Left(), err
}

// post begins the traffic, which ends with ctx or when its time is up.
func (t trial) post(ctx context.Context, traffic *sandbox.Traffic) *sync.WaitGroup {
	var posting sync.WaitGroup
	posting.Go(func() {
		ctx, stop := context.WithTimeout(ctx, t.lasting)
		defer stop()
		traffic.Run(ctx)
	})
	return &posting
}

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
	settings := map[string]any{"port": t.port, "authToken": sandboxToken, "segmentsFlushRateInSeconds": t.flush.Seconds(), "keyFile": "key.jks", "keyPassword": password,
		"journalDir": "journal", "splitApiUrl": splitURL, "adminAddress": fmt.Sprintf("127.0.0.1:%d", t.adminPort), "logLevel": "warn", "tenantNames": t.names()}
	if t.scenario.busy {
		settings["maxRequestsInFlight"] = 2
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return config.Config{}, fmt.Errorf("write sandbox configuration: %w", err)
	}
	path := filepath.Join(dir, "audiences.config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return config.Config{}, fmt.Errorf("write sandbox configuration: %w", err)
	}
	return config.Load(path, nil) // the same door as any other configuration
}

// names are what people call the tenants, by fingerprint.
func (t trial) names() map[string]string {
	names := map[string]string{}
	for n, text := range t.tokens() {
		if token, err := audience.ParseToken(text); err == nil {
			names[audience.NewTenant(token).ID.String()] = t.customer(n)
		}
	}
	return names
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

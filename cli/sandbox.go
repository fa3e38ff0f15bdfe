package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	"audiences/sandbox/postgres"
	"audiences/status"
)

const (
	sandboxToken    = "sandbox" // what the sandbox's relay expects in Authorization
	sandboxKey      = "key.jks"
	sandboxPassword = "password" // of the key file
)

// maxNodes is how many nodes --nodes takes at most.
const maxNodes = 9

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

	count     int           // of nodes that share a PostgreSQL; 0: one relay, alone
	killEvery time.Duration // a node is killed so often; 0: never
	installed func() error  // nil where a PostgreSQL can be started
	began     time.Time
}

func sandboxCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox [--scenario NAME] [--traffic N] [--nodes N [--kill-every TIME]]",
		Short: "try it: relay and a Split look-alike in one process",
		Long: `Runs the relay and a look-alike of Split in one process, with a key made up for the
run, in a directory that goes when it ends. It prints a curl command to try, the
addresses of the relay's page and of the look-alike's, and every call to Split and
every event. Ctrl-C ends it with a verdict: whether all that was accepted came
through in its order.

With --scenario it also plays traffic, and has Split misbehave:

` + scenarioHelp() + `
With --nodes it runs so many relays as processes of their own, which share a PostgreSQL
of the sandbox's, and a balancer before them. --kill-every has one of them die again and
again, in its turn, and a new one take its place, while 50 posts a second come in unless
--traffic says otherwise.

  audiences sandbox --scenario outage
  audiences sandbox --nodes 3 --kill-every 10s
  audiences sandbox --traffic 200 --port 5010 --admin-port 3010

Exit codes: 0 ended as told, 1 something failed or did not come through, 2 the command
line is wrong.
`,
		Args: noArguments,
	}
	t, name := trial{installed: postgres.Available}, ""
	flags := cmd.Flags()
	flags.IntVar(&t.port, "port", 0, "HTTPS `port`; 0: a free one")
	flags.IntVar(&t.adminPort, "admin-port", 0, "`port` of the page and the probes, of several nodes that of the first one, with the others on those after it; 0: a free one")
	flags.IntVar(&t.splitPort, "split-port", 0, "`port` of the look-alike; 0: a free one")
	flags.DurationVar(&t.flush, "flush", 3*time.Second, "how long a segment gathers keys")
	flags.StringVar(&name, "scenario", "", "what happens, by `name`: "+scenarioNames())
	flags.IntVar(&t.tenants, "tenants", len(customers), "how many tenants the traffic has, 2 to 1000")
	flags.IntVar(&t.traffic, "traffic", 0, fmt.Sprintf("post `N` lambda-like requests a second, at most %d; 0: as the scenario has it, or none", sandbox.MaxTraffic))
	flags.DurationVar(&t.lasting, "for", 10*time.Minute, "how long the traffic lasts; where it is given, the sandbox ends then, too")
	flags.BoolVar(&t.splitOnly, "split-only", false, "run the look-alike alone, with the scenario's faults")
	flags.IntVar(&t.count, "nodes", 0, fmt.Sprintf("run `N` relays that share a PostgreSQL, at most %d; needs PostgreSQL installed; 0: one relay, with a journal of its own", maxNodes))
	flags.DurationVar(&t.killEvery, "kill-every", 0, "with --nodes: kill one of them so often, a second at least; 0: never")
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
		case t.count < 0 || t.count > maxNodes:
			return wrong(cmd, "--nodes must be 1 to %d", maxNodes)
		case t.count > 0 && t.splitOnly:
			return wrong(cmd, "--split-only runs no nodes")
		case t.killEvery != 0 && (t.killEvery < time.Second || t.count == 0):
			return wrong(cmd, "--kill-every must be 1s or more, and needs --nodes")
		}
		if name != "" {
			if t.scenario, err = scenarioNamed(name); err != nil {
				return wrong(cmd, "%v", err)
			}
			t.traffic = cmp.Or(t.traffic, t.scenario.posts)
		}
		if t.killEvery > 0 {
			t.traffic = cmp.Or(t.traffic, scenarios[0].posts)
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
	t.began = time.Now()
	tally := &tally{out: shown, began: t.began, posted: traffic.Accepted}
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
	play := t.relay
	if t.count > 0 {
		play = t.several
	}
	left, err := play(ctx, p, shown, split, traffic)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was told to end before all had started
	}
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
	path, err := t.configure(dir, split.URL, map[string]any{"port": t.port, "adminAddress": fmt.Sprintf("127.0.0.1:%d", t.adminPort), "journalDir": "journal", "logLevel": "warn"})
	if err != nil {
		return 0, err
	}
	cfg, err := config.Load(path, nil) // the same door as any other configuration
	if err != nil {
		return 0, err
	}
	s, err := start(ctx, cfg, newLogger(cfg, p), p, nil)
	if err != nil {
		return 0, err
	}
	url := fmt.Sprintf("https://127.0.0.1:%s/audiences", portOf(s.listener))
	fmt.Fprintf(shown, relayText, url, s.adminListener.Addr(), s.adminListener.Addr(), split.URL)
	fmt.Fprintf(shown, tryText, sandboxToken, url, split.URL)
	err = t.play(ctx, shown, url, traffic, t.eventsOf(s.relay), s.run)
	return s.relay.Left(), err
}

// play has the traffic come in at url and tells of events, while run runs, which it tells
// to end when the traffic has, where the sandbox is to end with it.
func (t trial) play(ctx context.Context, shown io.Writer, url string, traffic *sandbox.Traffic, events func(context.Context) []status.Event, run func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	telling := tellEvents(ctx, shown, events)
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
	err := run(ctx)
	end()
	return err
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

// configure writes a configuration with everything inside dir, and these settings.
func (t trial) configure(dir, splitURL string, more map[string]any) (path string, err error) {
	file, err := os.OpenFile(filepath.Join(dir, sandboxKey), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("make sandbox key: %w", err)
	}
	if err := keyfile.Generate(file, keyfile.GenerateOptions{Password: sandboxPassword}); err != nil {
		return "", fmt.Errorf("make sandbox key: %w", err)
	}
	if err := file.Close(); err != nil {
		return "", fmt.Errorf("make sandbox key: %w", err)
	}
	settings := map[string]any{"authToken": sandboxToken, "segmentsFlushRateInSeconds": t.flush.Seconds(), "keyFile": sandboxKey, "keyPassword": sandboxPassword,
		"splitApiUrl": splitURL, "tenantNames": t.names()}
	if t.scenario.busy {
		settings["maxRequestsInFlight"] = 2
	}
	maps.Copy(settings, more)
	text, err := json.Marshal(settings)
	if err != nil {
		return "", fmt.Errorf("write sandbox configuration: %w", err)
	}
	path = filepath.Join(dir, "audiences.config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("write sandbox configuration: %w", err)
	}
	return path, nil
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

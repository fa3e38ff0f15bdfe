package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

const howToLoad = `load [-connections N] [-for TIME] HOST:PORT ...

Posts changes of one key to relays on other machines, to all of them at once, and says how
many a second they take and how long that takes them. AUDIENCES_AUTH_TOKEN is their authToken.

The changes are made up, of 10 apiTokens and 100 segments for each relay, which Split does not
know: give the relays "splitApiUrl": "http://127.0.0.1:1", so that they call nobody, and a
journal of their own. What a post takes of a processor is, of each relay and of the database's
machine, the growth of process_cpu_seconds_total, or of what the system counts, by the posts.
`

// loadElsewhere measures relays that run on machines of their own, as measureCluster does with
// those that share this one.
func loadElsewhere(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	connections := flags.Int("connections", keptConnections, "kept connections to each relay")
	lasting := flags.Duration("for", 30*time.Second, "how long")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), howToLoad)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	token := os.Getenv("AUDIENCES_AUTH_TOKEN")
	switch {
	case flags.NArg() == 0:
		return errors.New("name the relays, each as HOST:PORT")
	case token == "":
		return errors.New("set AUDIENCES_AUTH_TOKEN to the authToken of the relays")
	}
	var targets []target
	run := time.Now().Unix() // another run has other keys: a key that is pending already costs less
	for n, address := range flags.Args() {
		targets = append(targets, target{address: address, pid: os.Getpid(), ledger: newLedger(fmt.Sprintf("l%d_%d_", run, n), 100), token: token})
	}
	o, err := atOnce(ctx, targets, *connections, *lasting)
	if err != nil {
		return err
	}
	fmt.Printf("%d posts in %.0f s: %.0f a second; p50 %.2f ms, p99 %.2f ms; this machine took %.0f us a post\n", o.posts, o.took.Seconds(), o.perSecond(),
		o.at(0.5).Seconds()*1e3, o.at(0.99).Seconds()*1e3, o.client.Seconds()*1e6/float64(max(1, o.posts)))
	return nil
}

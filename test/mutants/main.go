// Command mutants breaks the relay on purpose, one line at a time, and looks
// whether the tests of the broken package notice.
//
//	go run ./test/mutants -count 250            run, or go on where it stopped
//	go run ./test/mutants -shard 2/4 -ledger b  a quarter of it, beside other quarters
//	go run ./test/mutants -report               what the ledger says so far
//
// Sites.go finds the places that can be broken, run.go tries one of them, ledger.go
// remembers what came of it. Nothing in the checkout is changed: the go command
// takes the broken file in place of the sound one (-overlay).
//
// The sample is drawn by a seed, so that everybody tries the same mutants of the
// same sources. What survives stands in docs/testing.md with a reason each; a row
// there that says "equivalent" is left out of the count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	packages []string
	count    int
	seed     uint64
	shard    shard
	workers  int
	timeout  time.Duration
	ledger   string
	known    string
	only     string
	report   bool
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	packages := flags.String("packages", "actors,actors/batch,actors/pace,actors/standing,journal,journal/embedded,journal/embedded/damage,journal/embedded/disk,journal/vault,splitclient,api,config", "the packages to break, separated by commas")
	flags.IntVar(&o.count, "count", 250, "how many mutants are drawn, of each package in proportion to its places")
	flags.Uint64Var(&o.seed, "seed", 1, "of the draw")
	flags.Var(&o.shard, "shard", "`i/n`: only the i-th of n parts of the sample")
	flags.IntVar(&o.workers, "workers", 1, "mutants tried at a time")
	flags.DurationVar(&o.timeout, "timeout", 60*time.Second, "for the tests of one mutant; they take less by far when it is sound")
	flags.StringVar(&o.ledger, "ledger", "mutants.jsonl", "the `file` that remembers what was tried; made if absent")
	flags.StringVar(&o.known, "known", "docs/testing.md", "the `file` that lists survivors with their reasons")
	flags.StringVar(&o.only, "only", "", "try this `id` again, whatever the ledger says")
	flags.BoolVar(&o.report, "report", false, "try nothing, print what the ledger says")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.packages = strings.Split(*packages, ",")
	if flags.NArg() > 0 || o.count < 1 || o.workers < 1 {
		return o, errors.New("no arguments, at least one mutant and one worker")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	var all []site
	for _, dir := range o.packages {
		sites, err := findSites(dir)
		if err != nil {
			return err
		}
		all = append(all, sites...)
	}
	book, err := openLedger(o.ledger)
	if err != nil {
		return err
	}
	defer book.close()
	sample := draw(all, o.count, o.seed)
	if o.only != "" {
		sample, book.tried = withID(all, o.only), nil
	}
	if !o.report {
		if err := tryAll(ctx, o, sample, book); err != nil {
			return err
		}
	}
	return book.report(os.Stdout, sample, o.known)
}

// tryAll tries what the ledger does not know yet. The tests of each package must
// pass on the sound source first, well within the time a mutant has: else every
// mutant would seem to be noticed.
func tryAll(ctx context.Context, o options, sample []site, book *ledger) error {
	var left []site
	wanted := map[string]bool{}
	for i, s := range sample {
		if o.shard.has(i) && !book.knows(s) {
			left = append(left, s)
			wanted[s.dir] = true
		}
	}
	for dir := range wanted {
		if err := sound(ctx, dir, o.timeout); err != nil {
			return err
		}
	}
	work := make(chan site)
	var workers sync.WaitGroup
	for range o.workers {
		workers.Go(func() {
			for s := range work {
				outcome, took := try(ctx, s, o.timeout)
				if ctx.Err() == nil {
					book.note(s, outcome, took)
				}
			}
		})
	}
	for _, s := range left {
		if ctx.Err() != nil {
			break
		}
		work <- s
	}
	close(work)
	workers.Wait()
	return ctx.Err()
}

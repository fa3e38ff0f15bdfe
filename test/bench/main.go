package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// scenario is one measurement.
type scenario struct {
	name  string
	run   func(context.Context, *house, *report) error
	quick bool // also in the short form
	apart bool // where it is asked for alone: it needs what not every machine has
}

var scenarios = []scenario{
	{"intake", measureIntake, true, false},
	{"lone", measureLone, true, false},
	{"handshake", measureHandshakes, true, false},
	{"stages", measureStages, false, false},
	{"post", measureLargePost, false, false},
	{"growth", measureGrowth, false, false},
	{"deliver", measureDelivery, true, false},
	{"due", measureDue, true, false},
	{"sizes", measureSizes, true, false},
	{"restart", measureRestart, true, false},
	{"resident", measureResident, false, false},
	{"idle", measureIdle, true, false},
	{"viewers", measureViewers, false, false},
	{"receipts", measureReceipts, false, false},
	{"cluster", measureCluster, false, true},
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case ceilingRole:
			return serveCeiling(args[1:])
		case leanRole:
			return serveLean(args[1:])
		case splitRole:
			return serveSplit()
		case "soak":
			return soak(ctx, args[1:])
		case "load":
			return loadElsewhere(ctx, args[1:])
		}
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "short runs, and limits that leave room for a busy machine")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each pair is measured, in turns")
	flags.DurationVar(&o.each, "each", 4*time.Second, "how long one measurement lasts")
	flags.StringVar(&o.before, "before", "", "the binary of an earlier version of the relay, which is measured in turns with this one")
	only := flags.String("only", "", "names of scenarios, with commas: "+names())
	write := flags.Bool("write", false, "put the tables and the plot into docs/")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.quick {
		o.rounds, o.each = 2, time.Second/2
	}
	chosen := strings.Split(*only, ",")
	report := newReport(o)
	report.before()
	if err := report.quiet(); err != nil && *write {
		return fmt.Errorf("nothing is measured, as it could not be written to docs/: %w", err)
	}
	h, err := newHouse(ctx, o)
	if err != nil {
		return err
	}
	defer h.close()
	for _, s := range scenarios {
		if *only == "" && (s.apart || o.quick && !s.quick) || *only != "" && !slices.Contains(chosen, s.name) {
			continue
		}
		err := h.watched(s.name, report, func() error { return s.run(ctx, h, report) })
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	report.print(os.Stdout)
	if *write {
		err = report.write()
	}
	return errors.Join(err, report.verdict())
}

// options are how much is measured.
type options struct {
	quick  bool
	rounds int
	each   time.Duration
	before string // the binary of another version of the relay; "": none
}

// of is the full size, or that of the short form.
func of[T any](o options, full, quick T) T {
	if o.quick {
		return quick
	}
	return full
}

func names() string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return strings.Join(all, " ")
}

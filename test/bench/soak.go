package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"audiences/test/harness"
)

// What a soak does.
const (
	soakRate     = 5_000 // posts a second
	soakSegments = 1_000
	soakSamples  = 40 // of memory, goroutines and journal
	soakGrowth   = 1.3
)

// soakFigures are what must stay flat. The slack is what each moves by itself: the
// heap by its garbage, the journal by its logs and tables of 16 MiB, the goroutines
// by the calls under way.
var soakFigures = []struct {
	name  string
	of    func(sample) float64
	slack float64
}{
	{"memory", func(s sample) float64 { return float64(s.memory) }, 64 << 20},
	{"journal", func(s sample) float64 { return float64(s.journal) }, 64 << 20},
	{"goroutines", func(s sample) float64 { return s.goroutines }, 200},
}

// soakFaults go on and off in turns.
var soakFaults = []string{
	`{"kind":"status","code":500}`,
	"",
	`{"kind":"throttle","scope":"ip","resetSeconds":2}`,
	`{"kind":"slow","delaySeconds":1}`,
	`{"kind":"reset","applied":true}`,
	"",
	`{"kind":"hang","applied":true}`,
}

// sample is what must stay flat.
type sample struct {
	memory, journal int     // bytes
	goroutines      float64 // the connections of the load among them
}

// soak posts for a long time while Split misbehaves now and then: what the process
// takes must not grow, and nothing may be lost.
func soak(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	lasting := flags.Duration("for", 30*time.Minute, "how long")
	rate := flags.Float64("rate", soakRate, "posts a second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := newHouse(ctx, options{})
	if err != nil {
		return err
	}
	defer h.close()
	s, err := h.newSite(h.ecdsa, map[string]any{"segmentsFlushRateInSeconds": 2, "maxCallsPerSecond": 500, "maxCallsPerSecondPerTenant": 100, "splitTimeout": 3})
	if err != nil {
		return err
	}
	if err := s.start(nil); err != nil {
		return err
	}
	l := newLedger("soak", soakSegments)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	var samples []sample
	go func() {
		var err error
		samples, err = s.watch(watching, *lasting/soakSamples)
		watched <- err
	}()
	o, err := s.target(l).openLoop(ctx, openConnections, *rate, *lasting)
	stop()
	if err := errors.Join(err, <-watched, s.fault("")); err != nil {
		return err
	}
	fmt.Printf("%d posts in %.0f s, p50 %s, p99 %s, CPU a post %s\n", o.posts, o.took.Seconds(), millis(o.at(0.5)), millis(o.at(0.99)), micros(o.cost()))
	if err := (&ledgered{s, l}).finish(ctx); err != nil {
		return err
	}
	fmt.Printf("%d accepted keys, all of them in the look-alike, no broken promise to Split\n", l.total())
	return flat(samples)
}

// watch takes samples, and changes the fault with each.
func (s *site) watch(ctx context.Context, every time.Duration) (samples []sample, err error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return samples, nil
		case <-ticker.C:
		}
		now, _, err := harness.Resident(s.relay.PID())
		if err != nil {
			return samples, err
		}
		m, err := s.relay.Metrics()
		if err != nil {
			return samples, err
		}
		one := sample{memory: now, journal: size(filepath.Join(s.dir, "journal")), goroutines: m["go_goroutines"]}
		samples = append(samples, one)
		fmt.Printf("%5.0f s  memory %4d MB  journal %4d MB  goroutines %4.0f  pending %8.0f\n",
			float64(n+1)*every.Seconds(), one.memory/1e6, one.journal/1e6, one.goroutines, m["audiences_keys_pending"])
		if err := s.fault(""); err != nil {
			return samples, err
		}
		if rule := soakFaults[n%len(soakFaults)]; rule != "" {
			if err := s.fault(rule); err != nil {
				return samples, err
			}
		}
	}
}

// flat compares the most of the second quarter with the most of the last one: the
// first quarter is for warming up. It also prints both.
func flat(samples []sample) error {
	if len(samples) < 8 {
		return fmt.Errorf("%d samples are too few to tell anything", len(samples))
	}
	quarter := len(samples) / 4
	early, late := samples[quarter:2*quarter], samples[len(samples)-quarter:]
	var faults []error
	for _, figure := range soakFigures {
		before, after := greatest(early, figure.of), greatest(late, figure.of)
		fmt.Printf("%-10s second quarter at most %.0f, last quarter at most %.0f\n", figure.name, before, after)
		if after > soakGrowth*before+figure.slack {
			faults = append(faults, fmt.Errorf("%s grew from %.0f to %.0f", figure.name, before, after))
		}
	}
	return errors.Join(faults...)
}

func greatest(samples []sample, figure func(sample) float64) (most float64) {
	for _, s := range samples {
		most = max(most, figure(s))
	}
	return most
}

// size is what the files below a directory take; those that go meanwhile take nothing.
func size(dir string) (bytes int) {
	_ = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				bytes += int(info.Size())
			}
		}
		return nil
	})
	return bytes
}

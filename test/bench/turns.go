package main

import (
	"fmt"
	"slices"
	"time"
)

// turns are measurements of several servers, taken in turns: whatever else the
// machine does meets all of them alike.
type turns struct {
	servers []string // the first one is what the others are compared with
	loads   []func() (outcome, error)
	found   [][]outcome
	stop    []func() // of the servers that serve only here
}

// The servers that are compared.
const (
	bareServer    = "bare Echo"
	waitingServer = "bare Echo, 0.5 ms wait"
	durableServer = "bare log"
	leanServer    = "lean durable server"
	beforeServer  = "relay before"
	relayServer   = "relay"
)

// add has one more server measured.
func (t *turns) add(server string, load func() (outcome, error)) {
	t.servers, t.loads = append(t.servers, server), append(t.loads, load)
}

// measure takes so many rounds, after some that are not counted, prints the load
// average before and after, and ends the servers that serve only here.
func (t *turns) measure(rounds, uncounted int) error {
	defer func() {
		for _, stop := range t.stop {
			stop()
		}
	}()
	t.found = make([][]outcome, len(t.loads))
	load := loadAverage()
	for round := range rounds + uncounted {
		for n, load := range t.loads {
			o, err := load()
			if err != nil {
				return fmt.Errorf("%s: %w", t.servers[n], err)
			}
			if round >= uncounted {
				t.found[n] = append(t.found[n], o)
			}
		}
	}
	fmt.Printf("%d turns of %d, load average %.2f before, %.2f after\n", rounds, len(t.loads), load, loadAverage())
	return nil
}

// of are the outcomes of one server.
func (t *turns) of(server string) []outcome { return t.found[slices.Index(t.servers, server)] }

// ratio is what one server reached of another in posts a second, round by round.
func (t *turns) ratio(server, of string) spread { return t.compare(server, of, outcome.perSecond) }

// compare is a figure of one server divided by that of another, round by round.
func (t *turns) compare(server, of string, figure func(outcome) float64) spread {
	var ratios []float64
	for i, o := range t.of(server) {
		ratios = append(ratios, figure(o)/figure(t.of(of)[i]))
	}
	return spreadOf(ratios)
}

// spread of one figure of a server.
func (t *turns) spread(server string, figure func(outcome) float64) spread {
	var values []float64
	for _, o := range t.of(server) {
		values = append(values, figure(o))
	}
	return spreadOf(values)
}

// spread is what several measurements of one figure have found.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	return spread{slices.Min(values), median(values), slices.Max(values)}
}

// text has the median, and the others behind it, in the format of one.
func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median, s.min, s.max)
}

// width is how far the values lie apart, as a share of the median.
func (s spread) width() float64 { return (s.max - s.min) / s.median }

// figure is a column of a table of turns.
type figure struct {
	heading string
	of      func(outcome) float64
	format  string
}

func latencyAt(share float64) func(outcome) float64 {
	return func(o outcome) float64 { return o.at(share).Seconds() * 1e3 }
}

func costInMicros(o outcome) float64 { return float64(o.cost()) / float64(time.Microsecond) }

// loadFigures are those of a load.
var loadFigures = []figure{
	{"posts/s", outcome.perSecond, "%.0f"},
	{"p50, ms", latencyAt(0.5), "%.2f"},
	{"p99, ms", latencyAt(0.99), "%.1f"},
	{"CPU a post, us", costInMicros, "%.0f"},
	{"CPU of the client, us", func(o outcome) float64 {
		return float64(o.client/time.Duration(max(1, o.posts))) / float64(time.Microsecond)
	}, "%.0f"},
}

// rows are the lines of a table, the first of them its heading.
func (t *turns) rows(what string, figures []figure) (rows [][]string) {
	heading := []string{what, "of " + t.servers[0]}
	for _, f := range figures {
		heading = append(heading, f.heading)
	}
	rows = append(rows, heading)
	for _, server := range t.servers {
		row := []string{server, t.compare(server, t.servers[0], figures[0].of).text("%.2f")}
		for _, f := range figures {
			row = append(row, t.spread(server, f.of).text(f.format))
		}
		rows = append(rows, row)
	}
	return rows
}

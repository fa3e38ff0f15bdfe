package main

import (
	"fmt"
	"slices"
	"time"
)

// turns are measurements of several servers, taken in turns: whatever else the
// machine does meets all of them alike.
type turns struct {
	servers []string // the first one is the ceiling
	found   [][]outcome
}

// The servers that are compared.
const (
	bareServer    = "ceiling"
	waitingServer = "ceiling + 0.5 ms wait"
	durableServer = "ceiling + bare log"
	relayServer   = "relay"
)

// measure takes so many rounds; what goes before them is not counted.
func (t *turns) measure(rounds int, loads ...func() (outcome, error)) error {
	t.found = make([][]outcome, len(loads))
	for round := range rounds + 1 {
		for n, load := range loads {
			o, err := load()
			if err != nil {
				return fmt.Errorf("%s: %w", t.servers[n], err)
			}
			if round > 0 {
				t.found[n] = append(t.found[n], o)
			}
		}
	}
	return nil
}

// of are the outcomes of one server.
func (t *turns) of(server string) []outcome { return t.found[slices.Index(t.servers, server)] }

// ratio is the median of what one server reached of another, round by round.
func (t *turns) ratio(server, of string) float64 {
	var ratios []float64
	for i, o := range t.of(server) {
		ratios = append(ratios, o.perSecond()/t.of(of)[i].perSecond())
	}
	return median(ratios)
}

// medianOf is the median of one figure of several outcomes.
func medianOf[T ~int64 | ~float64](all []outcome, figure func(outcome) T) T {
	var values []T
	for _, o := range all {
		values = append(values, figure(o))
	}
	return median(values)
}

// rows are the lines of a table.
func (t *turns) rows(what string) (rows [][]string) {
	for _, server := range t.servers {
		all := t.of(server)
		latency := func(share float64) string {
			return millis(medianOf(all, func(o outcome) time.Duration { return o.at(share) }))
		}
		rows = append(rows, []string{what, server, fmt.Sprintf("%.0f", medianOf(all, outcome.perSecond)),
			fmt.Sprintf("%.2f", t.ratio(server, bareServer)), latency(0.5), latency(0.99), micros(medianOf(all, outcome.cost)),
			micros(medianOf(all, func(o outcome) time.Duration { return o.client / time.Duration(max(1, o.posts)) }))})
	}
	return rows
}

var turnsHeader = []string{"load", "server", "posts/s", "ratio", "p50", "p99", "CPU a post, server", "CPU a post, client"}

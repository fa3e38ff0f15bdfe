package cli

import (
	"fmt"
	"strings"
	"time"

	"audiences/audience"
	"audiences/sandbox"
)

// scenario is a kind of day that the sandbox plays: what Split does, and what comes in.
type scenario struct {
	name  string
	about string
	rules func(tenants []string) []sandbox.Rule // what Split does; nil: nothing but its work
	first func(tenants []string) []sandbox.Post // are posted before all others
	posts int                                   // a second
	busy  bool                                  // the relay takes few posts at once, so that it refuses some
}

// poison is a key that Split refuses in the scenario "parked".
const poison = "4711"

// The names of the first tenants, as tenantNames has them; further ones are numbered.
var customers = []string{"acme-prod", "globex-prod", "initech-test"}

// scenarios are all of them, the usual one first.
var scenarios = []scenario{
	{name: "healthy", about: "Split takes everything", posts: 50},
	{name: "outage", about: "Split answers every call with 503", posts: 50, rules: func([]string) []sandbox.Rule {
		return []sandbox.Rule{{Kind: sandbox.Status, Code: 503, Message: "upstream connect error"}}
	}},
	{name: "throttled", about: "the limit of one tenant's organisation is used up, and now and then that of the relay's address", posts: 50, rules: func(tenants []string) []sandbox.Rule {
		return []sandbox.Rule{
			{Kind: sandbox.Throttle, Token: tenants[0], Scope: sandbox.Org, Reset: time.Minute},
			{Kind: sandbox.Throttle, Token: tenants[1], Scope: sandbox.IP, Reset: 8 * time.Second},
		}
	}},
	{name: "revoked", about: "Split refuses the token of one tenant", posts: 50, rules: func(tenants []string) []sandbox.Rule {
		return []sandbox.Rule{{Kind: sandbox.Unauthorized, Token: tenants[0]}}
	}},
	{name: "parked", about: "Split refuses one segment, and one key of another", posts: 50, rules: func(tenants []string) []sandbox.Rule {
		return []sandbox.Rule{
			{Kind: sandbox.Forbidden, Token: tenants[0], Segment: sandbox.TrafficSegments[0]},
			{Kind: sandbox.Poison, Token: tenants[1], Segment: sandbox.TrafficSegments[1], Key: poison},
		}
	}, first: func(tenants []string) []sandbox.Post {
		return []sandbox.Post{{APIToken: tenants[1], Segment: sandbox.TrafficSegments[1], Key: poison, Verb: audience.Add}}
	}},
	{name: "full", about: "one segment has all the members that it may have", posts: 50, rules: func(tenants []string) []sandbox.Rule {
		return []sandbox.Rule{{Kind: sandbox.Full, Token: tenants[0], Segment: sandbox.TrafficSegments[0]}}
	}},
	{name: "storm", about: "Split is slow, and more posts come than the relay may take at once", posts: sandbox.MaxTraffic, busy: true, rules: func([]string) []sandbox.Rule {
		return []sandbox.Rule{{Kind: sandbox.Slow, Delay: time.Second}}
	}},
}

func scenarioNamed(name string) (s scenario, err error) {
	for _, s := range scenarios {
		if s.name == name {
			return s, nil
		}
	}
	return s, fmt.Errorf("--scenario is one of %s", scenarioNames())
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// scenarioHelp lists them with what they are about.
func scenarioHelp() string {
	var text strings.Builder
	for _, s := range scenarios {
		fmt.Fprintf(&text, "  %-10s %s\n", s.name, s.about)
	}
	return text.String()
}

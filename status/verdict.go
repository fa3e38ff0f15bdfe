package status

import (
	"fmt"
	"strings"
)

// troubles are the states that a verdict speaks of, with what it says of one tenant and
// of several.
var troubles = []struct {
	state        State
	one, several string
}{
	{TokenRefused, "its token is refused", "their tokens are refused"},
	{Parked, "Split refuses a segment of it", "Split refuses segments of them"},
	{Repeating, "calls for it fail and are repeated", "calls for them fail and are repeated"},
	{Held, "delivery is switched off in the configuration", "delivery is switched off in the configuration"},
	{Paused, "it is paused, or a segment of it", "they are paused, or segments of them"},
}

// Verdict says in a line how the relay is. Tenants are those of Relay.Status.
func Verdict(tenants []Tenant, fresh Freshness) string {
	var all Counts
	segments, by := 0, map[State][]Tenant{}
	for _, t := range tenants {
		all = all.Plus(t.Counts)
		for _, trouble := range troubles {
			if t.Condition.Is(trouble.state) {
				by[trouble.state] = append(by[trouble.state], t)
			}
		}
		for _, n := range t.States {
			segments += n
		}
	}
	var said []string
	for _, trouble := range troubles {
		switch some := by[trouble.state]; len(some) {
		case 0:
		case 1:
			said = append(said, fmt.Sprintf("Tenant %s: %s, %s kept.", Title(some[0].Tenant, some[0].Name), trouble.one, pending(some[0].kept[trouble.state])))
		default:
			said = append(said, fmt.Sprintf("%s tenants: %s, %s kept.", Number(len(some)), trouble.several, pending(sum(some, trouble.state))))
		}
	}
	if all.Parked > 0 {
		said = append(said, capital(are(keys(all.Parked), all.Parked))+" parked.")
	}
	if len(said) == 0 {
		last := fresh.sentence()
		if last == "" {
			last = pending(all) + " pending"
		}
		return fmt.Sprintf("Healthy. %s, %s, %s.", Count(len(tenants), "tenant"), Count(segments, "segment"), last)
	}
	return strings.Join(said, " ")
}

// sum is what their segments in one state have.
func sum(tenants []Tenant, state State) (all Counts) {
	for _, t := range tenants {
		all = all.Plus(t.kept[state])
	}
	return all
}

// Count is a number of something, which ends in s where it is not one.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Number(n) + " " + what + "s"
}

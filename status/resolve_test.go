package status

import (
	"testing"
	"time"
)

// TestResolve: whose word counts where a segment, its tenant and the address have
// something to say.
func TestResolve(t *testing.T) {
	in := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	gathering := Phase{Condition: Condition{State: Gathering, Since: in(-5), Until: in(5)}}
	asked := Phase{Condition: Condition{State: Waiting, Since: in(-1)}, Asked: true}
	again := Phase{Condition: Condition{State: Repeating, Attempts: 3, Until: in(-1), Reason: "timeout"}, Asked: true}
	parked := Phase{Condition: Condition{State: Parked, Since: in(-60), Until: in(60)}}
	both := Phase{Condition: parked.Besides(Condition{State: Paused, Since: in(-3), By: "bo"})}
	of := func(s State) Phase { return Phase{Condition: Condition{State: s}} }

	free, open := TenantGate{}, AddressGate{}
	off := TenantGate{Off: true, Waiting: 7}
	pausedAndOff := TenantGate{Off: true, Paused: true, PausedSince: in(-7)}
	refused := TenantGate{Refused: true, RefusedAt: in(-9), RefusedTry: in(9)}
	blocked := TenantGate{Blocked: in(30), Waiting: 7}
	pausedTenant := TenantGate{Paused: true, PausedSince: in(-7), PausedUntil: in(7), PausedBy: "ana", Refused: true, RefusedAt: in(-9)}
	shut := AddressGate{Blocked: in(20)}
	for what, c := range map[string]struct {
		phase   Phase
		tenant  TenantGate
		address AddressGate
		pending int
		want    Condition
	}{
		"nothing to do":                      {of(Idle), free, open, 0, Condition{State: Idle}},
		"nothing to do, token refused":       {of(Idle), refused, shut, 0, Condition{State: Idle}},
		"nothing to do, tenant paused":       {of(Idle), pausedTenant, shut, 0, Condition{State: Paused, Since: in(-7), Until: in(7), By: "ana"}},
		"keys come in":                       {gathering, free, open, 3, gathering.Condition},
		"keys come in, limits reached":       {gathering, blocked, shut, 3, gathering.Condition},
		"keys come in, token refused":        {gathering, refused, open, 3, Condition{State: TokenRefused, Since: in(-9), Until: in(9), Reason: "unauthorized"}},
		"due":                                {asked, free, open, 3, Condition{State: Waiting, WaitsFor: ForTurn, Since: in(-1)}},
		"due, six others":                    {asked, TenantGate{Waiting: 7}, open, 3, Condition{State: Waiting, WaitsFor: ForTurn, Since: in(-1), Behind: 6}},
		"due, others have tenants before":    {asked, TenantGate{Waiting: 1}, AddressGate{Waiting: 4}, 3, Condition{State: Waiting, WaitsFor: ForTurn, Since: in(-1), Behind: 3}},
		"due, the organisation's limit":      {asked, blocked, shut, 3, Condition{State: Waiting, WaitsFor: ForTenantLimit, Since: in(-1), Until: in(30)}},
		"due, the address's limit":           {asked, free, shut, 3, Condition{State: Waiting, WaitsFor: ForAddressLimit, Since: in(-1), Until: in(20)}},
		"due, the address's limit, told it":  {asked, TenantGate{Blocked: in(30), ByAddress: true}, shut, 3, Condition{State: Waiting, WaitsFor: ForAddressLimit, Since: in(-1), Until: in(30)}},
		"due, a limit that is over":          {asked, TenantGate{Blocked: now}, AddressGate{Blocked: now}, 3, Condition{State: Waiting, WaitsFor: ForTurn, Since: in(-1)}},
		"due again, the address's limit":     {again, free, shut, 3, Condition{State: Repeating, Attempts: 3, Until: in(20), Reason: "timeout"}},
		"under way, token refused meanwhile": {of(Calling), refused, open, 3, Condition{State: Calling}},
		"under way, tenant paused meanwhile": {of(Calling), pausedTenant, open, 3, Condition{State: Calling}},
		"reading":                            {of(Reading), refused, shut, 0, Condition{State: Reading}},
		"parked":                             {parked, blocked, shut, 3, parked.Condition},
		"parked, all keys gone":              {parked, free, open, 0, parked.Condition},
		"parked, token refused":              {parked, refused, open, 3, Condition{State: Parked, Since: in(-60), Until: in(9), Also: TokenRefused, AlsoSince: in(-9)}},
		"parked, token refused, no keys":     {parked, refused, open, 0, parked.Condition},
		"parked, tenant paused":              {parked, pausedTenant, open, 3, Condition{State: Parked, Since: in(-60), Until: in(7), By: "ana", Also: Paused, AlsoSince: in(-7)}},
		"parked and paused, tenant paused":   {both, pausedTenant, open, 3, both.Condition},
		"paused, token refused":              {of(Paused), refused, open, 3, Condition{State: Paused, Also: TokenRefused, AlsoSince: in(-9)}},
		"tenant paused, token refused":       {gathering, pausedTenant, open, 3, Condition{State: Paused, Since: in(-7), Until: in(7), By: "ana", Also: TokenRefused, AlsoSince: in(-9)}},
		"delivery is switched off":           {gathering, off, open, 3, Condition{State: Held}},
		"delivery is off, nothing to do":     {of(Idle), off, open, 0, Condition{State: Idle}},
		"delivery is off, parked":            {parked, off, open, 3, Condition{State: Parked, Since: in(-60), Also: Held}},
		"delivery is off, tenant paused":     {asked, pausedAndOff, open, 3, Condition{State: Paused, Since: in(-7)}},
		"paused itself and its tenant":       {of(Paused), pausedTenant, open, 0, Condition{State: Paused}},
	} {
		if got := Resolve(c.phase, c.tenant, c.address, c.pending, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
}

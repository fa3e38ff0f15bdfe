package status

import (
	"fmt"
	"time"
)

// Freshness is how soon keys reach Split.
type Freshness struct {
	Keys   float64       // that were delivered in the time that was looked at; 0: nothing is known
	Share  float64       // of them that took no longer than Within, from 0 to 1
	Within time.Duration // 0: nothing is known
}

// fresh is what a verdict says of it; "": nothing.
func (f Freshness) sentence() string {
	if f.Keys == 0 || f.Within == 0 {
		return ""
	}
	return fmt.Sprintf("%s %% of keys fresh within %s", Percent(f.Share), Span(f.Within))
}

// Percent has one decimal, and 100 for all alone: 99.96 is 99.9.
func Percent(share float64) string {
	tenths := int(share * 1000)
	if tenths%10 == 0 {
		return fmt.Sprintf("%d", tenths/10)
	}
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}

// Backlog is how what is pending comes and goes.
type Backlog struct {
	Pending          int
	Taken, Delivered float64       // keys a second
	Waits            map[Wait]int  // segments that wait, by what for
	States           map[State]int // segments in each state
}

// longestForecast is how far a forecast goes: nobody knows more than a day.
const longestForecast = 24 * time.Hour

// BacklogSentence says when nothing will be pending any more, and what that depends on. It
// ends in a full stop.
func BacklogSentence(b Backlog) string {
	if b.Pending == 0 {
		return "Nothing is pending."
	}
	limit := ""
	if what := b.limit(); what != "" {
		limit = " (limit: " + what + ")"
	}
	net := b.Delivered - b.Taken
	empty := time.Duration(float64(b.Pending) / net * float64(time.Second))
	switch {
	case b.Delivered == 0:
		return "Nothing is being delivered" + limit + "."
	case net <= 0 && limit == "":
		return "As many keys come as go."
	case net <= 0:
		return "It does not shrink: more keys come than go" + limit + "."
	case empty > longestForecast || empty < 0:
		return "Empty in more than a day" + limit + "."
	}
	return "Empty in about " + Span(empty) + limit + "."
}

// limit is what keeps most segments from calling; "": nothing does.
func (b Backlog) limit() string {
	most, what := 0, ""
	for _, c := range []struct {
		segments int
		what     string
	}{
		{b.Waits[ForAddressLimit], "address"}, {b.Waits[ForTenantLimit], "organisation"}, {b.States[TokenRefused], "tokens refused"},
		{b.States[Parked], "parked segments"}, {b.States[Paused], "paused"}, {b.States[Held], "delivery is switched off"}, {b.States[Repeating], "failing calls"}, {b.Waits[ForTurn], "turns"},
	} {
		if c.segments > most {
			most, what = c.segments, c.what
		}
	}
	return what
}

// BudgetTitle is whose limit it is.
func BudgetTitle(b Budget) string {
	if b.Tenant == "" {
		return "The relay's address"
	}
	return Title(b.Tenant, b.Name)
}

// BudgetSentence says what is left of a limit, and who waits for it. It ends in a full
// stop.
func BudgetSentence(b Budget, now time.Time) string {
	said := "Split has told no limit yet"
	switch {
	case b.Blocked.After(now):
		said = "used up" + until(b.Blocked, now)
	case b.Known && b.Reset.After(now):
		said = fmt.Sprintf("%s calls left, reset in %s", Number(int(b.Remaining)), Span(b.Reset.Sub(now)))
	case b.Known:
		said = "a new period has begun"
	}
	if b.Waiting > 0 {
		what := "segment"
		if b.Tenant == "" {
			what = "tenant"
		}
		said += "; " + Count(b.Waiting, what) + " waiting"
	}
	return capital(said) + "."
}

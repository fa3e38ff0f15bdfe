package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Sentence says a condition in words: what is the matter, since when, and what comes
// next. It ends in a full stop. Clock times are in UTC.
func Sentence(c Condition, n Counts, now time.Time) string {
	said := sentence(c, pending(n), now)
	if n.Parked > 0 {
		said += fmt.Sprintf(" %s parked, for an operator to retry or discard.", are(keys(n.Parked), n.Parked))
	}
	return said
}

func sentence(c Condition, kept string, now time.Time) string {
	switch c.State {
	case TokenRefused:
		return fmt.Sprintf("Split refuses the token%s%s: %s kept%s.", since(c.Since, now), inBrackets(c.Reason), kept, then("the token is tried again", c.Until, now))
	case Parked:
		return parkedSentence(c, kept, now)
	case Paused:
		return pausedSentence(c, kept, now)
	case Held:
		return fmt.Sprintf("%s: %s kept.", deliveryOff, kept)
	case Repeating:
		return fmt.Sprintf("%s failed%s: %s kept%s.", attempts(c.Attempts), inBrackets(c.Reason), kept, then("the next one is made", c.Until, now))
	case Waiting:
		return fmt.Sprintf("%s waiting%s.", capital(kept), waitsFor(c, now))
	case Calling:
		return fmt.Sprintf("A call to Split is under way%s: %s pending.", since(c.Since, now), kept)
	case Reading:
		return fmt.Sprintf("The journal is being read%s: %s pending.", since(c.Since, now), kept)
	case Gathering:
		return fmt.Sprintf("%s gathering%s.", capital(kept), then("the call is made", c.Until, now))
	}
	return "No key is pending."
}

// deliveryOff is what a relay says of itself that was told to make no calls.
const deliveryOff = "Delivery is switched off in the configuration"

// pending is the subject of most sentences, with its verb.
func pending(n Counts) string {
	text := keys(n.Pending)
	if n.More {
		text = "at least " + text
	}
	return are(text, n.Pending)
}

func are(text string, n int) string {
	if n == 1 {
		return text + " is"
	}
	return text + " are"
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return Number(n) + " keys"
}

func waitsFor(c Condition, now time.Time) string {
	switch c.WaitsFor {
	case ForTenantLimit:
		return " for the limit of the tenant's organisation" + until(c.Until, now)
	case ForAddressLimit:
		return " for the limit of the relay's address" + until(c.Until, now) + "; all tenants share it"
	case ForInterval:
		return " for the interval" + then("the call is made", c.Until, now)
	}
	switch c.Behind {
	case 0:
		return " for a call, and next"
	case 1:
		return " for a call, behind 1 other"
	}
	return fmt.Sprintf(" for a call, behind %s others", Number(c.Behind))
}

func attempts(n int) string {
	switch n {
	case 0, 1:
		return "The last call"
	}
	return "The last " + Number(n) + " attempts"
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func pauseEnd(at, now time.Time) string {
	if at.IsZero() {
		return " until somebody resumes it"
	}
	return until(at, now)
}

// Answer is what Split answered, in short: the reason, the status of HTTP, and its own id
// of the call, as far as they are known.
func Answer(reason string, status int, transaction string) string {
	if status != 0 {
		reason += fmt.Sprintf(", status %d", status)
	}
	if transaction != "" {
		reason += ", transaction " + transaction
	}
	return reason
}

func inBrackets(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func since(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf(" since %s (%s)", Clock(at, now), Span(now.Sub(at)))
}

func until(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf(" until %s (%s)", Clock(at, now), away(at, now))
}

// then is what comes next, and when.
func then(what string, at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf("; %s at %s (%s)", what, Clock(at, now), away(at, now))
}

func away(at, now time.Time) string {
	if !at.After(now) {
		return "now"
	}
	return "in " + Span(at.Sub(now))
}

// Clock is a time of day in UTC, with its date where that is not today's.
func Clock(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04:05")
}

// Span is a length of time, rounded down: 9 s, 12 min, 1 h 59 min, 2 d.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		hours := fmt.Sprintf("%d h", d/time.Hour)
		if minutes := d % time.Hour / time.Minute; minutes > 0 {
			hours += fmt.Sprintf(" %d min", minutes)
		}
		return hours
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// Number has a comma between thousands.
func Number(n int) string {
	digits := strconv.Itoa(n)
	sign := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(digits, "-")
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if sign {
		return "-" + digits
	}
	return digits
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

package api

import "slices"

// Cause says why a request was refused, to those who run the relay. It is a metric's
// label, and the log has one line for it.
type Cause string

// The causes, in the order of the way of a post.
const (
	CauseHeaders     Cause = "headers"        // its headers were not whole, in time, within their limit, or no HTTP
	CausePath        Cause = "path"           // 404
	CauseMethod      Cause = "method"         // 405
	CauseToken       Cause = "token"          // 401
	CauseLetGo       Cause = "let_go"         // its connection was let go for another; nobody got the 503
	CauseStopping    Cause = "stopping"       // 503
	CauseDisk        Cause = "disk"           // 503: the journal's disk is nearly full
	CauseJournal     Cause = "journal_moved"  // 503: the journal's directory is not where it was
	CauseDatabase    Cause = "database"       // 503: the journal's database does not answer
	CauseStall       Cause = "stall"          // 503: the process stood still a moment ago
	CauseMemory      Cause = "memory"         // 503: memory is nearly full
	CauseOther       Cause = "other"          // 503: Refuse or Admit said so, and CauseOf did not know why
	CauseRequests    Cause = "in_flight"      // 503: MaxRequestsInFlight
	CauseBytes       Cause = "bytes"          // 503: MaxBytesInFlight
	CauseTooLarge    Cause = "body_too_large" // 413: MaxBodyBytes
	CauseTooMany     Cause = "too_many_keys"  // 413: MaxKeysPerPost
	CauseSlow        Cause = "slow_body"      // 408
	CauseCut         Cause = "cut_body"       // 400, which mostly nobody got
	CauseBody        Cause = "body"           // 400: no JSON object
	CauseField       Cause = "field"          // 400: a field is missing or impossible
	CauseUnconfirmed Cause = "unconfirmed"    // 503: not known whether the change is durable
	CauseNoAnswer    Cause = "no_answer"      // 503: the same, as AnswerTimeout was over
	CauseNoView      Cause = "no_view"        // 503 for /cache
	CauseBug         Cause = "bug"            // 500: a panic
)

// causeWords are the log's words for each cause.
var causeWords = map[Cause]string{
	CauseHeaders:     "requests broke off before a handler had them: headers that were not whole within 5 s, over 16 KiB, or no HTTP",
	CausePath:        "requests are refused: there is nothing at their path; posts belong to /audiences",
	CauseMethod:      "requests are refused: /audiences takes POST alone",
	CauseToken:       "requests are refused: their Authorization is not the authToken",
	CauseLetGo:       "posts were given up: their connections were let go for others; see audiences_connections_closed_total",
	CauseStopping:    "posts are refused: the relay is stopping",
	CauseDisk:        "posts are refused: the journal's disk is nearly full",
	CauseJournal:     "posts are refused: the journal's directory was moved, removed or replaced",
	CauseDatabase:    "posts are refused: the journal's database does not answer",
	CauseStall:       "posts are refused for a moment: the process stood still, and what arrived meanwhile may be out of date",
	CauseMemory:      "posts are refused: memory is nearly full",
	CauseOther:       "posts are refused: the relay takes no changes now",
	CauseRequests:    "posts are refused: as many are under way as maxRequestsInFlight allows",
	CauseBytes:       "posts are refused: those under way hold as many bytes as maxBytesInFlight allows",
	CauseTooLarge:    "posts are refused: their bodies are larger than maxBodyBytes",
	CauseTooMany:     "posts are refused: they have more different keys than maxKeysPerPost",
	CauseSlow:        "posts are refused: their bodies did not arrive in time",
	CauseCut:         "posts are refused: their bodies were cut off",
	CauseBody:        "posts are refused: their bodies are not the JSON object that they should be",
	CauseField:       "posts are refused: a field is missing or impossible",
	CauseUnconfirmed: "posts were told that their outcome is unknown: the journal or an actor failed",
	CauseNoAnswer:    "posts were told that their outcome is unknown: the journal did not confirm them in time",
	CauseNoView:      "requests for /cache are refused: the segments could not be listed in time",
	CauseBug:         "BUG: requests' handling panicked",
}

// Causes lists all causes by name.
func Causes() (all []Cause) {
	for cause := range causeWords {
		all = append(all, cause)
	}
	slices.Sort(all)
	return all
}

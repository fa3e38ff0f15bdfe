package splitclient

import "slices"

// The reasons. They have no prefix, so that callers read splitclient.NotFound.
const (
	// OK: Split answered 200, 201 or 204, and its body does not say otherwise; the
	// keys are in (or out of) the segment.
	OK Reason = "delivered"

	// ThrottledIP: the limit of our egress address is used up, and perhaps the
	// organisation's too: it concerns every tenant for Outcome.DelayIP.
	ThrottledIP Reason = "throttled_ip"
	// ThrottledOrg: the limit of the tenant's organisation is used up.
	ThrottledOrg Reason = "throttled_org"
	// ThrottledUnsaid: a 429 that does not tell whose limit is used up. Treat it
	// as the tenant's alone: one tenant's answer must not slow the others on a
	// guess (I6), and if it was the address after all, their own next calls say so.
	ThrottledUnsaid Reason = "throttled"

	// ServerError: any 5xx.
	ServerError Reason = "server_error"
	// RequestTimeout: 408, Split gave up reading the call.
	RequestTimeout Reason = "request_timeout"
	// Conflict: 409, something else is changing this segment.
	Conflict Reason = "conflict"
	// Redirected: a 3xx. Split's API never redirects, so the base URL is wrong or
	// a proxy wants something. Redirects are not followed: they would carry the
	// token to a place nobody configured.
	Redirected Reason = "redirected"
	// Unconfirmed: a 2xx that does not say that the call was carried out: a status
	// that Split does not document (202, 206, ...), or a body that speaks of an error.
	Unconfirmed Reason = "unconfirmed"
	// UnexpectedAnswer: what answered is not Split: markup or text where Split
	// speaks JSON (a captive portal, a firewall's page), half a body, a refusal that
	// calls itself a success, or a status that no API gives.
	UnexpectedAnswer Reason = "unexpected_answer"
	// Timeout: no whole answer within Options.Timeout.
	Timeout Reason = "timeout"
	// Cancelled: the caller's context ended before the answer came (drain).
	Cancelled Reason = "cancelled"
	// ConnectionLost: the connection broke while the call was under way.
	ConnectionLost Reason = "connection_lost"
	// Unreachable: no connection: refused, no route, or a proxy that would not.
	Unreachable Reason = "unreachable"
	// EgressRefused: 407 or 511, also of a proxy that is asked for a connection: a
	// proxy or portal on our way out wants a login. It concerns the relay's network
	// and no tenant's token.
	EgressRefused Reason = "egress_refused"
	// NameNotResolved: the DNS has no address for Split's host, or no answer.
	NameNotResolved Reason = "dns_failure"
	// TLSFailure: no trustworthy TLS connection: an unknown CA, a wrong or expired
	// certificate, no common version. The token was not sent.
	TLSFailure Reason = "tls_failure"

	// BadRequest: 400 with words: something in this body.
	BadRequest Reason = "bad_request"
	// EmptyBadRequest: 400 without a word. Split answers so where a workspace
	// demands title and comment and a call lacks them. Ours always has both, so it
	// may as well be a key: halving tells which, when both halves fail alike.
	EmptyBadRequest Reason = "empty_bad_request"
	// TooLarge: 413: the body, not a key, is at fault; half of it may pass.
	TooLarge Reason = "too_large"
	// Unprocessable: 422: something in this body.
	Unprocessable Reason = "unprocessable"
	// SegmentFull: the segment would pass its limit of members (100,000; Split
	// docs: segments). Deletes for the same segment can still succeed.
	SegmentFull Reason = "segment_full"
	// Unauthorized: 401, the token is bad or revoked.
	Unauthorized Reason = "unauthorized"
	// Forbidden: 403, the token lacks a right in this environment.
	Forbidden Reason = "forbidden"
	// ApprovalsRequired: 403, the environment takes changes only through approvals.
	ApprovalsRequired Reason = "approvals_required"
	// NotFound: 404, no such segment, or one that is not active in the environment
	// yet. Activation is eventually consistent: the caller grants it some grace.
	NotFound Reason = "not_found"
	// Refused: a 4xx that Split does not document.
	Refused Reason = "refused"
	// InvalidCall: a fault of ours (no keys, over MaxKeys, no token, no verb, a
	// path that could mean another): nothing was sent (I5).
	InvalidCall Reason = "invalid_call"
)

var reasons = []Reason{
	OK,
	ThrottledIP, ThrottledOrg, ThrottledUnsaid,
	ServerError, RequestTimeout, Conflict, Redirected, Unconfirmed, UnexpectedAnswer,
	Timeout, Cancelled, ConnectionLost, Unreachable, EgressRefused, NameNotResolved, TLSFailure,
	BadRequest, EmptyBadRequest, TooLarge, Unprocessable, SegmentFull,
	Unauthorized, Forbidden, ApprovalsRequired, NotFound, Refused, InvalidCall,
}

// Reasons lists every reason there is, in the order of the documentation.
func Reasons() []Reason { return slices.Clone(reasons) }

// Package sandbox is a look-alike of the part of Split's Admin API that the
// relay uses (Split docs: Admin API, segments). It holds segments in memory,
// keeps Split's limits, misbehaves on command and judges its caller: what a
// polite and correct relay never does is recorded as a [Violation].
//
// [New] makes an http.Handler. [Start] serves it on loopback for the command
// `audiences sandbox` and for tests that run the built binary; [Split.Pipe]
// serves it over net.Pipe for tests in virtual time. It knows no clock but
// package time, so it works in a testing/synctest bubble.
//
// Served under /internal/api/v2, with Bearer or x-api-key as Split wants them:
//
//	PUT    /segments/{environment}/{segment}/uploadKeys?replace=false
//	PUT    /segments/{environment}/{segment}/removeKeys
//	GET    /segments/{environment}/{segment}/keys?limit=100&offset=0
//	POST   /segments/ws/{workspace}/trafficTypes/{trafficType}   create
//	POST   /segments/{environment}/{segment}                     activate
//	DELETE /segments/ws/{workspace}/{segment}
//
// Unless Options.Strict is set, a segment exists and is active from the first
// call that names it. Segments belong to an organisation; every token is an
// organisation of its own until it is assigned to another's, and within an
// organisation segment names are unique (Split: within a workspace).
//
// The control API needs no token, so serve it on loopback only. Durations are
// seconds, decimals allowed. With A=http://127.0.0.1:PORT :
//
//	curl $A/sandbox/                                       a page for people, with switches for the faults
//	curl $A/sandbox/state                                  sizes, counts, faults, violations
//	curl $A/sandbox/calls                                  the latest calls, oldest first
//	curl $A/sandbox/segments/ENV/SEGMENT                   all keys; ?organisation=NAME where two have it
//	curl $A/sandbox/faults -d '{"kind":"throttle","scope":"ip","resetSeconds":2.5,"count":3}'
//	curl $A/sandbox/faults -d '{"kind":"hang","token":"TOKEN","forSeconds":30}'
//	curl $A/sandbox/faults -d '{"kind":"raw","mediaType":"text/plain","body":"log in first"}'
//	curl $A/sandbox/faults -d '{"kind":"headers","headers":{"X-RateLimit-Remaining-IP":"0"}}'
//	curl -X DELETE $A/sandbox/faults                       all of them; or /sandbox/faults/ID
//	curl $A/sandbox/limits -d '{"org":{"calls":10,"windowSeconds":1},"headersOnSuccess":true}'
//	curl $A/sandbox/organisations -d '{"token":"NEW TOKEN","sameAs":"OLD TOKEN"}'
//	curl -X POST $A/sandbox/reset                          as it was when it started
//
// [Kind] lists the faults, [Rule] their fields. Where Split's exact answer is
// not documented, the constant that holds our guess says so.
package sandbox

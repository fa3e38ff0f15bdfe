// Package splitclient makes the two calls to Split that the relay needs,
// uploadKeys and removeKeys, and says of each what became of it.
//
// It is the edge where everything is classified once: a status code, a header,
// a body, a broken connection go into one table (table.go) and come out as one
// [Outcome]. Nothing above this package looks at a status code, and nothing in
// this package retries, waits or remembers: pacing and repetition belong to the
// caller, who alone knows what else is waiting.
//
// The files: client.go makes a call, request.go writes it, transport.go holds
// the connections, answer.go reads what came back, speech.go what its body says of
// success, limits.go its rate headers, waits.go how long they ask to wait,
// failure.go tells why nothing came back, table.go decides, reason.go names the
// results, metrics.go counts them.
package splitclient

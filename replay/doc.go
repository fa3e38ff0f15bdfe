// Package replay posts recorded requests of the lambda to a server once more, in their
// order for each segment, and compares its answers with those of another server. It is how
// a relay is fed and looked at before it takes the place of the server before it.
//
// record.go reads the file, run.go posts it, server.go is one of the servers, and
// report.go is what came of it.
package replay

// Command bench measures the relay as a whole process beside a bare ceiling: an
// Echo server with the same certificate that decodes the same body and answers.
// What the relay has less than that is what it adds: the actors, the journal's
// fsync and the deliveries. Both run in turns on the same machine, so the ratio
// holds where the machine is shared and its speed drifts; single figures do not.
//
//	go run ./test/bench                 everything, about a quarter of an hour; -write puts the tables into docs/
//	go run ./test/bench -quick          under two minutes; generous limits, for CI
//	go run ./test/bench -only intake    one scenario; -h lists them
//	go run ./test/bench soak -for 30m   5,000 requests a second with faults on
//
// Relay, ceiling and the Split look-alike are processes of their own, whose
// processor time and memory are read from /proc (Linux only); the load comes out
// of this process. Every answer is checked, and after each scenario every accepted
// key is looked for in the look-alike.
//
// intake.go, stages.go, post.go, growth.go, outage.go, restart.go and soak.go are
// the scenarios. client.go has a connection, load.go the closed and the open loop,
// turns.go what is measured in turns, ledger.go what must have arrived; house.go
// and child.go have the processes, ceiling.go, durable.go and split.go those of our
// own; report.go and plot.go make what comes out. BENCH_PROFILES names a directory
// for the CPU profiles that stages are told from.
package main

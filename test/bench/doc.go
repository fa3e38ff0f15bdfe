// Command bench measures the relay as a whole process beside other servers with the
// same certificate: bare Echo, which decodes the same body and answers; bare Echo
// with a log; and a lean durable server, which shows what a 200 behind an fsync can
// cost at least. All run in turns on the same machine, so the ratios hold where the
// machine is shared and its speed drifts; single figures do not. Each figure comes
// with its spread, each part with the load average and with what others took of the
// processors.
//
//	go run ./test/bench                 everything, about half an hour
//	go run ./test/bench -write          the same, and puts the tables into docs/, unless the machine is not quiet
//	go run ./test/bench -quick          under three minutes; counts, states and generous ratios, for CI
//	go run ./test/bench -only intake    one scenario; -h lists them
//	go run ./test/bench soak -for 30m   5,000 requests a second with faults on
//	go run ./test/bench load HOST:PORT  of relays on other machines; -h tells more
//
// Relay, references and the Split look-alike are processes of their own, whose
// processor time and memory are read from /proc (Linux only); the load comes out
// of this process. Every answer is checked, and after each scenario every accepted
// key is looked for in the look-alike.
//
// intake.go, lone.go, stages.go, post.go, growth.go, outage.go, sizes.go, restart.go,
// cluster.go, elsewhere.go and soak.go are the scenarios. client.go has a connection, load.go the closed and
// the open loop, turns.go what is measured in turns, ledger.go what must have
// arrived; house.go has the processes, ceiling.go, durable.go, lean.go and split.go
// those of our own, and package harness what tests need as well; quiet.go tells whether the machine is quiet;
// report.go and plot.go make what comes out. BENCH_PROFILES names a directory for
// the CPU profiles that stages are told from.
package main

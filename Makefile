# The everyday commands. They need Go; `make e2e` installs the rest by itself.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

N      ?= 10000  # histories of make model
ROUNDS ?= 50     # kills of make crash
SEED   ?= 0      # of make crash; 0: another one each time
EXECS  ?= 200000 # executions of each target of make fuzz
FOR    ?= 30m    # how long make soak lasts
COUNT  ?= 250    # mutants of make mutants
SHARD  ?= 1/1    # which part of them
KILLS  ?= 50     # of make cluster
AWAY   ?= 60s    # how long make cluster takes the database away
MIB    ?= 64,128,512 # sizes of the volumes of make volumes

# What the binary says of itself; a checkout without tags has its commit for a version.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
REVISION ?= $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)

# Run at a pinned version instead of being a dependency of the relay.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# All files are looked at, whatever build tag they have.
TAGS := e2e,profiling

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## try it: relay, Split look-alike and traffic in one process
	go run . sandbox --scenario healthy

.PHONY: build
build: ## the binary, as it is in the image: ./audiences
	CGO_ENABLED=0 go build -trimpath -pgo=audiences.pgo -ldflags "$(LDFLAGS)" -o audiences .

.PHONY: image
image: ## the container image, with its version: audiences:latest
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t audiences .

# Of a release: the tag without its v, and when its commit was made.
RELEASE = $(patsubst v%,%,$(VERSION))
TIME    ?= $(shell git log -1 --format=%ct)

.PHONY: release
release: ## archives, packages, bill of materials, sums and what the image is made of: dist/; nothing is published
	rm -rf dist
	deploy/release/build "$(RELEASE)" "$(REVISION)" "$(TIME)" dist

.PHONY: release-check
release-check: release ## all of that once more in another directory, and the bytes compared: minutes
	@elsewhere=$$(mktemp -d) && trap 'rm -rf "$$elsewhere"' EXIT && \
	git archive HEAD | tar -x -C "$$elsewhere" && \
	"$$elsewhere/deploy/release/build" "$(RELEASE)" "$(REVISION)" "$(TIME)" "$$elsewhere/dist" && \
	diff -r dist "$$elsewhere/dist" && echo "both builds have the same bytes" && cat dist/SHA256SUMS

.PHONY: test
test: ## all tests but those of e2e, with the race detector: minutes
	go test -race -timeout 20m ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [[ -z $$unformatted ]] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	go vet -tags $(TAGS) ./...
	go run $(STATICCHECK) -tags $(TAGS) ./...

.PHONY: model
model: ## random histories through the real actors, compared with a model: N=10000
	go test ./actors -run '^TestModel' -rapid.checks=$(strip $(N)) -timeout 2h -count=1

.PHONY: crash
crash: ## kill -9 the binary at random moments under load: ROUNDS=50 SEED=0
	go test ./test -run '^TestCrash$$' -crash.rounds=$(strip $(ROUNDS)) -crash.seed=$(strip $(SEED)) -timeout 1h -count=1 -v

.PHONY: powerloss
powerloss: ## power losses while the journal's log is written, six times as many as in make test
	go test -race ./journal/embedded -run '^TestPowerLoss' -powerloss.seeds=50 -timeout 1h -count=1

.PHONY: fuzz
# A number of executions, not a time: where a time is up, the go command's fuzzer
# now and then fails with "context deadline exceeded" and nothing found.
fuzz: ## every fuzz target, so many executions: EXECS=200000
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|^(.*)/[^/]+:func (.*)$$|\1 \2|' | sort | \
	while read -r package target; do \
	  echo "$$package $$target"; \
	  go test "$$package" -run '^$$' -fuzz "^$$target$$" -fuzztime $(strip $(EXECS))x -fuzzminimizetime 100x; \
	done

.PHONY: bench
bench: ## relay beside other servers, and all targets; writes docs/performance.md if the machine is quiet: half an hour
	go run ./test/bench -write

.PHONY: bench-quick
bench-quick: ## a short form of it, which fails only on what no busy machine explains
	go run ./test/bench -quick

.PHONY: bench-parts
bench-parts: ## the benchmarks of single packages, with memory: minutes
	go test ./... -run '^$$' -bench . -benchmem

.PHONY: profile
profile: ## take the profile anew by which the binary is optimised, audiences.pgo: minutes, on a quiet machine
	profiles=$$(mktemp -d) && BENCH_PROFILES=$$profiles go run ./test/bench -only stages -each 8s && \
	go tool pprof -proto $$profiles/*.pb.gz > audiences.pgo && rm -r $$profiles

.PHONY: soak
soak: ## 5,000 posts a second while Split misbehaves now and then: FOR=30m
	go run ./test/bench soak -for $(strip $(FOR))

.PHONY: overload
overload: ## a minute of ten times what the relay can take
	go test ./test -run '^TestOverload$$' -overload.for=1m -timeout 10m -count=1 -v

.PHONY: unread
unread: ## a minute of posts while the reader of the log stalls, and has gone
	go test ./test -run '^Test(Stalled|Closed)Log$$' -log.for=1m -timeout 10m -count=1 -v

.PHONY: memory
memory: ## 10,000,000 pending keys, restart, delivery: time and memory
	go test ./test -run '^TestBoundedMemory$$' -memory.keys=10000000 -timeout 1h -count=1 -v

.PHONY: volumes
volumes: ## small volumes filled, drained and killed at thirty moments each; as root: MIB=64,128,512
	go test -tags e2e ./test -run '^TestVolumes$$' -volumes.mib=$(strip $(MIB)) -volumes.kills=10 -timeout 2h -count=1 -v

.PHONY: strangers
strangers: ## 5,000 idle and 1,000 handshaking strangers beside healthy callers: p99, memory, files; each beside the same without
	go test ./test -run '^TestStrangersBesideCallers$$' -strangers.idle=5000 -strangers.handshaking=1000 -strangers.for=20s -timeout 30m -count=1 -v

.PHONY: footprint
footprint: ## 1,000,000 segments with nothing to do: memory of each
	go test ./actors -run '^TestFootprint$$' -footprint.segments=1000000 -timeout 1h -count=1 -v

.PHONY: mutants
mutants: ## break COUNT=250 lines one by one, and see whether the tests notice; goes on where it stopped; SHARD=1/4
	go run ./test/mutants -count $(strip $(COUNT)) -shard $(strip $(SHARD))

.PHONY: bench-neighbour
bench-neighbour: ## what noisy tenants cost the healthy ones, in virtual time
	go test ./actors -run 'TestNoisyNeighbour|TestUnproven$$' -v -count=1

.PHONY: unproven
unproven: ## 200,000 tenants that were made up, beside healthy ones: an hour
	go test ./actors -run '^$$' -bench Turn -count=1
	go test ./actors -run 'TestUnprovenAfterRestart|TestUnprovenCostLittle' -unproven=200000 -v -count=1 -timeout 1h
	go test ./test -run '^TestUnprovenTenants$$' -unproven=200000 -unproven.for=1m -v -count=1 -timeout 1h

.PHONY: e2e
e2e: ## the container and the lambda's own client; as root, installs docker.io, docker-compose, nodejs, npm, openssl, prometheus, chromium, postgresql and a JRE
	./test/e2e/install
	go test -tags e2e ./sandbox/postgres ./journal/postgres ./journal/mover -count=1 -p 1 -timeout 20m -v
	go test -tags e2e ./test/cluster -count=1 -parallel 2 -timeout 20m -v
	cd test/e2e/kubernetes && go test ./... -count=1 -timeout 20m -v
	go test -tags e2e ./test/e2e -count=1 -timeout 40m -v
	go test -tags e2e ./test -run '^(TestVolumes|TestMountedOver)$$' -count=1 -timeout 20m -v

.PHONY: cluster
cluster: ## several nodes on a PostgreSQL, in the long form, with a lease of 3 s: KILLS=50 AWAY=60s; as root, on a quiet machine
	./test/e2e/install
	go test -tags e2e ./test/cluster -cluster.lease=3s -cluster.rate=1000 -cluster.kills=$(strip $(KILLS)) -cluster.away=$(strip $(AWAY)) -cluster.budget=2m -cluster.every=15s -cluster.stop=30s -cluster.keys=10000000 -parallel 1 -count=1 -timeout 2h -v
	go test -tags e2e ./journal/postgres -model.time=5m -run '^TestModel$$' -count=1 -timeout 1h -v
	go test -tags e2e ./journal/postgres -held.for=10m -run '^TestPagesOfAHeldSnapshot$$' -count=1 -timeout 1h -v
	go run ./test/bench -only cluster

.PHONY: pictures
pictures: ## the pictures of the operator's page, docs/pictures; as root
	./test/e2e/install
	go test -tags e2e ./test/e2e -run '^TestPageLooks$$' -pictures ../../docs/pictures -count=1 -timeout 20m

.PHONY: containers
containers: ## 10,000,000 pending keys under memory limits of 64 to 256 MiB, killed and started again; as root
	go test -tags e2e ./test/e2e -run '^TestMemoryLimit' -memory.keys=10000000 -memory.limits=64,96,128,256 -count=1 -timeout 2h -v

.PHONY: clean
clean: ## what make build and the test runs left here
	rm -rf dist
	rm -f audiences *.test *.prof *.out
	rm -rf audiences-journal test/e2e/axios/node_modules

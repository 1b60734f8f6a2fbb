# The project's commands. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build lint unit integration test demo bench bench-long bench-keep bench-build clean

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
FOREBAY_CACHE := $(or $(FOREBAY_CACHE),$(shell scripts/cache-dir))
PGRX_HOME := $(or $(PGRX_HOME),$(FOREBAY_CACHE)/pgrx)
PG_CONFIG := $(or $(PG_CONFIG),/usr/lib/postgresql/15/bin/pg_config)
export FOREBAY_CACHE PGRX_HOME PG_CONFIG
# An error of the harness is a sentence, not its way through the runtime.
export RUST_LIB_BACKTRACE := 0

# Always both, so that what they share is built once.
CRATES := -p forebay-butler -p forebay-writer -p forebay-tests
BENCH = FOREBAY_BIN=$(TARGET)/release/forebay $(TARGET)/release/forebay-bench \
    $(if $(ROWS),--rows $(ROWS)) $(if $(RUNS),--runs $(RUNS)) $(if $(SYSTEMS),--systems $(SYSTEMS)) \
    $(if $(VISITS),--visits $(VISITS)) $(if $(SIZES),--sizes $(SIZES)) \
    $(if $(BACKLOG),--backlog $(BACKLOG))
# Those that end within 45 minutes.
BENCH_SCENARIOS := plain,repeated-keys,bad-events,unchanged,changed,foreign-keys,compressed,butler,latency
# By the environment: what a command line says, all can read.
ifdef PRIMARY
export FOREBAY_BENCH_PRIMARY := $(PRIMARY)
endif
ifdef REPLICA
export FOREBAY_BENCH_REPLICA := $(REPLICA)
endif
ifdef BROKERS
export FOREBAY_BENCH_BROKERS := $(BROKERS)
endif
# Tests build them in; a release never has them.
FAILPOINTS := --features forebay-writer/failpoints

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo KEEP=1            leave the demo's servers running until Ctrl-C"
	@echo "  make bench ROWS=100000      a smaller benchmark (default: 1000000)"
	@echo "  make bench SCENARIOS=plain,my/scenario.toml RUNS=1 SYSTEMS=copy,forebay-1"
	@echo "  make bench SCENARIOS=plain PRIMARY='host=… user=…' BROKERS=host:9092"
	@echo "  make bench SCENARIOS=butler VISITS=2"
	@echo "  make bench-long ROWS=100000 SIZES=200000,1000000 BACKLOG=500000"
	@echo "  make integration ARGS='--test harness -- --nocapture'"

setup: ## install what building, testing and showing need
	@scripts/setup

build: setup ## build the writer and the extension, for use
	cargo build --release $(CRATES) -p forebay

lint: setup ## formatting and clippy, for all crates
	cargo fmt --all --check
	cargo clippy --quiet $(CRATES) --all-targets $(FAILPOINTS) -- -D warnings
	cargo clippy --quiet $(CRATES) -- -D warnings
	cargo clippy --quiet -p forebay --features failpoints -- -D warnings
	cargo clippy --quiet -p forebay -- -D warnings

unit: setup ## the tests that need no server
	cargo test --quiet $(CRATES) $(FAILPOINTS) --lib --bins
	cargo test --quiet $(CRATES) $(FAILPOINTS) --doc

integration: setup ## the tests against a primary, a replica and a broker; ARGS= goes to cargo test
	scripts/install-extension --features failpoints
	cargo build $(CRATES) $(FAILPOINTS) --bins --tests
	FOREBAY_BIN=$(TARGET)/debug/forebay $(TARGET)/debug/forebay-stack run -- \
	    cargo test $(CRATES) $(FAILPOINTS) $(or $(ARGS),--test '*')

test: lint unit integration ## everything that must pass

demo: setup ## the whole path on a real Butler repository, shown in the terminal
	scripts/install-extension --release
	cargo build --release $(CRATES)
	FOREBAY_BIN=$(TARGET)/release/forebay $(TARGET)/release/forebay-demo $(if $(KEEP),--keep)

bench: bench-build ## speed, beside others' ways; BENCHMARKS.md says how to choose, and how to use other servers
	$(BENCH) --minutes $(or $(MINUTES),45) --scenarios $(or $(SCENARIOS),$(BENCH_SCENARIOS))

bench-long: bench-build ## growth up to 50 million rows, and a backlog of 10 million events
	$(BENCH) --minutes $(or $(MINUTES),240) --scenarios growth,backlog

bench-keep: ## copy the plots of the last runs to docs/bench, where BENCHMARKS.md shows them
	mkdir -p docs/bench
	cp target/bench/*.svg docs/bench/

bench-build:
	@scripts/setup bench
	scripts/install-extension --release
	cargo build --release $(CRATES)

clean: ## remove what was built here (not the cache folder)
	cargo clean

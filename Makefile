# The four things one does with this repository. Each works on a fresh machine.
export CARGO_BUILD_JOBS ?= $(shell nproc)
onramp := target/release/onramp

.PHONY: demo test lint bench

demo:            ## see it all: install what is missing, build, start the practice company, play a newcomer's day
	scripts/setup demo
	cargo build --release --locked
	$(onramp) playground up
	$(onramp) playground tour

test:            ## every test, the ones on a real engine included
	scripts/setup test
	$(MAKE) lint
	scripts/suite

lint:            ## formatting and lints, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

bench:           ## measure against peers; writes docs/benchmarks.md
	scripts/setup test
	cargo build --release --locked
	bench/run

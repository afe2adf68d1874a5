# The four things one does with this repository. Each works on a fresh machine.
export CARGO_BUILD_JOBS ?= $(shell nproc)
onramp := target/release/onramp
# The practice company that the tests share goes with them; the base images stay for the next run.
test_company = XDG_DATA_HOME=$(CURDIR)/target/tmp/company target/debug/onramp playground down --yes --keep-images --quiet

.PHONY: demo test lint bench

demo:            ## see it all: install what is missing, build, start the practice company, play a newcomer's day
	scripts/setup demo
	cargo build --release --locked
	$(onramp) playground up
	$(onramp) playground tour

test:            ## every test, the ones on a real engine included
	scripts/setup test
	$(MAKE) lint
	cargo test --locked --no-fail-fast; outcome=$$?; $(test_company) || true; exit $$outcome

lint:            ## formatting and lints, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

bench:           ## measure against peers; writes docs/benchmarks.md
	scripts/setup test
	cargo build --release --locked
	bench/run

# Ocelli: everything a person needs, one word each. `make help` lists it.
#
# The work is in scripts/*.sh; here are only the names. The browser part is
# built before any Rust, because the program carries web/dist inside itself.

.DEFAULT_GOAL := help
.PHONY: help run build web test test-rust test-web test-api test-e2e bench bench-tab fuzz attack soak lint fmt setup setup-test clean

# ARGS reaches the scripts through the environment, never through a command
# line that make would print or a shell would read again: camera addresses
# contain & and ?, and often a password. $(value …) keeps a $ in it as it is.
override ARGS := $(value ARGS)
export ARGS

help: ## list what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make run ARGS="rtsp://user:password@10.0.0.7/stream1 yard=http://10.0.0.8/mjpeg"   shows these cameras'
	@echo '  make bench ARGS="--seconds 2 --only 1x50"                                          a shorter benchmark'
	@echo '  make fuzz ARGS="600 wall jpeg"                                                     ten minutes each of these'

run: ## install what is missing, build, start on http://127.0.0.1:8080 (the demo, ocelli.toml, or ARGS)
	@scripts/run.sh

build: ## the release binary, target/release/ocelli
	@scripts/build.sh

web: ## the browser part, web/dist
	@scripts/web.sh

test: ## everything: formatting, lints, Rust tests, TypeScript checks, unit tests, browser tests
	@scripts/test.sh

test-rust: ## only the Rust tests (ARGS goes to cargo test)
	@scripts/test.sh rust

test-web: ## only the browser part's checks and unit tests
	@scripts/test.sh web

test-api: ## only the HTTP interface, held to its description by schemathesis
	@scripts/test.sh api

test-e2e: ## only the tests in a real browser
	@scripts/test.sh e2e

bench: ## the benchmarks, side by side with the bare loop (ARGS goes to the benchmark)
	@scripts/bench.sh

bench-tab: ## many cameras in one tab of a real browser (TAB_SECONDS, TAB_WRITE)
	@scripts/bench-tab.sh

fuzz: ## every parser that meets the network, held to rubbish (ARGS: seconds each, then targets)
	@scripts/fuzz.sh

attack: ## a hub under attack in a namespace of its own, beside a wall that has to stay live
	@scripts/attack.sh

soak: ## everything at once with faults every few seconds, 20 minutes (ARGS="--minutes 3" for fewer)
	@scripts/soak.sh

lint: ## wording, formatting, clippy, type checks, shell scripts; changes nothing
	@scripts/lint.sh

fmt: ## format the Rust sources
	@cargo fmt --all

setup: ## install what running needs
	@scripts/setup.sh run

setup-test: ## install what the tests need
	@scripts/setup.sh test

clean: ## remove what was built
	@rm -rf target web/dist web/node_modules

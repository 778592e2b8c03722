# Ocelli's commands. `make help` lists them.
#
# The targets only call scripts/*.sh. The web client is built before any Rust
# code, because the binary embeds web/dist.

.DEFAULT_GOAL := help
.PHONY: help run build web test test-full test-rust test-web test-api test-e2e bench bench-tab fuzz attack soak lint fmt setup setup-test clean

# ARGS reaches the scripts through the environment, never through a command
# line that make would print or a shell would parse again: camera addresses
# contain & and ?, and often a password. $(value …) does not expand a $ in it.
override ARGS := $(value ARGS)
export ARGS

help: ## list all targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make run ARGS="rtsp://user:password@10.0.0.7/stream1 yard=http://10.0.0.8/mjpeg"   show these cameras'
	@echo '  make bench ARGS="--seconds 2 --only 1x50"                                          a shorter benchmark'
	@echo '  make fuzz ARGS="600 wall jpeg"                                                     ten minutes for each of these targets'

run: ## install missing packages, build, start on http://127.0.0.1:8080 (the demo, ocelli.toml, or ARGS)
	@scripts/run.sh

build: ## build the release binary, target/release/ocelli
	@scripts/build.sh

web: ## build the web client, web/dist
	@scripts/web.sh

test: ## all checks: formatting, lints, Rust tests, TypeScript checks, unit tests, browser tests
	@scripts/test.sh

test-full: ## all checks, and the tests that take minutes
	@scripts/test.sh full

test-rust: ## only the Rust tests (ARGS goes to cargo test)
	@scripts/test.sh rust

test-web: ## only the checks and unit tests of the web client
	@scripts/test.sh web

test-api: ## only the HTTP API, tested against its description with schemathesis
	@scripts/test.sh api

test-e2e: ## only the tests in a real browser
	@scripts/test.sh e2e

bench: ## the benchmarks, compared with the bare loop (ARGS goes to the benchmark)
	@scripts/bench.sh

bench-tab: ## many cameras in one tab of a real browser (TAB_SECONDS, TAB_WRITE)
	@scripts/bench-tab.sh

fuzz: ## fuzz every parser of network input (ARGS: seconds each, then targets)
	@scripts/fuzz.sh

attack: ## attack a hub in a separate network namespace; the wall must stay live
	@scripts/attack.sh

soak: ## all features at once with a fault every few seconds, 20 minutes (ARGS="--minutes 3" shortens it)
	@scripts/soak.sh

lint: ## wording, formatting, clippy, type checks, shell scripts; changes nothing
	@scripts/lint.sh

fmt: ## format the Rust sources
	@cargo fmt --all

setup: ## install the packages for running
	@scripts/setup.sh run

setup-test: ## install the packages for the tests
	@scripts/setup.sh test

clean: ## remove all build output
	@rm -rf target web/dist web/node_modules

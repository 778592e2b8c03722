#!/usr/bin/env bash
# The benchmarks: the hub and the bare loop, side by side in one run.
# `ARGS="--write docs/benchmarks.md"` keeps the tables; `--help` lists the rest.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
exec "$directory/release/ocelli-bench" --hub "$directory/release/ocelli" "${args[@]}"

#!/usr/bin/env bash
# What one tab of a real Chromium paints of many cameras, how old that is, and what it
# costs. TAB_SECONDS=30 makes each case longer; TAB_WRITE=docs/benchmarks.md keeps the table.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

scripts/setup.sh test
scripts/build.sh
directory=${CARGO_TARGET_DIR:-target}
mkdir -p "$directory"
OCELLI_BIN=$(cd "$directory" && pwd)/release/ocelli
export OCELLI_BIN
if [ -n "${TAB_WRITE:-}" ]; then
    TAB_WRITE=$(realpath "$TAB_WRITE")
    export TAB_WRITE
fi
cd web
exec npx vitest run --config vitest.bench.config.ts

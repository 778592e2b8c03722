#!/usr/bin/env bash
# Measures many cameras in one tab of a real Chromium: frame rate, age of the pictures and CPU.
# TAB_SECONDS=30 lengthens each case; TAB_WRITE=docs/benchmarks.md writes the table there.
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

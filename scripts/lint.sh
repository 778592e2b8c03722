#!/usr/bin/env bash
# Runs all linters and format checks. Changes no files.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

require_rust
require_node
scripts/prose.sh --self-test
scripts/prose.sh
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
scripts/web.sh
(cd web && npm run check)
rust_lints
# No import loops, and no crate uses a crate above it.
cargo test --quiet -p ocelli-testkit --test layers --locked
if command -v shellcheck >/dev/null; then
    shellcheck -x scripts/*.sh .ci/run
else
    say "note: shellcheck is not installed; the shell scripts are only parsed."
    for script in scripts/*.sh .ci/run; do bash -n "$script"; done
fi

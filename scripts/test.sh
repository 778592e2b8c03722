#!/usr/bin/env bash
# All tests, or one part of them: `test.sh [all|rust|web|api|e2e]`. Each part has
# a heading and its time; the first failure ends it.
#
# The browser tests drive the binary that `cargo test` has just built, so the
# tree is compiled once for clippy, which only checks, and once for the tests.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

what=${1:-all}
times=()
current=
started=$SECONDS

finish() {
    local status=$?
    trap - EXIT
    if [ ${#times[@]} -gt 0 ]; then
        printf '\n'
        printf '%s\n' "${times[@]}"
    fi
    if [ "$status" -eq 0 ]; then
        printf 'all passed in %d s\n' $((SECONDS - started))
    else
        printf 'FAILED: %s (exit %d, after %d s)\n' "${current:-preparation}" "$status" $((SECONDS - started)) >&2
    fi
    exit "$status"
}
trap finish EXIT

# part HEADING COMMAND…
part() {
    current=$1
    shift
    local begun=$SECONDS
    printf '\n== %s\n' "$current"
    "$@"
    local line
    line=$(printf '%6d s  %s' $((SECONDS - begun)) "$current")
    times+=("$line")
    printf -- '-- %s: %d s\n' "$current" $((SECONDS - begun))
}

in_web() { (cd web && "$@"); }

rust_tests() {
    split_args
    # ARGS is cargo's; the tests and their children have no use for it.
    env -u ARGS -u MAKEFLAGS -u MFLAGS cargo test --workspace --locked "${args[@]}"
}

# The binary that the Rust tests drive, built already when they have just run.
e2e() {
    cargo build --locked -p ocelli
    local directory=${CARGO_TARGET_DIR:-target}
    OCELLI_BIN=$(realpath "$directory/debug/ocelli")
    export OCELLI_BIN
    in_web npm run e2e
}

require_rust
require_node
part "what the tests need" scripts/setup.sh test

case $what in
all | rust | web | api | e2e) ;;
*) fail "usage: $0 [all|rust|web|api|e2e]" ;;
esac

if [ "$what" = all ]; then
    part "Rust formatting" cargo fmt --all --check
fi
part "browser packages" scripts/web.sh modules
if [ "$what" = all ] || [ "$what" = web ]; then
    part "browser types and style" in_web npm run check
    part "browser unit tests" in_web npm test
fi
part "browser build" scripts/web.sh
if [ "$what" = all ]; then
    part "Rust lints" cargo clippy --workspace --all-targets --locked -- -D warnings
fi
if [ "$what" = all ] || [ "$what" = rust ]; then
    part "Rust tests" rust_tests
fi
if [ "$what" = all ] || [ "$what" = api ]; then
    part "the HTTP interface held to its description" scripts/schemathesis.sh
fi
if [ "$what" = all ] || [ "$what" = e2e ]; then
    part "tests in a browser" e2e
fi
current=

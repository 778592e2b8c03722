#!/usr/bin/env bash
# Runs all tests or one part of them: `test.sh [all|full|rust|web|api|e2e]`. `full` is `all`
# and the tests that take minutes. Prints a heading and the time of each part; stops
# at the first failure.
#
# The browser tests use the binary that `cargo test` has just built, so the tree is
# compiled only twice: once for clippy, which only checks, and once for the tests.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

what=${1:-all}
with_long_tests=false
if [ "$what" = full ]; then
    what=all
    with_long_tests=true
fi
times=()
log=$(mktemp)
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
        # Repeats the failures at the end, because CI shows only the end of the output.
        failures
        printf 'FAILED: %s (exit %d, after %d s)\n' "${current:-preparation}" "$status" $((SECONDS - started)) >&2
    fi
    rm -f "$log"
    exit "$status"
}
trap finish EXIT
# Without these, a run that is terminated would end as if all had passed.
trap "exit 130" INT
trap "exit 143" TERM

# Prints the lines of the failed part that name the tests and the errors.
failures() {
    sed 's/\x1b\[[0-9;]*m//g' "$log" |
        grep -aE '^test .* FAILED$|panicked at |^ *FAIL |AssertionError|^ *(Timeout|Type|Reference)?Error: |^error(\[|:)|^[^ :]+:[0-9]+: prose: ' |
        awk '!seen[$0]++' | cut -c1-240 | head -n 16 >&2 || true
}

# part HEADING COMMAND…
part() {
    current=$1
    shift
    local begun=$SECONDS
    printf '\n== %s\n' "$current"
    "$@" 2>&1 | tee "$log"
    local line
    line=$(printf '%6d s  %s' $((SECONDS - begun)) "$current")
    times+=("$line")
    printf -- '-- %s: %d s\n' "$current" $((SECONDS - begun))
}

in_web() { (cd web && "$@"); }

rust_tests() {
    split_args
    # All targets in one build, also the benchmark for the part about the cost of a frame: built
    # separately, it would compile its libraries again, with fewer features.
    [ "$what" != all ] || cargo build --workspace --all-targets --locked
    # Most tests wait for events and deadlines, so twice as many as there are processors run at
    # a time.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
    # ARGS is for cargo only, not for the tests and their child processes.
    env -u ARGS -u MAKEFLAGS -u MFLAGS cargo test --workspace --locked --no-fail-fast "${args[@]}"
}

# Tests that take minutes, or need a program that must be compiled first.
long_rust_tests() {
    env -u ARGS -u MAKEFLAGS -u MFLAGS cargo test --workspace --locked --no-fail-fast -- --ignored
}

# Sets OCELLI_BIN to the binary that the Rust tests have built. Building it separately
# would compile its libraries again, with fewer features.
binary() {
    [ "$what" = all ] || cargo build --locked -p ocelli
    local directory=${CARGO_TARGET_DIR:-target}
    OCELLI_BIN=$(realpath "$directory/debug/ocelli")
    export OCELLI_BIN
}

api() {
    binary
    scripts/schemathesis.sh
}

e2e() {
    binary
    in_web npm run e2e
}

long_e2e() {
    binary
    in_web npm run e2e:full
}

# The cost of a frame as a multiple of the bare loop, for the tested binary. It detects
# a hub that copies or queues, even on a busy machine. `make bench` measures the speed.
ratios() {
    binary
    "${OCELLI_BIN%/*}/ocelli-bench" --short --hub "$OCELLI_BIN"
}

# Wording of comments, documents and user interface texts; first the self-test.
prose() {
    scripts/prose.sh --self-test
    scripts/prose.sh
}

# websocat, a WebSocket client for the tests of devices. Debian has no package for it.
install_websocat() {
    [ -x target/websocat/bin/websocat ] || command -v websocat >/dev/null ||
        cargo install --quiet --locked --root target/websocat --target-dir target/websocat/build \
            --no-default-features websocat@1.14.1
}

require_rust
require_node
part "packages for the tests" scripts/setup.sh test

case $what in
all | rust | web | api | e2e) ;;
*) fail "usage: $0 [all|full|rust|web|api|e2e]" ;;
esac

if [ "$what" = all ]; then
    part "wording" prose
    part "Rust formatting" cargo fmt --all --check
fi
part "browser packages" scripts/web.sh modules
if [ "$what" = all ] || [ "$what" = web ]; then
    part "browser types and style" in_web npm run check
    part "browser unit tests" in_web npm test
fi
part "browser build" scripts/web.sh
if [ "$what" = all ] || [ "$what" = web ]; then
    part "browser bundle sizes" in_web npm run sizes
fi
if [ "$what" = all ]; then
    part "Rust lints" rust_lints
fi
if [ "$what" = all ] || [ "$what" = rust ]; then
    part "Rust tests" rust_tests
fi
if [ "$what" = all ] || [ "$what" = api ]; then
    part "HTTP API against its description" api
fi
if [ "$what" = all ] || [ "$what" = e2e ]; then
    part "browser tests" e2e
fi
if [ "$with_long_tests" = true ]; then
    part "websocat" install_websocat
    part "long Rust tests" long_rust_tests
    part "long browser tests" long_e2e
    part "cost of a frame compared with the bare loop" ratios
fi
current=

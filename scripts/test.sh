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
        # What failed is far up by now, and a machine that runs this shows the end.
        failures
        printf 'FAILED: %s (exit %d, after %d s)\n' "${current:-preparation}" "$status" $((SECONDS - started)) >&2
    fi
    rm -f "$log"
    exit "$status"
}
trap finish EXIT

# The lines of the part that failed that say which tests, and why.
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
    # ARGS is cargo's; the tests and their children have no use for it.
    env -u ARGS -u MAKEFLAGS -u MFLAGS cargo test --workspace --locked --no-fail-fast "${args[@]}"
}

# The binary that the Rust tests drive. It is there when they have just run, and
# built alone its libraries would be compiled once more, with fewer features.
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

# What a frame costs as a multiple of the bare loop, of the binary that was tested: it
# tells a hub that copies or queues, on a busy machine too. `make bench` tells how fast.
ratios() {
    binary
    cargo build --locked -p ocelli-bench
    "${OCELLI_BIN%/*}/ocelli-bench" --short --hub "$OCELLI_BIN"
}

# Wording of comments, documents and user interface texts; first the self-test.
prose() {
    scripts/prose.sh --self-test
    scripts/prose.sh
}

# websocat, a WebSocket client for devices' tests, which Debian has not.
install_websocat() {
    [ -x target/websocat/bin/websocat ] || command -v websocat >/dev/null ||
        cargo install --quiet --locked --root target/websocat --target-dir target/websocat/build \
            --no-default-features websocat@1.14.1
}

require_rust
require_node
part "what the tests need" scripts/setup.sh test

case $what in
all | rust | web | api | e2e) ;;
*) fail "usage: $0 [all|rust|web|api|e2e]" ;;
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
    part "Rust lints" cargo clippy --workspace --all-targets --locked -- -D warnings
fi
if [ "$what" = all ] || [ "$what" = rust ]; then
    part "websocat" install_websocat
    part "Rust tests" rust_tests
fi
if [ "$what" = all ] || [ "$what" = api ]; then
    part "the HTTP interface held to its description" api
fi
if [ "$what" = all ] || [ "$what" = e2e ]; then
    part "tests in a browser" e2e
fi
if [ "$what" = all ]; then
    part "the cost of a frame beside the bare loop" ratios
fi
current=

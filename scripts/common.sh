# shellcheck shell=bash
# Functions shared by the scripts, which source this file. It changes to the
# root of the repository.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A shell that was open before rustup installed Rust does not have it on its PATH.
if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Splits ARGS at spaces into the array `args`, without interpreting quotes,
# globs or shell characters: a camera's address may contain any of them.
split_args() {
    set -f
    # shellcheck disable=SC2206,SC2034
    args=(${ARGS:-})
    set +f
}

rust_lints() {
    cargo clippy --workspace --all-targets --locked -- -D warnings
    # The entry points of the fuzz targets, which only `make fuzz` compiles. Checking the targets
    # themselves would take minutes.
    cargo rustc --quiet -p ocelli-media --lib --profile check --locked -- --cfg fuzzing -D warnings
}

require_rust() {
    command -v cargo >/dev/null ||
        fail "Rust is missing. Install it from https://rustup.rs and run this again."
}

require_node() {
    { command -v node && command -v npm; } >/dev/null ||
        fail "Node.js is missing. Install Node.js 20.19 or later (with npm) from https://nodejs.org and run this again."
    # Vite requires this version.
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
        fail "Node.js $(node --version) is too old. Install 20.19 or later from https://nodejs.org."
}

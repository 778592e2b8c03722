#!/usr/bin/env bash
# Everything at once with a fault every few seconds; 20 minutes, or ARGS="--minutes 3".
# Its hub has a small file system of its own, so that a full disk is nobody else's.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = inside ]; then
    shift
    mount -t tmpfs -o size=48m none "$here"
    exec "$@"
fi

scripts/setup.sh test
unshare -rm true 2>/dev/null ||
    fail "this needs user and mount namespaces (unshare -rm): root may make them, and other users where the kernel allows it."
scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
faketime=(/usr/lib/*/faketime/libfaketime.so.1)
if [ -e "${faketime[0]}" ]; then
    args+=(--faketime "${faketime[0]}")
else
    say "note: without steps of the clock, for libfaketime is not installed."
fi
here=$(mktemp -d)
trap 'rmdir "$here"' EXIT
export here
unshare -rm scripts/soak.sh inside \
    "$directory/release/ocelli-bench" --hub "$directory/release/ocelli" soak --directory "$here" "${args[@]}"

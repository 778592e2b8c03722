#!/usr/bin/env bash
# Soak test: all features at once with a fault every few seconds, for 20 minutes or as long as
# ARGS="--minutes 3" sets. The hub has a small separate file system, so that a full disk affects
# only the hub.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = inside ]; then
    shift
    mount -t tmpfs -o size=48m none "$here"
    exec "$@"
fi

scripts/setup.sh test
unshare -rm true 2>/dev/null ||
    fail "this needs user and mount namespaces (unshare -rm). Run it as root, or allow unprivileged user namespaces in the kernel."
scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
faketime=(/usr/lib/*/faketime/libfaketime.so.1)
if [ -e "${faketime[0]}" ]; then
    args+=(--faketime "${faketime[0]}")
else
    say "note: skipping clock steps, because libfaketime is not installed."
fi
here=$(mktemp -d)
trap 'rmdir "$here"' EXIT
export here
unshare -rm scripts/soak.sh inside \
    "$directory/release/ocelli-bench" --hub "$directory/release/ocelli" soak --directory "$here" "${args[@]}"

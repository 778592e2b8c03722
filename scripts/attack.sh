#!/usr/bin/env bash
# Attacks a hub: first individual hostile peers, over plain and TLS connections, next to
# cameras, a viewer and /health; then thousands of connections and a full disk, with a small
# file system as the hub's directory. Runs for about 15 minutes in a separate network namespace
# that no traffic leaves. ARGS="--only rtsp,pings" runs the attacks whose family or name contains one
# of these words ("siege" is the second part); ARGS="--seconds 30" lengthens the second part.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = inside ]; then
    shift
    ip link set lo up
    # Attackers use many addresses; all of them are local.
    ip route add local 10.77.0.0/16 dev lo
    mount -t tmpfs -o size=6m none "$1"
    program=$2 hub=$3
    shift 3
    exec "$program" --hub "$hub" attack --directory "$here" "$@"
fi

scripts/setup.sh test
unshare -rnm true 2>/dev/null ||
    fail "this needs user, network and mount namespaces (unshare -rnm). Run it as root, or allow unprivileged user namespaces in the kernel."
# Two processes each hold one end of ten thousand connections.
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 12000 ] ||
    fail "this needs 12000 open files, but ulimit -Hn is $(ulimit -Hn). Raise it (as root: ulimit -Hn 65536) and run this again."
scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
here=$(mktemp -d)
trap 'rmdir "$here"' EXIT
export here
unshare -rnm scripts/attack.sh inside "$here" "$directory/release/ocelli-bench" "$directory/release/ocelli" "${args[@]}"

#!/usr/bin/env bash
# Attacks a hub: first single hostile peers, over plain and TLS connections, beside cameras,
# a viewer and /health; then crowds of connections and a full disk, with a small file system
# as the hub's directory. It takes about 15 minutes in a network namespace of its own, which
# nothing leaves. ARGS="--only rtsp,pings" runs the attacks whose family or name contains one
# of these ("siege" is the second part); ARGS="--seconds 30" makes the second part longer.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = inside ]; then
    shift
    ip link set lo up
    # Every one of them is this machine: attackers come from many addresses.
    ip route add local 10.77.0.0/16 dev lo
    mount -t tmpfs -o size=6m none "$1"
    program=$2 hub=$3
    shift 3
    exec "$program" --hub "$hub" attack --directory "$here" "$@"
fi

scripts/setup.sh test
unshare -rnm true 2>/dev/null ||
    fail "this needs user, network and mount namespaces (unshare -rnm): root may make them, and other users where the kernel allows it."
# Ten thousand connections have two ends, here in two programs.
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 12000 ] ||
    fail "this needs 12000 open files; ulimit -Hn says $(ulimit -Hn). Raise it (as root: ulimit -Hn 65536) and start again."
scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
here=$(mktemp -d)
trap 'rmdir "$here"' EXIT
export here
unshare -rnm scripts/attack.sh inside "$here" "$directory/release/ocelli-bench" "$directory/release/ocelli" "${args[@]}"

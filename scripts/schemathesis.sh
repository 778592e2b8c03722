#!/usr/bin/env bash
# Holds the HTTP interface to its own description: schemathesis calls every
# operation with good and bad input and checks the answers.
#
# Some calls make the hub connect to what they name, and a fuzzer names
# anything. So both run in a network namespace that has nothing but a loopback
# interface.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

readonly version=4.32.5
readonly python=target/python

if [ "${1:-}" != inside ]; then
    cargo build --locked -p ocelli
    directory=${CARGO_TARGET_DIR:-target}
    OCELLI_BIN=$(realpath "$directory/debug/ocelli")
    export OCELLI_BIN
    if [ "$("$python/bin/st" --version 2>/dev/null)" != "st, version $version" ]; then
        /usr/bin/python3 -m venv "$python"
        "$python/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
    fi
    exec unshare --user --map-root-user --net "$0" inside
fi

ip link set lo up
place=$(mktemp -d)
hub=
# shellcheck disable=SC2317 # the trap calls it
finish() {
    [ -z "$hub" ] || kill "$hub" || true
    rm -rf "$place"
}
trap finish EXIT

OCELLI_ADMIN_TOKEN="sk_$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')"
export OCELLI_ADMIN_TOKEN
"$OCELLI_BIN" serve --listen 127.0.0.1:0 --data "$place" cam1=pattern: >"$place/out" 2>"$place/log" &
hub=$!
for _ in $(seq 200); do
    grep -q '^listening on ' "$place/out" && break
    kill -0 "$hub" || { cat "$place/log" >&2; fail "the hub did not start"; }
    sleep 0.05
done
address=$(sed -n 's/^listening on //p' "$place/out")

"$python/bin/st" --config-file scripts/schemathesis.toml run "$address/api/v1/openapi.json" \
    --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-15}" --seed 1 --generation-database none \
    --request-timeout 20 --no-color ||
    { tail -20 "$place/log" >&2; exit 1; }
kill -0 "$hub" || { cat "$place/log" >&2; fail "the hub has ended"; }

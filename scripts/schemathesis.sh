#!/usr/bin/env bash
# Tests the HTTP API against its description: schemathesis calls every
# operation with valid and invalid input and checks the responses.
#
# Some calls make the hub connect to an address in their input, and a fuzzer
# sends arbitrary addresses. Both therefore run in a network namespace with
# only a loopback interface.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

readonly version=4.32.5
readonly python=target/python

if [ "${1:-}" != inside ]; then
    [ -n "${OCELLI_BIN:-}" ] || fail "OCELLI_BIN is not set to the path of the hub; use make test-api"
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
kill -0 "$hub" || { cat "$place/log" >&2; fail "the hub ended during the test"; }

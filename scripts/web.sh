#!/usr/bin/env bash
# Builds the browser part into web/dist, unless that is newer than everything
# it is made from. `web.sh modules` only installs the packages.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

require_node
cd web

# npm leaves this file last, so its age is the installation's.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund
fi
[ "${1:-}" != modules ] || exit 0

# Begun and finished builds are told apart by a file that takes its time from
# the beginning and its place at the end.
stamp=node_modules/.ocelli-build
# Directories count too: a file taken away makes its directory newer.
changed() {
    find . \( -name node_modules -o -name dist -o -name test-results -o -name e2e \) -prune \
        -o -path . -o -newer "$stamp" -print -quit
}
if [ ! -e dist/index.html ] || [ ! -e dist/ocelli.js ] || [ ! -e dist/plot.js ] || [ ! -e dist/ocelli.js.gz ] || [ ! -e "$stamp" ] || [ -n "$(changed)" ]; then
    touch "$stamp.begun"
    npm run build
    mv "$stamp.begun" "$stamp"
fi

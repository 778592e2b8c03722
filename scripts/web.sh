#!/usr/bin/env bash
# Builds the web client into web/dist, unless it is newer than all its
# sources. `web.sh modules` only installs the packages.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

require_node
cd web

# npm writes this file last, so its time is that of the installation.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund
fi
[ "${1:-}" != modules ] || exit 0

# The stamp has the start time of a build. It is moved into place when the build
# has finished, so an interrupted build does not count.
stamp=node_modules/.ocelli-build
# Directories are compared too: removing a file makes its directory newer.
changed() {
    find . \( -name node_modules -o -name dist -o -name test-results -o -name e2e \) -prune \
        -o -path . -o -newer "$stamp" -print -quit
}
if [ ! -e dist/index.html ] || [ ! -e dist/ocelli.js ] || [ ! -e dist/plot.js ] || [ ! -e dist/ocelli.js.gz ] || [ ! -e "$stamp" ] || [ -n "$(changed)" ]; then
    touch "$stamp.begun"
    npm run build
    mv "$stamp.begun" "$stamp"
fi

#!/usr/bin/env bash
# Builds the release binary, with the web client embedded.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

require_rust
require_node
scripts/setup.sh run
scripts/web.sh
cargo build --release --locked -p ocelli

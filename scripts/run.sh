#!/usr/bin/env bash
# Builds and starts the hub: the cameras in ARGS, else ocelli.toml, else the
# demo. Arguments are never printed: they may hold a camera's password.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

split_args
# Neither the build nor the hub needs a copy of them in its environment.
unset ARGS MAKEFLAGS MAKEOVERRIDES MFLAGS
scripts/build.sh
if [ ${#args[@]} -eq 0 ]; then
    exec "${CARGO_TARGET_DIR:-target}/release/ocelli"
fi
exec "${CARGO_TARGET_DIR:-target}/release/ocelli" serve "${args[@]}"

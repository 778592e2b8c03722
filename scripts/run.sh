#!/usr/bin/env bash
# Builds and starts the hub with the cameras in ARGS, otherwise with ocelli.toml,
# otherwise with the demo. Arguments are never printed: they may contain a camera's password.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

split_args
# Keeps the arguments out of the environment of the build and the hub.
unset ARGS MAKEFLAGS MAKEOVERRIDES MFLAGS
scripts/build.sh
if [ ${#args[@]} -eq 0 ]; then
    exec "${CARGO_TARGET_DIR:-target}/release/ocelli"
fi
exec "${CARGO_TARGET_DIR:-target}/release/ocelli" serve "${args[@]}"

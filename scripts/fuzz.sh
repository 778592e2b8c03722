#!/usr/bin/env bash
# Fuzzes every parser of network input for a minute each. ARGS="600" sets the seconds per
# target; ARGS="600 wall jpeg" also selects the targets. Failing inputs are stored in fuzz/artifacts.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

require_rust
split_args
seconds=60
case "${args[0]:-}" in
"") ;;
*[!0-9]*) ;;
*) seconds=${args[0]} args=("${args[@]:1}") ;;
esac

targets=("${args[@]}")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(annexb children config format http ingest jpeg mpegts multipart parameter_set rtp rtsp telemetry wall browser)
fi

command -v c++ >/dev/null || scripts/setup.sh test
if ! command -v cargo-fuzz >/dev/null; then
    say "cargo-fuzz is missing; building it with cargo install."
    cargo install cargo-fuzz --locked
fi
# The hub embeds the pages, so they must exist.
scripts/web.sh

failed=()
for target in "${targets[@]}"; do
    say "$target, $seconds s"
    if [ "$target" = browser ]; then
        # The browser's decoder is TypeScript: property tests until the time is up.
        (cd web && FUZZ_SECONDS=$seconds npx vitest run client/frame.property.test.ts) || failed+=("$target")
        continue
    fi
    mkdir -p "fuzz/corpus/$target"
    # Without a sanitizer, the stable compiler is sufficient.
    cargo fuzz run -s none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=0 -verbosity=0 ||
        failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] || fail "these targets failed: ${failed[*]}. The inputs are in fuzz/artifacts."
say "No failures found."

#!/usr/bin/env bash
# Benchmarks: compares the hub, the bare loop and go2rtc in one run. `--only native` compares H.264
# through the wall and through go2rtc's MSE.
# `ARGS="--write docs/benchmarks.md"` writes the tables and the plot; `--help` lists all options.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

scripts/build.sh
cargo build --release --locked -p ocelli-bench
split_args
directory=${CARGO_TARGET_DIR:-target}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

go2rtc=1.9.14
peer=$directory/go2rtc-$go2rtc/go2rtc
# fetch_go2rtc: builds go2rtc with a recent Go. Some module proxies serve a version but not the
# list of versions that `go install` requests. In that case it is built from the module's sources.
fetch_go2rtc() {
    local sources
    mkdir -p "${peer%/*}"
    # Some of its packages contain C code that the build does not need.
    export CGO_ENABLED=0
    GOBIN=${peer%/*} go install "github.com/AlexxIT/go2rtc@v$go2rtc" && return
    sources=$(cd "${peer%/*}" && go mod download -json "github.com/AlexxIT/go2rtc@v$go2rtc" |
        sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
    [ -n "$sources" ] && (cd "$sources" && go build -o "$peer" .)
}
case " ${args[*]} " in
*" --short "* | *" --help "*) peer= ;;
*)
    if [ -x "$peer" ]; then
        :
    elif ! command -v go >/dev/null ||
        ! go version | grep -Eq ' go(1\.(2[4-9]|[3-9][0-9])|[2-9])'; then
        say "note: skipping go2rtc, because building it needs Go 1.24 or later."
        peer=
    elif ! fetch_go2rtc; then
        say "note: skipping go2rtc $go2rtc, because it could not be built."
        peer=
    fi
    ;;
esac
exec "$directory/release/ocelli-bench" --hub "$directory/release/ocelli" ${peer:+--go2rtc "$peer"} "${args[@]}"

#!/usr/bin/env bash
# The benchmarks: the hub, the bare loop and go2rtc, side by side in one run.
# `ARGS="--write docs/benchmarks.md"` keeps the tables and the plot; `--help` lists the rest.
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
# fetch_go2rtc: builds it where a Go of its age is here. Some module proxies serve a version
# and no list of versions, which `go install` wants to see; its sources are enough.
fetch_go2rtc() {
    local sources
    mkdir -p "${peer%/*}"
    # Its packages hold C that is compiled for none of them.
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
        say "note: without go2rtc, for there is no Go 1.24 or later here to build it."
        peer=
    elif ! fetch_go2rtc; then
        say "note: without go2rtc $go2rtc, which could not be built."
        peer=
    fi
    ;;
esac
exec "$directory/release/ocelli-bench" --hub "$directory/release/ocelli" ${peer:+--go2rtc "$peer"} "${args[@]}"

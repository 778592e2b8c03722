#!/usr/bin/env bash
# Installs the packages that are missing for running (`setup.sh run`) or testing
# (`setup.sh test`). Lists them before it installs them. Does not install Rust
# or Node.js: the other scripts check for those.
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

purpose=${1:-run}
missing=()

# need_command COMMAND PACKAGE…: adds the packages if the command is missing.
need_command() {
    command -v "$1" >/dev/null || missing+=("${@:2}")
}

# need_package PACKAGE…: adds the packages that are not installed.
need_package() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' ||
            missing+=("$package")
    done
}

need_command ffmpeg ffmpeg
# Some crates compile C.
need_command cc gcc libc6-dev
case $(uname -m) in
x86_64 | aarch64) ;;
*) need_command cmake cmake ;; # the TLS library needs cmake on other architectures
esac

case $purpose in
run) ;;
test)
    need_command ffprobe ffmpeg
    need_command chromium chromium
    need_command firefox-esr firefox-esr
    # WebKitGTK has no mode without a screen.
    need_command WebKitWebDriver webkit2gtk-driver
    need_command Xvfb xvfb
    need_command curl curl
    need_command nc netcat-openbsd
    need_command openssl openssl
    # The board firmware is compiled for this machine and run against the hub.
    need_command g++ g++
    need_command ip iproute2
    need_command unshare util-linux
    [ -e "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketime.so.1" ] || missing+=(libfaketime)
    need_command certutil libnss3-tools
    need_command cvlc vlc-bin vlc-plugin-base
    need_command mpv mpv
    # Debian installs these in /usr/sbin, which is only on root's PATH.
    [ -x /usr/sbin/nginx ] || need_command nginx nginx-light
    [ -x /usr/sbin/haproxy ] || need_command haproxy haproxy
    need_command caddy caddy
    if command -v dpkg-query >/dev/null; then
        need_package fonts-dejavu-core gir1.2-gst-rtsp-server-1.0 \
            python3-gi python3-venv python3-prometheus-client python3-websockets \
            gstreamer1.0-plugins-{base,good,bad,ugly} gstreamer1.0-libav
    else
        say "note: the tests also need GStreamer's RTSP server with Python's gi, and Python's websockets. This is not checked, because this system is not Debian."
    fi
    ;;
*) fail "usage: $0 run|test" ;;
esac

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
command -v apt-get >/dev/null ||
    fail "missing: ${missing[*]} (Debian's names). This system has no apt-get: install them with its package manager and run this again."

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        fail "missing: ${missing[*]}. As root: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
fi

say "Installing these missing packages with ${as_root[*]:+sudo }apt-get:"
printf '  %s\n' "${missing[@]}"
as_root+=(env DEBIAN_FRONTEND=noninteractive)
# If the package lists cannot be refreshed, the existing ones may still work.
"${as_root[@]}" apt-get update -q || say "note: the package lists could not be refreshed; using the existing ones."
"${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"

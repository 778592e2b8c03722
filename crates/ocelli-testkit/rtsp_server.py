#!/usr/bin/python3
"""Cameras for the tests: GStreamer's RTSP server with test pictures.

Prints `port N` as its first line and then answers these commands on standard input:

    sessions [/mount]   ->  sessions N    viewers that are playing
    opened [/mount]     ->  opened N      PLAY requests since the start, one per session
    tunnels             ->  tunnels N     open connections

It exits when its standard input is closed, so it never outlives the test that started it.
"""

import argparse
import os
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", default="0")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--keys", type=int, default=15, help="key frame interval, in frames")
    parser.add_argument("--bitrate", type=int, default=1000, help="bitrate of H.264 and H.265, in kbit/s")
    parser.add_argument("--pattern", default="ball", help="pattern of videotestsrc")
    parser.add_argument("--udp", action="store_true", help="refuses RTP over TCP")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=["basic", "digest"], default="digest")
    parser.add_argument("--tls", help="PEM file with a certificate and its key; serves rtsps only")
    return parser.parse_args()


def pipelines(arguments):
    """Returns the pipeline of each mount."""
    width, height = arguments.size.split("x")
    fps, keys, rate = arguments.fps, arguments.keys, arguments.bitrate

    def picture(width=width, height=height):
        return (
            f"videotestsrc is-live=true pattern={arguments.pattern} motion=sweep background-color=0xff204060 "
            f"! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
        )

    def flashes(audio):
        """A flash and a beep of 100 ms at the start of each second: see set_flash."""
        return (
            f"videotestsrc name=flash is-live=true pattern=solid-color "
            f"! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 {h264}"
            # This source sends its samples before their time, by the length of a buffer.
            f"audiotestsrc is-live=true wave=ticks volume=0.5 freq=1000 sine-periods-per-tick=100 "
            f"samplesperbuffer=160 {audio}name=pay1 "
        )

    x264 = (
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate={rate} threads=1 "
        f"key-int-max={keys} bframes=0 "
    )
    h264 = x264 + "! h264parse ! rtph264pay pt=96 config-interval=-1 name=pay0 "
    tone = "audiotestsrc is-live=true volume=0.1 ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay pt=8 "
    aac = (
        "audiotestsrc is-live=true volume=0.1 freq=1000 ! audio/x-raw,rate=48000,channels=2 "
        "! audioconvert ! avenc_aac ! aacparse ! rtpmp4gpay pt=97 "
    )
    return {
        "/h264": picture() + h264,
        # The substream for tiles.
        "/small": picture(160, 120) + h264,
        "/h265": picture()
        + f"! x265enc tune=zerolatency speed-preset=ultrafast bitrate={rate} "
        + f"key-int-max={keys} option-string=open-gop=0:pools=none:frame-threads=1 "
        + "! h265parse ! rtph265pay pt=96 config-interval=-1 name=pay0 ",
        "/vp8": picture() + f"! vp8enc deadline=1 keyframe-max-dist={keys} ! rtpvp8pay pt=96 name=pay0 ",
        "/mjpeg": picture() + "! jpegenc quality=70 ! rtpjpegpay pt=26 name=pay0 ",
        # Its brightness encodes the capture time: see set_clock.
        "/clock": "videotestsrc name=clock is-live=true pattern=solid-color "
        + f"! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
        + h264,
        "/flash": flashes("! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay pt=0 "),
        "/flash-aac": flashes(
            "! audio/x-raw,rate=48000,channels=2 ! audioconvert ! avenc_aac ! aacparse ! rtpmp4gpay pt=97 "
        ),
        # Parameter sets only in the session description, as many cameras send them.
        "/oob": picture()
        + x264
        + "! h264parse ! video/x-h264,stream-format=avc ! rtph264pay pt=96 config-interval=0 name=pay0 ",
        "/bframes": picture()
        + f"! x264enc speed-preset=veryfast bitrate={rate} threads=1 key-int-max={keys} bframes=2 b-adapt=false ! video/x-h264,profile=main "
        + "! h264parse ! rtph264pay pt=96 config-interval=-1 name=pay0 ",
        "/baseline": picture()
        + x264
        + "! video/x-h264,profile=constrained-baseline ! h264parse "
        + "! rtph264pay pt=96 config-interval=-1 name=pay0 ",
        # High profile, whose groups begin with a key frame that earlier pictures are shown after.
        "/open": picture()
        + f"! x264enc speed-preset=veryfast bitrate={rate} threads=1 key-int-max={keys} bframes=2 "
        + "b-adapt=false option-string=open-gop=1 ! video/x-h264,profile=high "
        + "! h264parse ! rtph264pay pt=96 config-interval=-1 name=pay0 ",
        # A key frame every 10 s, as cameras with a "smart codec" send them.
        "/long": picture() + h264.replace(f"key-int-max={keys}", f"key-int-max={10 * fps}"),
        # Its size changes every 3 s.
        "/resize": picture()
        + f"! videoscale ! capsfilter name=resize caps=video/x-raw,width={width},height={height} "
        + h264,
        "/av": picture() + h264 + tone + "name=pay1 ",
        "/aac": picture() + h264 + aac + "name=pay1 ",
        "/audio": tone + "name=pay0 ",
    }


def set_clock(source):
    """Paints the next picture of /clock in one of 16 shades of grey, 16 apart.

    The shade is the wall-clock time in tenths of a second, modulo 16, so a test can
    read the capture time, to a tenth, from any pixel. It is set when the previous
    picture leaves, so it is up to one frame interval early.
    """
    shade = int(time.time() * 10) % 16 * 16 + 8
    source.set_property("foreground-color", 0xFF000000 | shade << 16 | shade << 8 | shade)
    return Gst.PadProbeReturn.OK


def set_flash(source, probe, fps):
    """Makes the next picture of /flash white in the first 100 ms of each second, else black."""
    time_of_next = probe.get_buffer().pts + Gst.SECOND // fps
    # Half a picture early, because times are rounded.
    is_flash = (time_of_next + Gst.SECOND // (2 * fps)) % Gst.SECOND < Gst.SECOND // 10
    source.set_property("foreground-color", 0xFFFFFFFF if is_flash else 0xFF000000)
    return Gst.PadProbeReturn.OK


class Resizing:
    """Changes the size of the pictures between the given one and half of it."""

    def __init__(self, element, arguments):
        self.element = element
        self.width, self.height = (int(side) for side in arguments.size.split("x"))
        self.every = 3 * arguments.fps
        self.pictures = 0
        element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.count)

    def count(self, _pad, _probe):
        self.pictures += 1
        if self.pictures % self.every == 0:
            part = 1 + self.pictures // self.every % 2
            caps = f"video/x-raw,width={self.width // part},height={self.height // part}"
            self.element.set_property("caps", Gst.Caps.from_string(caps))
        return Gst.PadProbeReturn.OK


def refuse_seeking(_pad, probe):
    """Reports the source as not seekable, because the test source does not.

    Each new viewer's PLAY has a Range header. Without this the server would seek the
    shared pipeline, which disturbs the other viewers and sometimes hangs the server.
    """
    seeking = probe.get_query().type == Gst.QueryType.SEEKING
    # The query's initial value is "not seekable".
    return Gst.PadProbeReturn.HANDLED if seeking else Gst.PadProbeReturn.OK


def configure(_factory, media, arguments):
    """Sets up what the pipeline description cannot express."""
    element = media.get_element()
    for name in ("pay0", "pay1"):
        payloader = element.get_by_name(name)
        if payloader:
            pad = payloader.get_static_pad("src")
            pad.add_probe(Gst.PadProbeType.QUERY_UPSTREAM, refuse_seeking)
    resize = element.get_by_name("resize")
    if resize:
        Resizing(resize, arguments)
    clock = element.get_by_name("clock")
    if clock:
        set_clock(clock)
        clock.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, lambda *_: set_clock(clock))
    flash = element.get_by_name("flash")
    if flash:
        pad = flash.get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER, lambda _, probe: set_flash(flash, probe, arguments.fps))


class Viewers:
    """The connected clients and the mounts that they are playing."""

    def __init__(self, server):
        self.lock = threading.Lock()
        self.connected = 0
        self.playing = set()
        self.opened = []
        server.connect("client-connected", self.arrived)

    def arrived(self, _server, client):
        with self.lock:
            self.connected += 1
        client.connect("play-request", self.plays)
        client.connect("teardown-request", self.left)
        client.connect("pause-request", self.left)
        client.connect("closed", self.gone)

    def plays(self, client, context):
        key = (hash(client), mount_of(context))
        with self.lock:
            if key not in self.playing:
                self.playing.add(key)
                self.opened.append(key[1])

    def left(self, client, context):
        with self.lock:
            self.playing.discard((hash(client), mount_of(context)))

    def gone(self, client):
        with self.lock:
            self.connected -= 1
            self.playing = {key for key in self.playing if key[0] != hash(client)}

    def answer(self, line):
        word, _, mount = line.partition(" ")
        with self.lock:
            mounts = {
                "sessions": [key[1] for key in self.playing],
                "opened": self.opened,
            }.get(word)
            if word == "tunnels":
                return f"tunnels {self.connected}"
        if mounts is None:
            return f"error: unknown command {word!r}"
        return f"{word} {len([m for m in mounts if not mount or m == mount])}"


def mount_of(context):
    """Returns the mount of a request: /h264 for rtsp://host:port/h264/stream=0."""
    return "/" + context.uri.abspath.strip("/").split("/")[0]


def demand_password(auth, arguments):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if arguments.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(arguments.user, arguments.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password), token)
    # Anonymous viewers may learn that a mount exists: without this permission the server would
    # answer 404 where cameras answer 401.
    anonymous = GstRtspServer.RTSPToken()
    anonymous.set_string("media.factory.role", "anonymous")
    auth.set_default_token(anonymous)


def restrict(server, arguments):
    """Demands TLS and a password, as far as the arguments say so."""
    auth = GstRtspServer.RTSPAuth()
    if arguments.tls is not None:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(arguments.tls))
    if arguments.user is not None:
        demand_password(auth, arguments)
    else:
        viewer = GstRtspServer.RTSPToken()
        viewer.set_string("media.factory.role", "viewer")
        auth.set_default_token(viewer)
    server.set_auth(auth)


def permissions():
    allowed = GstRtspServer.RTSPPermissions()
    for role, construct in (("viewer", True), ("anonymous", False)):
        allowed.add_permission_for_role(role, "media.factory.access", True)
        allowed.add_permission_for_role(role, "media.factory.construct", construct)
    return allowed


def answer_questions(viewers):
    for line in sys.stdin:
        print(viewers.answer(line.strip()), flush=True)
    os._exit(0)


def main():
    arguments = parse_arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    is_restricted = arguments.user is not None or arguments.tls is not None
    if is_restricted:
        restrict(server, arguments)
    mounts = server.get_mount_points()
    for path, pipeline in pipelines(arguments).items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {pipeline})")
        # Like a camera: one encoder for all viewers.
        factory.set_shared(True)
        if arguments.udp:
            factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        if is_restricted:
            factory.set_permissions(permissions())
        factory.connect("media-configure", configure, arguments)
        mounts.add_factory(path, factory)
    viewers = Viewers(server)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {arguments.port}")
    print(f"port {server.get_bound_port()}", flush=True)
    threading.Thread(target=answer_questions, args=(viewers,), daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

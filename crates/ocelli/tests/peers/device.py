"""A complete device session with Python's websockets, an independent client.

Arguments: the hub's host and port, an administrator's token, a JPEG file. Exits with 0
if the hub behaves as documented, otherwise reports the first difference.
"""

import asyncio
import inspect
import json
import sys
import urllib.error
import urllib.request

import websockets

HUB, TOKEN, JPEG = sys.argv[1], sys.argv[2], open(sys.argv[3], "rb").read()


def call(method, path, body=None):
    request = urllib.request.Request(
        f"http://{HUB}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def connect(url, headers=None, **options):
    known = inspect.signature(websockets.connect.__init__).parameters
    name = "extra_headers" if "extra_headers" in known else "additional_headers"
    if headers:
        options[name] = headers
    return websockets.connect(url, max_size=None, **options)


async def closed(socket):
    """Returns the hub's last error and its close code."""
    code = None
    try:
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if message["type"] == "error":
                code = message["code"]
    except websockets.exceptions.ConnectionClosed as end:
        return code, end.rcvd.code if hasattr(end, "rcvd") else end.code


def is_(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


async def shown(url, wanted):
    """Waits until the snapshot at this URL is this JPEG."""
    for _ in range(500):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                is_(answer.headers["Content-Type"], "image/jpeg")
                is_(answer.headers["Cache-Control"], "no-store")
                if answer.read() == wanted:
                    return
        except urllib.error.HTTPError as error:
            is_(error.code, 404)
        await asyncio.sleep(0.01)
    raise AssertionError("the frame did not arrive")


async def story():
    app = "/api/v1/apps/live"
    key = call("POST", f"{app}/ws-ingest", {"room": "story", "identity": "teller"})["data"]
    bearer = {"Authorization": f"Bearer {key['streamKey']}"}

    async with connect(key["wsUrl"], bearer, origin="file://", subprotocols=["arduino"]) as device:
        is_(getattr(device, "extensions", None) or getattr(getattr(device, "protocol", None), "extensions", None) or [], [])
        ready = json.loads(await device.recv())
        is_(ready, {
            "type": "ready", "room": "live-story", "streamId": "live-story/teller",
            "maxFps": 15, "maxFrameBytes": 262144, "idleTimeoutSec": 30,
        })
        await device.send(JPEG)
        await shown(key["frameUrl"], JPEG)
        await device.send(json.dumps({"type": "stats", "fps": 12, "rssi": -61}))

        # A viewer, over the WebSocket and as MJPEG.
        live = call("GET", f"{app}/ws-ingest/live/story")["data"]
        async with connect(live["wsUrl"]) as viewer:
            is_(await viewer.recv(), JPEG)
        with urllib.request.urlopen(live["mjpegUrl"], timeout=10) as mjpeg:
            is_(mjpeg.headers["Content-Type"], "multipart/x-mixed-replace; boundary=frame")
            is_(mjpeg.readline(), b"--frame\r\n")
            is_(mjpeg.readline(), b"Content-Type: image/jpeg\r\n")
            is_(mjpeg.readline(), b"Content-Length: %d\r\n" % len(JPEG))
            is_(mjpeg.readline(), b"\r\n")
            is_(mjpeg.read(len(JPEG)), JPEG)
            is_(mjpeg.readline(), b"\r\n")
            is_(mjpeg.readline(), b"--frame\r\n")

        # A second device with the same key.
        async with connect(f"{key['wsUrl']}&key={key['streamKey']}") as second:
            is_(json.loads(await second.recv())["streamId"], "live-story/teller")
            is_(await closed(device), ("replaced", 4409))
            stream = call("GET", f"{app}/streams")["data"]
            is_([(s["streamId"], s["status"]) for s in stream], [("live-story/teller", "active")])
            is_(json.loads(stream[0]["lastStatsJson"]), {"fps": 12, "rssi": -61})

            # Invalid frames.
            for _ in range(10):
                await second.send(b"rubbish")
            is_(await closed(second), ("not_jpeg", 1003))

    # Above the size limit.
    async with connect(key["wsUrl"], bearer) as device:
        await device.recv()
        await device.send(JPEG + bytes(262144))
        is_(await closed(device), ("frame_too_large", 4413))

    # Frames above the rate are dropped; the device stays connected.
    async with connect(key["wsUrl"], bearer) as device:
        await device.recv()
        for _ in range(300):
            await device.send(JPEG)
        while True:
            counts = call("GET", f"{app}/ws-ingest")["data"][0]["device"]
            if counts["frames"] + counts["aboveRate"] == 300:
                break
        assert counts["aboveRate"] > 200, counts

        # The wrong room, with a valid key.
        async with connect(key["wsUrl"].replace("live-story", "live-other"), bearer) as other:
            is_(await closed(other), ("invalid_key", 4401))

        # Idle.
        call("PATCH", app, {"wsIngest": {"idleTimeout": "1s"}})
        is_(await closed(device), ("idle_timeout", 4408))
        call("PATCH", app, {"wsIngest": {"idleTimeout": "30s"}})

    # Revoked.
    async with connect(key["wsUrl"], bearer) as device:
        await device.recv()
        call("DELETE", f"{app}/ws-ingest/{key['id']}")
        is_(await closed(device), ("invalid_key", 4401))
    async with connect(key["wsUrl"], bearer) as device:
        is_(await closed(device), ("invalid_key", 4401))
    streams = call("GET", f"{app}/streams")["data"]
    is_({s["status"] for s in streams}, {"ended"})


asyncio.run(asyncio.wait_for(story(), 50))

"""A camera program like the Raspberry Pi's: raw YUV 4:2:0 frames on standard output.

The bottom twelfth of each picture has 32 blocks: bits 31 to 0, from left to right, of
the ms since the epoch; white is 1, black is 0. Arguments: WIDTH HEIGHT FPS, then any
of stride=N (pads rows to N bytes with white noise), frames=N (ends after N frames, as
end= selects), until=FILE (ends as soon as there is such a file), end=exit|wedge|partial,
flood (writes as fast as possible).
"""

import os
import sys
import time

width, height, fps = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
options = dict(word.partition("=")[::2] for word in sys.argv[4:])
stride = int(options.get("stride", width))
frames = int(options.get("frames", 1 << 62))
until = options.get("until", "")
strip = height // 12
noise = os.urandom(4096)


def plane(row, rows, padding):
    return (row + (noise * 8)[:padding]) * rows


def frame(now):
    millis = int(now * 1000) & 0xFFFFFFFF
    edges = [block * width // 32 for block in range(33)]
    bits = b"".join(
        (b"\xeb" if millis >> (31 - block) & 1 else b"\x10") * (edges[block + 1] - edges[block])
        for block in range(32)
    )
    padding = stride - width
    luma = plane(b"\x60" * width, height - strip, padding) + plane(bits, strip, padding)
    chroma = plane(b"\x80" * (width // 2), height // 2, padding // 2)
    return luma + chroma + chroma


def write(data):
    # No buffering: each frame is written at once.
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


begun = time.time()
for number in range(frames):
    if os.path.exists(until):
        break
    write(frame(time.time()))
    if "flood" not in options:
        time.sleep(max(0.0, begun + (number + 1) / fps - time.time()))

match options.get("end"):
    case "wedge":
        time.sleep(3600)
    case "partial":
        write(frame(time.time())[: width * height])
print("camera: the sensor was\nunplugged", file=sys.stderr)
sys.exit(3)

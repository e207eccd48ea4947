"""Writes tests/golden/resize.json: what the real Pillow makes of small images that are drawn by a formula.

Who runs it, and when: a developer, by hand, and only when a case is added below; the tests read the stored file and
need no Python. It needs `pip install "pillow<13" numpy` and is run from the root of the repository:

    python tools/reference/resize.py

Written with Pillow 12.3.0. From 13.0 on Pillow goes down the columns first where the height shrinks more than the
width, which moves some bytes by one; Striate keeps the order under which the published networks were trained.
"""

import json
import numpy as np
from PIL import Image

CASES = [  # (height, width) from, (height, width) to
    ((9, 13), (7, 5)),
    ((112, 112), (56, 56)),
    ((8, 8), (20, 20)),
    ((1, 1), (4, 4)),
    ((13, 9), (13, 4)),  # one axis stays
    ((13, 9), (30, 9)),
    ((50, 3), (1, 1)),
    ((100, 75), (33, 64)),  # odd factors
    ((481, 321), (224, 224)),
]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def drawing(height, width, channels):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    return ((x * 37 + y * 91 + c * 53 + x * y) % 256).astype(np.uint8)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return f"{value:016x}"


cases = []
for (h, w), (to_h, to_w) in CASES:
    for name, code in FILTERS.items():
        for channels in (1, 3):
            image = drawing(h, w, channels)
            pillow = Image.fromarray(image[..., 0] if channels == 1 else image)
            result = np.asarray(pillow.resize((to_w, to_h), code)).tobytes()
            real = (image.astype(np.float32) / np.float32(3)) - np.float32(20)
            planes = [Image.fromarray(np.ascontiguousarray(real[..., c])) for c in range(channels)]
            floats = np.stack([np.asarray(p.resize((to_w, to_h), code)) for p in planes], -1).ravel()
            step = max(1, floats.size // 16)
            cases.append(
                {
                    "from": {"height": h, "width": w},
                    "to": {"height": to_h, "width": to_w},
                    "filter": name,
                    "channels": channels,
                    "bytes_hash": fnv1a(result),
                    "bytes": list(result[:24]),
                    "float_step": step,
                    "floats": [float(v) for v in floats[::step]],
                }
            )

with open("tests/golden/resize.json", "w") as out:
    out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")

"""Writes tests/golden/images: small TIFF files as laboratories have them, and their values as an .npz.

Who runs it, and when: a developer, by hand, and only when a case is added below; the tests read the stored files and
need no Python. It needs `pip install tifffile numpy` and is run from the root of the repository:

    python tools/reference/tiff.py

Written with tifffile 2026.3.3 and NumPy 2.4.6. Packed samples, which tifffile does not write, are written by hand.
"""

import struct
from pathlib import Path

import numpy as np
import tifffile

OUT = Path("tests/golden/images")
random = np.random.default_rng(12)
truth = {}


def save(name, values, **options):
    """One file by tifffile, and what it holds."""
    tifffile.imwrite(OUT / name, values, **{"photometric": "minisblack", "metadata": None, **options})
    truth[name] = values


def packed(name, values, bits, tags=()):
    """A grey page whose samples of `bits` bits lie without gaps, the first in the highest bits of a byte."""
    height, width = values.shape
    rows = []
    for row in values:
        text = "".join(format(int(v), f"0{bits}b") for v in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8)))
    data = b"".join(rows)
    entries = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 3, height), (279, 4, len(data)), *tags]
    body = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(entries))
    (OUT / name).write_bytes(body + struct.pack("<I", 0))
    truth[name] = values.astype("u2")


OUT.mkdir(exist_ok=True)
twelve = random.integers(0, 4096, (5, 6, 7)).astype("u2")
twelve[2, 3, 4] = 4095
save("stack_12_bit.tif", twelve)
save("stack_big.tif", twelve, bigtiff=True)
save("stack_big_endian.tif", twelve, byteorder=">")
save("stack_deflated.tif", twelve, compression="zlib", predictor=True)
save("stack_imagej.tif", twelve, imagej=True, metadata={"axes": "TYX"})
save("stack_rgb.tif", random.integers(0, 256, (3, 6, 7, 3)).astype("u1"), photometric="rgb")
save("planar_rgb.tif", random.integers(0, 256, (3, 6, 7)).astype("u1"), photometric="rgb", planarconfig="separate")
save("float_16.tif", random.random((6, 7)).astype("f2"))
save("float_32.tif", random.random((6, 7)).astype("f4"))
save("float_32_tiled.tif", random.random((40, 50)).astype("f4"), tile=(16, 16))
save("float_64.tif", random.random((6, 7)))
save("int_16.tif", random.integers(0, 4000, (6, 7)).astype("i2"))
save("uint_32.tif", random.integers(0, 60000, (6, 7)).astype("u4"))
# A dim image of a camera of 12 bits that says so.
save("says_12_bits.tif", random.integers(0, 500, (6, 7)).astype("u2"), extratags=[(281, 3, 1, 4095, True)])
save("white_is_zero.tif", random.integers(0, 256, (6, 7)).astype("u1"), photometric="miniswhite")
for bits in (1, 2, 4, 12):
    packed(f"packed_{bits}.tif", random.integers(0, 2**bits, (6, 7)), bits)
# tifffile calls the pages of a plain stack for ImageJ channels.
save("stack_imagej_plain.tif", np.arange(9 * 42).reshape(9, 6, 7).astype("u2"), imagej=True, metadata={})
# What is refused.
save("two_channels.tif", random.integers(0, 256, (6, 7, 2)).astype("u1"), planarconfig="contig")
save("imagej_channels.tif", twelve[:4].reshape(2, 2, 6, 7), imagej=True, metadata={"axes": "TCYX"})
with tifffile.TiffWriter(OUT / "pages_differ.tif") as writer:
    writer.write(twelve[0], photometric="minisblack", metadata=None)
    writer.write(twelve[0, :3], photometric="minisblack", metadata=None)
np.savez_compressed(OUT / "truth.npz", **truth)

"""Writes tests/golden/mat and tests/golden/suite2p: small MATLAB files of versions 5 and 7.3 with their values as an .npz,
CASCADE's layout of ground truth, and a folder of suite2p.

Who runs it, and when: a developer, by hand, and only when a case is added below; the tests read the stored files and
need no Python. It needs `pip install h5py numpy scipy` and is run from the root of the repository:

    python tools/reference/traces.py

Written with NumPy 2.4.6, SciPy and h5py 3.16.0.
"""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

OUT = Path("tests/golden")
CLASSES = ["float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def values():
    """Arrays of every class, as MATLAB would show them."""
    kept = {}
    for name in CLASSES:
        dtype = np.dtype(name)
        count = np.arange(24)
        if dtype.kind == "f":
            data = (np.sin(count * 0.7) * 1e3).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            data = np.array([(int(limits.min) + int(i) * 37) % (int(limits.max) + 1) for i in count], dtype=dtype)
            data[0], data[1] = limits.min, limits.max
        kept[f"{name}"] = data.reshape(2, 3, 4)
    kept["matrix"] = np.arange(35.0).reshape(5, 7) / 3
    kept["missing"] = np.array([[1.5, np.nan, -np.inf], [0.0, -0.0, 2.5]])
    kept["logical"] = np.array([[True, False, True], [False, False, True]])
    # Whole numbers of a double are stored in as few bytes as hold them: by MATLAB, and here by what scipy is given.
    kept["row"] = np.arange(600.0).reshape(1, 600)
    kept["column"] = np.arange(40.0).reshape(40, 1)
    kept["single"] = np.array([[3.25]])
    return kept


def version5(kept):
    inner = {"fluo_mean": kept["row"], "name": "layer 4", "deeper": {"x": kept["matrix"]}}
    areas = np.empty((1, 3), object)
    areas[0, :] = ["V1", "größer", ""]
    cells = np.empty((2, 2), object)
    cells[:] = [[kept["single"], kept["column"]], [kept["matrix"], "text"]]
    points = np.zeros((1, 2), [("x", object), ("label", object)])
    points[0, 0] = (kept["single"], "first")
    points[0, 1] = (kept["matrix"], "second")
    everything = {
        **kept, "s": inner, "areas": areas, "cells": cells, "points": points, "word": "a word",
        "lines": np.array(["one  ", "three"]), "complex": np.array([[1 + 2j]]),
        "sparse": scipy.sparse.csc_matrix(np.eye(3)),
    }
    scipy.io.savemat(OUT / "mat/plain.mat", everything)
    scipy.io.savemat(OUT / "mat/compressed.mat", everything, do_compression=True)
    nested = {
        "s/fluo_mean": kept["row"], "s/deeper/x": kept["matrix"], "cells/1": kept["single"], "cells/2": kept["matrix"],
        "cells/3": kept["column"], "points/1/x": kept["single"], "points/2/x": kept["matrix"],
    }
    np.savez_compressed(OUT / "mat/values.npz", **kept, **nested)


def version73(kept):
    """As MATLAB writes it: a text before HDF5, and every array with its axes in the opposite order."""
    path = OUT / "mat/new.mat"
    with h5py.File(path, "w", userblock_size=512, libver="earliest") as file:
        for name, data in kept.items():
            shown = data.T
            if data.dtype == bool:
                shown = shown.astype("u1")
            made = file.create_dataset(name, data=shown, chunks=shown.shape if name == "matrix" else None)
            kind = {"float64": "double", "float32": "single", "bool": "logical"}.get(str(data.dtype), str(data.dtype))
            made.attrs["MATLAB_class"] = np.bytes_(kind)
        empty = file.create_dataset("nothing", data=np.array([0, 3], "u8"))
        empty.attrs["MATLAB_class"] = np.bytes_("double")
        empty.attrs["MATLAB_empty"] = np.uint8(1)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    with path.open("r+b") as file:
        file.write(head.ljust(116) + bytes(8) + b"\x00\x02IM")


def segments(rng):
    """CASCADE's ground truth of one cell, recorded in two pieces."""
    pieces = np.empty((1, 2), object)
    for at, frames in enumerate([60, 45]):
        mean = rng.normal(size=(1, frames))
        pieces[0, at] = {"fluo_mean": mean, "fluo_time": (10 + np.arange(frames) / 62.5)[None], "events_AP": [[100.0, 2000.0]],
                         "F0": 1.0}
    scipy.io.savemat(OUT / "mat/cascade.mat", {"CAttached": pieces}, do_compression=True)
    np.savez(OUT / "mat/cascade.npz", **{f"segment{at}": pieces[0, at]["fluo_mean"] for at in range(2)})


def suite2p(rng):
    folder = OUT / "suite2p/plane0"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ["F", "Fneu", "spks"]:
        np.save(folder / f"{name}.npy", (rng.gamma(2, 100, size=(5, 300))).astype("f4"))
    np.save(folder / "iscell.npy", np.array([[1, 0.9], [0, 0.2], [1, 0.6], [0, 0.4], [1, 0.99]]))
    ops = {"suite2p_version": "0.14.4", "nplanes": 1, "tau": 1.0, "fs": 29.97, "xrange": [0, 10], "frames_include": -1,
           "meanImg": np.zeros((2, 3), "f4"), "save_path": "fs"}
    np.save(folder / "ops.npy", ops)


def main():
    rng = np.random.default_rng(5)
    (OUT / "mat").mkdir(parents=True, exist_ok=True)
    kept = values()
    version5(kept)
    version73(kept)
    segments(rng)
    suite2p(rng)


main()

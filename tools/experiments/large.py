"""Writes a recording of NWB 1 that is longer than memory: traces of zeros, which take no room on the disk.

For `STRIATE_LARGE=FILE cargo test --release --test experiments long`, which reads all of it in little memory:

    python tools/experiments/large.py FILE --gib 10
"""

import argparse
from pathlib import Path

import h5py
import numpy as np

import nwb1
from recording import RATE


def zeros(group, name, shape):
    """An array whose room is set aside and never written."""
    space = h5py.h5s.create_simple(shape)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)


def main():
    """dF/F, raw traces and the neuropil, a third of the length each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--gib", type=float, default=10.0)
    parser.add_argument("--neurons", type=int, default=2000)
    args = parser.parse_args()
    frames = int(args.gib * 2**30 / 3 / 4 / args.neurons)
    start = np.arange(100, frames - 100, 7)
    with h5py.File(args.out, "w") as file:
        nwb1.general(file, nwb1.Variant(new=False))
        pipeline = file.create_group(nwb1.PIPELINE)
        plane = pipeline.create_group("Fluorescence/imaging_plane_1")
        change = pipeline.create_group("DfOverF/imaging_plane_1")
        for group, name in [(plane, "data"), (plane, "neuropil_traces"), (change, "data")]:
            zeros(group, name, (args.neurons, frames))
        plane["r"] = np.full(args.neurons, 0.7)
        change["timestamps"] = np.arange(frames) / RATE
        pipeline["ImageSegmentation/cell_specimen_ids"] = np.arange(args.neurons)
        shown = file.create_group("stimulus/presentation/natural_scenes")
        shown["data"] = np.arange(len(start)) % 119 - 1
        shown["frame_duration"] = np.column_stack([start, start + 7])
        file["stimulus/templates/natural_scenes_image_stack/data"] = np.zeros((118, 92, 117), "u1")


if __name__ == "__main__":
    main()

"""Writes small experiments, true to the layout of published files, from one simulated recording.

Who runs it, and when: a developer, by hand, when the layouts below change; tests read what is stored in
tests/golden/experiments and need no Python. It needs `pip install -r tools/experiments/requirements.txt` and
`cargo build --release`, and is run from the root of the repository:

    python tools/experiments/make.py tests/golden/experiments

A larger set, for `STRIATE_EXPERIMENTS=FOLDER cargo test --release --test experiments`:

    python tools/experiments/make.py FOLDER --images 118 --repeats 20 --neurons 40 --size 64
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

import nwb1
import nwb2
import recording as two_photon
import sensorium
import variants


def main():
    """Everything into one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--striate", default="target/release/striate", help="the command that simulates")
    for name, usual in {"images": 10, "size": 18, "neurons": 4, "repeats": 3, "seed": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        numbers = (args.images, args.size, args.neurons, args.repeats, args.seed)
        simulated = two_photon.simulate(args.striate, folder, *numbers)
    recording = two_photon.record(*simulated, args.seed)
    nwb1.write(args.out / "pipeline_0.9.nwb", recording, new=False)
    nwb1.write(args.out / "pipeline_2.0.nwb", recording, new=True)
    nwb2.write(args.out / "converted_nwb2.nwb", recording)
    np.savez_compressed(args.out / "events.npz", ev=recording.traces["events"].astype("f8"))
    mice = args.out / "sensorium"
    shutil.rmtree(mice, ignore_errors=True)
    written = sensorium.write(mice, recording, args.seed)
    numbers = {name: values for name, values in written.items() if values.dtype.kind in "fi"}
    np.savez_compressed(args.out / "sensorium_truth.npz", **numbers)
    np.savez_compressed(args.out / "truth.npz", **recording.truth())
    variants.write(args.out / "variants", args.seed)


if __name__ == "__main__":
    main()

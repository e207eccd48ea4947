"""A two-photon recording of a simulated experiment: what the files of all formats are written from.

`striate simulate` gives images and spike counts. Here the counts become spikes on imaging frames, calcium, and the
traces of an Allen recording. Everything that is put in is kept, so that what a reader gives can be compared with it bit
by bit.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 30.0
"""Imaging frames a second."""
DECAY = float(np.exp(-1.0 / (0.4 * RATE)))
"""What is left of the calcium of a spike a frame later: a time constant of .4 s, as of GCaMP6f."""
AMPLITUDE = 0.08
"""dF/F of a spike."""
LEAD, TAIL = 50, 50
"""Frames of spontaneous activity before the first presentation and after the last."""
LONG = 0.15
"""How many presentations last 8 frames instead of 7."""


@dataclass
class Recording:
    """Images (images, height, width) u8; presentations in order; traces (neurons, frames) f32; behaviour."""

    images: np.ndarray
    expected: np.ndarray
    order: np.ndarray
    start: np.ndarray
    end: np.ndarray
    counts: np.ndarray
    timestamps: np.ndarray
    spikes: np.ndarray
    traces: dict
    r: np.ndarray
    running: np.ndarray
    pupil: np.ndarray
    pupil_times: np.ndarray
    pupil_location: np.ndarray
    cell_ids: np.ndarray
    roi_ids: np.ndarray

    def truth(self):
        """Everything, for truth.npz."""
        neuropil = self.r[:, None] * self.traces["neuropil"].astype("f8")
        return {
            "corrected_from_demixed": (self.traces["demixed"].astype("f8") - neuropil).astype("f4"),
            "corrected_from_raw": (self.traces["raw"].astype("f8") - neuropil).astype("f4"),
            "images": self.images, "expected": self.expected, "order": self.order, "start": self.start,
            "end": self.end, "counts": self.counts, "timestamps": self.timestamps, "spikes": self.spikes,
            "r": self.r, "running": self.running, "pupil": self.pupil, "pupil_times": self.pupil_times,
            "pupil_location": self.pupil_location, "cell_ids": self.cell_ids, **self.traces,
        }


def simulate(striate, folder, images, size, neurons, repeats, seed):
    """Runs `striate simulate`, and reads what it wrote: images, counts (NaN where missing), mean counts."""
    numbers = {"images": images, "size": size, "neurons": neurons, "repeats": repeats, "seed": seed}
    options = [f"--{name}={number}" for name, number in numbers.items()]
    subprocess.run([striate, "simulate", *options, "--out", folder], check=True, stdout=subprocess.DEVNULL)
    folder = Path(folder)
    pictures = np.load(folder / "images.npy")
    # Higher than wide would hide a transposed image: the first and the last row are cut off.
    return pictures[:, 1:-1, :], np.load(folder / "responses.npy"), np.load(folder / "truth.npy")


def present(counts, expected, random):
    """The order of presentations, -1 for the blank: (presentations,), and their counts: (presentations, neurons).

    The k-th presentation of an image has the k-th repeat's counts. A repeat that some neuron lacks is not shown.
    """
    n_neurons, n_images, repeats = counts.shape
    shown = [(i, k) for i in range(n_images) for k in range(repeats) if np.isfinite(counts[:, i, k]).all()]
    shown += [(-1, k) for k in range(repeats)]
    order = np.array([image for image, _ in shown])[random.permutation(len(shown))]
    seen = dict.fromkeys(range(-1, n_images), 0)
    each = np.zeros((len(order), n_neurons))
    usable = {i: [k for j, k in shown if j == i] for i in range(-1, n_images)}
    for at, image in enumerate(order):
        repeat = usable[image][seen[image]]
        seen[image] += 1
        grey = random.poisson(0.3 * expected.mean(axis=1))
        each[at] = grey if image < 0 else counts[:, image, repeat]
    return order, each


def spikes_of(each, start, end, frames, random):
    """Counts on the frames of their presentation, from its second frame on: (neurons, frames)."""
    spikes = np.zeros((each.shape[1], frames))
    for at, (first, last) in enumerate(zip(start, end)):
        for neuron, count in enumerate(each[at]):
            np.add.at(spikes[neuron], random.integers(first + 1, last, int(count)), 1)
    quiet = np.ones(frames, bool)
    quiet[start[0]:end[-1]] = False
    spikes[:, quiet] = random.poisson(0.02, (each.shape[1], quiet.sum()))
    return spikes.astype("i2")


def traces_of(spikes, random):
    """All traces of an Allen recording, f32, and the share of the neuropil."""
    neurons, frames = spikes.shape
    calcium = np.zeros_like(spikes)
    for frame in range(frames):
        before = calcium[:, frame - 1] if frame else 0.0
        calcium[:, frame] = DECAY * before + spikes[:, frame]
    dff = AMPLITUDE * calcium + 0.03 * random.standard_normal(spikes.shape)
    baseline = random.uniform(200, 600, (neurons, 1))
    slow = 1 + 0.1 * np.sin(np.arange(frames) / frames * 9 + random.uniform(0, 6, (neurons, 1)))
    neuropil = 300 * slow + 8 * random.standard_normal(spikes.shape)
    r = random.uniform(0.3, 0.9, neurons)
    demixed = baseline * (1 + dff) + r[:, None] * neuropil
    raw = demixed + 0.02 * np.roll(demixed, 1, axis=0)
    events = np.where(spikes > 0, AMPLITUDE * spikes, 0.0)
    series = {"dff": dff, "neuropil": neuropil, "demixed": demixed, "raw": raw, "events": events}
    return {name: value.astype("f4") for name, value in series.items()}, r


def record(images, counts, expected, seed):
    """The whole recording."""
    random = np.random.default_rng(seed)
    order, each = present(counts, expected, random)
    lengths = 7 + (random.random(len(order)) < LONG)
    # A pause of spontaneous activity in the middle, as between the blocks of a session.
    pause = np.zeros(len(order), int)
    pause[len(order) // 2] = 45
    start = LEAD + np.concatenate([[0], np.cumsum(lengths)[:-1]]) + np.cumsum(pause)
    end = start + lengths
    frames = int(end[-1]) + TAIL
    spikes = spikes_of(each, start, end, frames, random)
    traces, r = traces_of(spikes, random)
    timestamps = 8.5 + np.cumsum(1 / RATE + random.uniform(-2e-4, 2e-4, frames))
    running = np.maximum(0, 12 * np.sin(np.arange(frames) / 40) + random.standard_normal(frames))
    pupil = 900 + 200 * np.sin(np.arange(frames) / 55) + random.standard_normal(frames)
    pupil[frames // 3:frames // 3 + 20] = np.nan
    location = np.column_stack([np.sin(np.arange(frames) / 30), np.cos(np.arange(frames) / 50)]) * 3
    neurons = counts.shape[0]
    return Recording(
        images, expected, order, start, end, each, timestamps, spikes, traces, r.astype("f8"),
        running.astype("f4"), pupil, timestamps + 0.004, location,
        517_400_000 + np.arange(neurons) * 37, np.arange(neurons) * 2 + 11,
    )

"""Writes tests/golden/responses.npz: the responses of the example recordings, by every definition, in plain NumPy.

Who runs it, and when: a developer, by hand, when a definition is added or the recordings of tests/golden/experiments are
made anew; the tests read the stored file and need no Python. It needs `pip install numpy` and is run from the root of
the repository:

    python tools/reference/responses.py

The formulas are those of the documentation, written once more without a thought of speed, in float64. Only the traces are
read from what the recordings were made of (truth.npz), not from the recordings.
"""

import numpy as np
GOLDEN = "tests/golden/"
RATE = 30.0
STATISTICS = {"mean": np.mean, "max": np.max, "sum": np.sum}


def arranged(values, images, n_images):
    """(neurons, trials) by image and repeat, in order of presentation: (neurons, images, repeats), NaN where missing."""
    repeats = max(np.bincount(images, minlength=n_images))
    found = np.full((len(values), n_images, repeats), np.nan)
    seen = dict.fromkeys(range(n_images), 0)
    for trial, image in enumerate(images):
        found[:, image, seen[image]] = values[:, trial]
        seen[image] += 1
    return found


def responses(truth, trace, window, baseline=None, statistic="mean", percent=False, blanks=False):
    """One number for each neuron and presentation whose windows lie inside the recording."""
    first, last = window if baseline is None else (min(window[0], baseline[0]), max(window[1], baseline[1]))
    n_images = len(truth["images"])
    values, images = [], []
    for image, start in zip(truth["order"], truth["start"]):
        if image < 0 and not blanks or start + first < 0 or start + last > trace.shape[1]:
            continue
        frames = trace[:, start + window[0]:start + window[1]].astype("f8")
        if baseline is not None:
            mean = trace[:, start + baseline[0]:start + baseline[1]].astype("f8").mean(axis=1, keepdims=True)
            frames = 100 * (frames / mean - 1) if percent else frames - mean
        values.append(STATISTICS[statistic](frames, axis=1))
        images.append(image if image >= 0 else n_images)
    return arranged(np.stack(values, axis=1), np.array(images), n_images + blanks)


def robust(x):
    return 1.4826 * np.median(np.abs(x - np.median(x)))


def running_median(x, frames):
    """Windows are shorter at the ends."""
    half = frames // 2
    return np.array([np.median(x[max(t - half, 0):t + half + 1]) for t in range(len(x))])


def noise(x):
    """The standard deviation of the noise of one trace."""
    x = x - running_median(x, 31)
    x = x[x < 1.5 * abs(x.min())]
    return robust(x[np.abs(x) < 2.5 * robust(x)])


def dff_median(f):
    f = f.astype("f8")
    base = np.stack([running_median(x, 5401) for x in f])
    floor = np.array([noise(x) for x in f])[:, None]
    dff = (f - base) / np.maximum(base, floor)
    most = np.array([2.5 * noise(x) for x in dff])[:, None]
    return dff - np.minimum([running_median(x, 101) for x in dff], most)


def dff_percentile(f, percent):
    """Of 5401 frames, fewer at the ends; where the rank is a whole number, the mean of the values around it."""
    f = f.astype("f8")
    base = np.empty_like(f)
    for t in range(f.shape[1]):
        window = f[:, max(t - 2700, 0):t + 2701]
        base[:, t] = np.percentile(window, percent, axis=1, method="averaged_inverted_cdf")
    return (f - base) / base


def dff_mode(f):
    """Mode of 5400 frames in whole units, the smallest of equals; then the mean of that over 3000."""
    f = f.astype("f8")
    modes, base = np.empty_like(f), np.empty_like(f)
    for n, x in enumerate(f):
        for t in range(len(x)):
            units, counts = np.unique(np.rint(x[max(t - 2700, 0):t + 2700]), return_counts=True)
            modes[n, t] = units[np.argmax(counts)]
        for t in range(len(x)):
            base[n, t] = modes[n, max(t - 1500, 0):t + 1500].mean()
    return (f - base) / base


def main():
    truth = np.load(GOLDEN + "experiments/truth.npz")
    corrected, raw, dff, events = (truth[k] for k in ("corrected_from_demixed", "raw", "dff", "events"))
    seconds = [round(0.1 * RATE), round(0.5 * RATE)]
    found = {
        "sdk": responses(truth, corrected, (0, 14), (-28, 0), percent=True),
        "sdk-older": responses(truth, truth["corrected_from_raw"], (0, 14), (-28, 0), percent=True),
        "berget-dff": responses(truth, dff, (0, 7)),
        "berget-events": responses(truth, events, (0, 7), statistic="max"),
        "platform-events": responses(truth, events, (2, 12)),
        "blanks": responses(truth, dff, (0, 7), blanks=True),
        "seconds": responses(truth, raw, seconds),
        "maximum": responses(truth, raw, (3, 9), (-5, -1), statistic="max", percent=True),
        "sum": responses(truth, dff, (-2, 5), (-9, -2), statistic="sum"),
        "early": responses(truth, dff, (0, 7), (-60, 0)),
        "late": responses(truth, dff, (40, 70)),
        "dff-median": responses(truth, dff_median(corrected), (0, 7)),
        "dff-percentile": responses(truth, dff_percentile(corrected, 12.5), (0, 7)),
        "dff-mode": responses(truth, dff_mode(raw), (0, 7), (-7, 0)),
    }
    np.savez_compressed(GOLDEN + "responses.npz", **found)


if __name__ == "__main__":
    main()

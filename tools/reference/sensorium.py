"""Writes tests/golden/sensorium.json: the three Sensorium scores of small random recordings, by NumPy.

Who runs it, and when: a developer, by hand, and only when a case is added below; the tests read the stored file and
need no Python. It needs NumPy and is run from the root of the repository:

    python tools/reference/sensorium.py

Written with NumPy 2. The formulas are those of the competition's white paper: correlations with 1e-8 added to standard
deviations over n; FEV with variances over n - 1, of all trials and of the repeats of each image; FEVE averaged over the
neurons with a FEV of at least .15.
"""

import json
import numpy as np

CASES = [  # images, repeats at least and at most, neurons, size of the noise, seed
    (10, 10, 10, 6, 1.0, 1),
    (25, 2, 9, 4, 2.0, 2),
    (3, 2, 2, 3, 0.2, 3),
    (20, 4, 12, 8, 3.0, 4),
]


def correlation(y, p):
    y = (y - y.mean(0)) / (y.std(0) + 1e-8)
    p = (p - p.mean(0)) / (p.std(0) + 1e-8)
    return (y * p).mean(0)


def case(images, least, most, neurons, noise, seed):
    random = np.random.default_rng(seed)
    counts = random.integers(least, most + 1, images)
    shown = random.permutation(np.repeat(np.arange(images), counts))
    signal = random.gamma(2.0, 1.0, (images, neurons))
    y = (signal[shown] + noise * random.standard_normal((len(shown), neurons))).round(3).astype(np.float32)
    # Behaviour moves the prediction of every trial.
    p = (signal[shown] + 0.4 * random.standard_normal((len(shown), neurons))).round(3).astype(np.float32)
    responses, predictions = [[[round(v, 3) for v in row] for row in a.T.tolist()] for a in (y, p)]
    y, p = y.astype(np.float64), p.astype(np.float64)
    single = correlation(y, p)
    groups = [shown == image for image in range(images)]
    average = correlation(np.stack([y[g].mean(0) for g in groups]), np.stack([p[g].mean(0) for g in groups]))
    total = y.var(0, ddof=1)
    within = np.stack([y[g].var(0, ddof=1) for g in groups]).mean(0)
    error = ((y - p) ** 2).mean(0)
    fev = (total - within) / total
    feve = 1 - (error - within) / (total - within)
    return {
        "images": shown.tolist(),
        "responses": responses,
        "predictions": predictions,
        "single_trial_correlation": single.tolist(),
        "correlation_to_average": average.tolist(),
        "fev": fev.tolist(),
        "feve": feve.tolist(),
        "means": [single.mean(), average.mean(), feve[fev >= 0.15].mean()],
    }


cases = [case(*one) for one in CASES]
for one in cases:
    counted = sum(fev >= 0.15 for fev in one["fev"])
    assert counted > 0, "a case in which no neuron can be explained has no mean FEVE"
    print(len(one["images"]), "trials:", counted, "of", len(one["fev"]), "neurons count for FEVE")
with open("tests/golden/sensorium.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(one) for one in cases) + "\n]\n")

"""A mouse of the Sensorium competition: a file a trial and the tables beside them, by NumPy alone."""

import numpy as np

KEY = "20457-5-9"


def tiers_of(images):
    """A tier for each image: most train, two validate, the last four test, two of these in the final test."""
    tiers = np.array(["train"] * images, "<U10")
    tiers[-6:-4], tiers[-4:-2], tiers[-2:] = "validation", "test", "final_test"
    return tiers


def trials_of(order, tiers):
    """Presentations that the competition would have kept: each image once, but all of those that test."""
    seen, kept = set(), []
    for at, image in enumerate(order):
        if image >= 0 and (image not in seen or tiers[image] in ("test", "final_test")):
            kept.append(at)
            seen.add(image)
    return np.array(kept)


def write(parent, recording, seed):
    """The folder of one mouse inside `parent`; returns what went into it."""
    random = np.random.default_rng(seed)
    folder = parent / f"static{KEY}-GrayImageNet-94c6ff995dac583098847cfecd43e7b6"
    by_image = tiers_of(len(recording.images))
    kept = trials_of(recording.order, by_image)
    # Files lie in random order; trial_idx is the true one, with numbers missing.
    files = random.permutation(len(kept))
    at = kept[files]
    image, tiers = recording.order[at], by_image[recording.order[at]]
    windows = [slice(s, e) for s, e in zip(recording.start[at], recording.end[at])]
    responses = recording.counts[at] * random.uniform(0.5, 4, recording.counts.shape[1])
    responses[tiers == "final_test"] = 0
    size = np.array([np.nan_to_num(np.nanmean(recording.pupil[w]), nan=900.0) for w in windows])
    speed = [recording.running[w].mean() for w in windows]
    behaviour = np.column_stack([size, random.standard_normal(len(at)), speed])
    centre = np.array([recording.pupil_location[w].mean(axis=0) for w in windows])
    pictures = recording.images[image][:, None].astype("f4")
    data = {"images": pictures, "responses": responses, "behavior": behaviour, "pupil_center": centre}
    for name, values in data.items():
        (folder / "data" / name).mkdir(parents=True)
        for trial, value in enumerate(values):
            np.save(folder / "data" / name / f"{trial}.npy", value)
    ids = image * 31 + 1007
    trials = {"tiers": tiers, "frame_image_id": ids, "trial_idx": at * 3 + 2,
              "frame_image_class": np.array(["imagenet"] * len(at), "|S8")}
    tables(folder / "meta" / "trials", trials)
    positions = random.uniform(0, 600, (responses.shape[1], 3)).round(1)
    neurons(folder, positions)
    for name, values in {**data, "images": recording.images[np.unique(image)].astype("f4")}.items():
        statistics(folder / "meta" / "statistics" / name, values, scalar=name == "images")
    return {"responses": responses, "behaviour": behaviour, "pupil_centre": centre, "image_ids": ids, "tiers": tiers,
            "trial_idx": trials["trial_idx"], "positions": positions, "image": image}


def neurons(folder, positions):
    """Layers as unicode, areas as bytes: both occur."""
    count = len(positions)
    tables(folder / "meta" / "neurons", {
        "unit_ids": np.arange(count) * 5 + 1, "animal_ids": np.full(count, 20457), "sessions": np.full(count, 5),
        "scan_idx": np.full(count, 9), "area": np.array(["V1"] * count, "|S2"),
        "layer": np.array(["L2/3" if n % 2 else "L4" for n in range(count)]), "cell_motor_coordinates": positions})


def tables(folder, columns):
    """One file a column."""
    folder.mkdir(parents=True)
    for name, values in columns.items():
        np.save(folder / f"{name}.npy", values)


def statistics(folder, values, scalar):
    """Over all trials, and some of them under a second name; a number for images, else one a column."""
    axis = None if scalar else 0
    for tier, names in {"all": ["mean", "std", "min", "max", "median"], "stimulus_frame": ["std"]}.items():
        (folder / tier).mkdir(parents=True)
        for name in names:
            np.save(folder / tier / f"{name}.npy", getattr(np, name)(values, axis=axis))

"""Small NWB files that use what the schemas allow and Visual Coding's files do not: scales, permuted regions, clocks
by rate, series of other names, pauses. expected.npz holds what is in them, by NumPy alone."""

from datetime import datetime, timezone

import h5py
import numpy as np
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.base import Image, ImageReferences, Images
from pynwb.behavior import BehavioralTimeSeries, EyeTracking, PupilTracking, SpatialSeries
from pynwb.image import IndexSeries
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

FRAMES, RATE, START = 160, 12.5, 3.25
"""Of the file by pynwb."""
NAMES = ["zebra", "apple", "mango_7", "fig_1"]
"""Images, in the order of their indices."""


def write(folder, seed):
    """All files, and what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    expected = {}
    for name, make in [("scaled", scaled), ("two_series", two_series), ("paused", paused), ("pipeline", pipeline)]:
        found = make(folder / f"{name}.nwb", random)
        expected.update({f"{name}_{key}": value for key, value in found.items()})
    np.savez_compressed(folder / "expected.npz", **expected)


def stored(random, shape):
    """Numbers as a camera counts them."""
    return random.integers(-3000, 3000, shape).astype("i2")


def scaled(path, random):
    """By pynwb: whole numbers with conversion and offset, regions permuted, clocks by rate, images in an order."""
    file = NWBFile(session_description="variants", identifier="variants",
                   session_start_time=datetime(2020, 1, 2, tzinfo=timezone.utc))
    device = file.create_device(name="Scope")
    plane = file.create_imaging_plane(
        name="Plane0", optical_channel=OpticalChannel(name="green", description="green", emission_lambda=520.0),
        device=device, location="VISl, layer 2/3", indicator="GCaMP8m", excitation_lambda=920.0,
        description="400 um field of view, 175 microns deep, 2 planes", imaging_rate=25.0)
    cells = PlaneSegmentation(name="Cells", description="regions", imaging_plane=plane)
    for roi in range(6):
        cells.add_roi(id=100 + 7 * roi, pixel_mask=[(roi, 1, 1.0)])
    module = file.create_processing_module(name="calcium", description="traces")
    module.add(ImageSegmentation(name="ImageSegmentation", plane_segmentations=cells))
    region = lambda rows: cells.create_roi_table_region(region=rows, description="regions")
    clock = {"starting_time": START, "rate": RATE}
    dff, around = stored(random, (FRAMES, 4)), stored(random, (FRAMES, 5))
    rows, others = [5, 0, 3, 2], [2, 3, 0, 1, 5]
    module.add(DfOverF(name="DfOverF", roi_response_series=RoiResponseSeries(
        name="RoiResponseSeries", data=dff, rois=region(rows), unit="n.a.", conversion=0.002, offset=-0.125, **clock)))
    module.add(Fluorescence(name="Fluorescence", roi_response_series=RoiResponseSeries(
        name="Neuropil", data=around, rois=region(others), unit="a.u.", conversion=0.5, offset=900.0, **clock)))
    behaviour = file.create_processing_module(name="behavior", description="behaviour")
    speed, pupil, centre = stored(random, 260), stored(random, 90), stored(random, (90, 2))
    slow = {"starting_time": START - 1, "rate": 5.0}
    behaviour.add(BehavioralTimeSeries(time_series=TimeSeries(
        name="running_speed", data=speed, unit="m/s", conversion=1e-4, offset=0.02, starting_time=START, rate=20.0)))
    behaviour.add(PupilTracking(time_series=TimeSeries(
        name="pupil_size", data=pupil, unit="px", conversion=0.01, offset=40.0, **slow)))
    behaviour.add(EyeTracking(spatial_series=SpatialSeries(
        name="pupil_location", data=centre, unit="m", conversion=0.1, offset=-1.0, reference_frame="screen", **slow)))
    pixels = random.integers(0, 256, (len(NAMES), 6, 9), dtype=np.uint8)
    pictures = {name: Image(name=name, data=one) for name, one in zip(NAMES, pixels)}
    images = Images(name="my_pictures", description="images", images=[pictures[name] for name in sorted(NAMES)],
                    order_of_images=ImageReferences(name="order_of_images", data=[pictures[name] for name in NAMES]))
    file.add_stimulus_template(images)
    starts = np.arange(10, 150, 5)
    order = random.integers(0, len(NAMES), len(starts))
    file.add_stimulus(IndexSeries(name="natural_scenes_stimulus", data=order.astype("u4"), indexed_images=images,
                                  unit="N/A", starting_time=START + starts[0] / RATE, rate=RATE / 5))
    with NWBHDF5IO(path, "w") as io:
        io.write(file, cache_spec=False)
    times = START + starts / RATE

    def mean(data, first, rate, scale):
        """Over samples within each presentation."""
        samples = first + np.arange(len(data)) / rate
        inside = [(samples >= t - 1e-9) & (samples < t + 5 / RATE - 1e-9) for t in times]
        return np.array([scale(data[i].astype("f8")).mean(0) for i in inside])

    return {
        "dff": (dff.T * 0.002 - 0.125), "ids": 100 + 7 * np.array(rows),
        "neuropil": (around[:, [others.index(row) for row in rows]].T * 0.5 + 900.0),
        "images": pixels, "order": order, "start": starts,
        "speed": mean(speed, START, 20.0, lambda v: 100 * (v * 1e-4 + 0.02)),
        "pupil": mean(pupil, START - 1, 5.0, lambda v: v * 0.01 + 40.0),
        "centre": mean(centre, START - 1, 5.0, lambda v: v * 0.1 - 1.0),
    }


def bare(file, images, order, times):
    """What a reader needs beside traces."""
    file.attrs["nwb_version"] = "2.4.0"
    shown = file.create_group("stimulus/presentation/natural_scenes_stimulus")
    shown["data"], shown["timestamps"] = order.astype("u4"), times
    for k, picture in enumerate(images):
        file[f"stimulus/templates/natural_scenes_template/scene{k}"] = picture


def two_series(path, random):
    """By h5py, without types: two series of dF/F in percent, of two tables; no depth in the plane's text."""
    images = random.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    order = random.integers(0, 3, 12)
    times = 1.0 + np.arange(100) / 8.0
    found = {}
    with h5py.File(path, "w") as file:
        bare(file, images, order, times[5:89:7])
        ophys = file.create_group("processing/ophys")
        for name, neurons in [("left", 2), ("right", 3)]:
            data = random.normal(size=(100, neurons)).astype("f4") * 100
            table = ophys.create_group(f"ImageSegmentation/{name}_cells")
            table["id"] = 10 * neurons + np.arange(neurons)
            table["area"] = np.arange(neurons) + 55.5
            series = ophys.create_group(f"DfOverF/{name}")
            series["data"], series["timestamps"] = data, times
            series["data"].attrs["unit"] = "percent"
            series["timestamps"].attrs["unit"] = "seconds"
            series["rois"] = np.arange(neurons)[::-1]
            series["rois"].attrs["table"] = table.ref
            found[f"{name}_dff"] = data.T.astype("f8") / 100
            found[f"{name}_ids"] = (10 * neurons + np.arange(neurons))[::-1]
        plane = file.create_group("general/optophysiology/ImagingPlane")
        plane["location"], plane["description"] = "unknown", "Plane 2 of 8, 400 um field of view"
    return found


def paused(path, random):
    """By h5py: regions first, 10 Hz with jitter, a pause of 6 s after frame 79, a time too many, one frame lost."""
    images = random.integers(0, 256, (2, 4, 5), dtype=np.uint8)
    times = 50 + np.arange(201) / 10 + random.uniform(-0.02, 0.02, 201)
    times[80:] += 6.0
    times[150:] += 0.1
    first = times[np.array([10, 30, 60, 78, 90, 120, 148, 185, 197])] + 0.01
    # Before the first frame, in the pause, after the last frame.
    outside = [48.0, 61.0, times[-1] + 2.0]
    shown = np.sort(np.concatenate([first, outside]))
    order = np.arange(len(shown)) % 2
    data = random.normal(size=(3, 200)).astype("f4")
    with h5py.File(path, "w") as file:
        bare(file, images, order, shown)
        series = file.create_group("processing/ophys/DfOverF/DfOverF")
        series["data"], series["timestamps"] = data, times
        file["processing/ophys/ImageSegmentation/PlaneSegmentation/id"] = np.array([4, 8, 15])
    return {"dff": data, "times": times[:200], "shown": shown, "order": order}


def pipeline(path, random):
    """By h5py, NWB 1: scales, one trace frame too few, and presentations beyond both ends of the traces."""
    root = "processing/brain_observatory_pipeline"
    data, speed = stored(random, (3, 90)), stored(random, 91)
    times = 5 + np.arange(91) / 30
    frames = np.array([[-4, 3], [3, 10], [40, 47], [88, 95], [95, 102]])
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
        series = file.create_group(f"{root}/DfOverF/imaging_plane_1")
        series["data"], series["timestamps"] = data, times
        series["data"].attrs.update({"conversion": 0.001, "offset": 0.25, "resolution": np.nan})
        running = file.create_group(f"{root}/BehavioralTimeSeries/running_speed")
        running["data"] = speed
        running["data"].attrs.update({"conversion": 0.01, "unit": "mm/s"})
        running["starting_time"] = 5.0
        running["starting_time"].attrs.update({"rate": 30.0, "unit": "Seconds"})
        file[f"{root}/ImageSegmentation/cell_specimen_ids"] = np.array([3, 1, 2])
        shown = file.create_group("stimulus/presentation/natural_scenes")
        shown["data"], shown["frame_duration"] = np.arange(5) % 2, frames
        file["analysis/first_frames"] = np.array([3, 10, 40, 60, 80])
        file["stimulus/templates/natural_scenes_image_stack/data"] = random.integers(0, 256, (2, 4, 5), dtype=np.uint8)
        plane = file.create_group("general/optophysiology/imaging_plane_1")
        plane["location"], plane["imaging depth"] = "VISp", "275 microns"
    speeds = [speed[a:b].mean() * 0.001 for a, b in [(3, 10), (40, 47)]]
    return {"dff": data * 0.001 + 0.25, "speed": np.array(speeds)}

"""Allen Brain Observatory, Visual Coding 2P, NWB 1: the layout of two releases of the pipeline, by h5py alone."""

import h5py
import numpy as np

PIPELINE = "processing/brain_observatory_pipeline"
FIXED = {"session_type": "three_session_B", "session_id": "501498760", "experiment_container_id": "511510667",
         "specimen_name": "Cux2-CreERT2;Ai93-simulated", "fov": "400x400 microns (512 x 512 pixels)"}
PLANE = {"location": "VISp", "imaging depth": "275 microns", "indicator": "GCaMP6f",
         "excitation_lambda": "910 nanometers"}


class Variant:
    """How one release wrote its arrays and texts."""

    def __init__(self, new):
        self.new = new
        self.order = "<" if new else ">"

    def array(self, group, name, data, chunks=None):
        """The new release compresses in chunks; the old one is contiguous and big endian."""
        data = np.asarray(data)
        data = data.astype(data.dtype.newbyteorder(self.order))
        packed = {"chunks": chunks or True, "compression": "gzip", "shuffle": True} if self.new else {}
        return group.create_dataset(name, data=data, **packed)

    def text(self, group, name, value):
        """Texts of variable length in the new release, of fixed length in the old one."""
        kind = h5py.string_dtype() if self.new else None
        group.create_dataset(name, data=value if self.new else np.bytes_(value), dtype=kind)


def write(path, recording, new):
    """`new`: pipeline 2.0 (demixed traces, neuropil in a group of its own, pupil, suffix `_stimulus`); else 0.9."""
    variant = Variant(new)
    with h5py.File(path, "w") as file:
        general(file, variant)
        pipeline = file.create_group(PIPELINE)
        traces(pipeline, variant, recording)
        behaviour(pipeline, variant, recording)
        stimulus(file, variant, recording)


def general(file, variant):
    """What is known of the session."""
    variant.text(file, "nwb_version", "NWB-1.0.6" if variant.new else "NWB-1.0.5")
    group = file.create_group("general")
    for name, value in FIXED.items():
        variant.text(group, name, value)
    if variant.new:
        group.create_dataset("generated_by", data=["simulated", "2016-10-01", "pipeline", "2.0"],
                             dtype=h5py.string_dtype())
    subject = group.create_group("subject")
    for name, value in {"age": "103 days", "sex": "male", "genotype": "Cux2-CreERT2/wt;Ai93/wt"}.items():
        variant.text(subject, name, value)
    plane = group.create_group("optophysiology/imaging_plane_1")
    for name, value in PLANE.items():
        variant.text(plane, name, value)


def traces(pipeline, variant, recording):
    """Fluorescence, dF/F and cells; (neurons, frames)."""
    series = recording.traces
    neurons = len(recording.r)
    chunks = (max(1, neurons // 2), 128)
    plane = pipeline.create_group("Fluorescence/imaging_plane_1")
    variant.array(plane, "data", series["raw"], chunks)
    variant.array(plane, "timestamps", recording.timestamps)
    names = [f"roi_{roi}".encode() for roi in recording.roi_ids]
    plane.create_dataset("roi_names", data=np.array(names, "S12"))
    if variant.new:
        neuropil = pipeline.create_group("Fluorescence/imaging_plane_1_neuropil_response")
        variant.array(neuropil, "data", series["neuropil"], chunks)
        variant.array(neuropil, "r", recording.r)
        neuropil["timestamps"] = h5py.SoftLink(f"{plane.name}/timestamps")
        demixed = pipeline.create_group("Fluorescence/imaging_plane_1_demixed_signal")
        variant.array(demixed, "data", series["demixed"], chunks)
        demixed["timestamps"] = h5py.SoftLink(f"{plane.name}/timestamps")
    else:
        variant.array(plane, "neuropil_traces", series["neuropil"])
        variant.array(plane, "r", recording.r)
    change = pipeline.create_group("DfOverF/imaging_plane_1")
    variant.array(change, "data", series["dff"], chunks)
    # A soft link in one release, a second hard link to the same array in the other.
    change["timestamps"] = h5py.SoftLink(f"{plane.name}/timestamps") if variant.new else plane["timestamps"]
    cells = pipeline.create_group("ImageSegmentation")
    variant.array(cells, "cell_specimen_ids", recording.cell_ids)
    cells.create_dataset("roi_ids", data=np.array([str(roi).encode() for roi in recording.roi_ids], "S8"))
    cells.create_dataset("imaging_plane_1/roi_list", data=np.array(names, "S12"))


def behaviour(pipeline, variant, recording):
    """Running speed, shorter than the traces (and a column in the old release); the pupil in the new one."""
    group = pipeline.create_group("BehavioralTimeSeries/running_speed")
    first, last = (0, len(recording.running) - 2) if variant.new else (5, len(recording.running) - 9)
    speed = recording.running[first:last]
    variant.array(group, "data", speed if variant.new else speed[:, None])
    variant.array(group, "timestamps", recording.timestamps[first:last])
    if not variant.new:
        return
    size = pipeline.create_group("PupilTracking/pupil_size")
    variant.array(size, "data", recording.pupil)
    variant.array(size, "timestamps", recording.pupil_times)
    location = pipeline.create_group("EyeTracking/pupil_location")
    variant.array(location, "data", recording.pupil_location)
    location["timestamps"] = h5py.SoftLink(f"{size.name}/timestamps")


def stimulus(file, variant, recording):
    """Natural scenes in imaging frames, spontaneous activity, and gratings, which have no images."""
    suffix = "_stimulus" if variant.new else ""
    shown = file.create_group(f"stimulus/presentation/natural_scenes{suffix}")
    variant.array(shown, "data", recording.order.astype("i4"))
    variant.array(shown, "frame_duration", np.column_stack([recording.start, recording.end]).astype("i8"))
    variant.array(shown, "timestamps", recording.timestamps[recording.start])
    quiet = file.create_group(f"stimulus/presentation/spontaneous{suffix}")
    quiet.create_dataset("data", data=np.array([1, -1], "i1"))
    last = int(recording.start[0])
    quiet.create_dataset("frame_duration", data=np.array([[0, 0], [last, last]], "i8"))
    grating = file.create_group(f"stimulus/presentation/static_gratings{suffix}")
    grating.create_dataset("data", data=np.array([[30.0, 0.04, 0.25]], "f4"))
    grating.create_dataset("frame_duration", data=np.array([[1, 8]], "i8"))
    grating.create_dataset("features", data=np.array([b"orientation", b"spatial_frequency", b"phase"]))
    stack = file.create_group("stimulus/templates/natural_scenes_image_stack")
    # Bytes stored as floats, as in the published files.
    pixels = recording.images.astype("f4" if variant.new else "u1")
    variant.array(stack, "data", pixels, (1, *pixels.shape[1:]))

"""The NWB 2 conversion of Visual Coding 2P, written by pynwb as the converter writes it."""

from datetime import datetime, timezone

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.base import Image, Images
from pynwb.behavior import BehavioralTimeSeries, EyeTracking, PupilTracking, SpatialSeries
from pynwb.file import Subject
from pynwb.image import IndexSeries
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

BLANK = 4_294_967_295
"""-1 as an unsigned number of 32 bits, which is what the converter made of it."""


def write(path, recording):
    """Traces (frames, neurons); timestamps linked; an image a scene; no end of a presentation."""
    file = NWBFile(
        session_description="a simulated session", identifier="simulated", session_id="501498760-StimB",
        session_start_time=datetime(2016, 2, 4, 12, tzinfo=timezone.utc), institution="none",
        notes="Container ID: 511510667\nSession type: three_session_B",
        subject=Subject(subject_id="222426", age="P103D", sex="M", species="Mus musculus",
                        genotype="Cux2-CreERT2/wt;Ai93/wt"),
    )
    plane = imaging_plane(file)
    cells = segmentation(plane, recording)
    processing(file, cells, recording)
    behaviour(file, recording)
    stimulus(file, recording)
    with NWBHDF5IO(path, "w") as io:
        io.write(file, cache_spec=False)


def imaging_plane(file):
    """Where was recorded."""
    device = file.create_device(name="Microscope", description="a simulated microscope")
    channel = OpticalChannel(name="OpticalChannel", description="green", emission_lambda=520.0)
    return file.create_imaging_plane(
        name="ImagingPlane", optical_channel=channel, device=device, location="VISp", indicator="GCaMP6f",
        description="The imaging plane at 275 microns depth.", excitation_lambda=910.0, imaging_rate=30.0,
    )


def segmentation(plane, recording):
    """The neurons; their cell specimen ids are a column."""
    cells = PlaneSegmentation(name="PlaneSegmentation", description="Regions of interest.", imaging_plane=plane)
    cells.add_column(name="global_roi_id", description="The id of each region across sessions.")
    for roi, cell in zip(recording.roi_ids, recording.cell_ids):
        cells.add_roi(id=int(roi), pixel_mask=[(3, 4, 1.0), (3, 5, 0.5)], global_roi_id=int(cell))
    return cells


def processing(file, cells, recording):
    """Fluorescence and dF/F; one array of times, which all others link."""
    module = file.create_processing_module(name="ophys", description="Processed optical physiology.")
    module.add(ImageSegmentation(name="ImageSegmentation", plane_segmentations=cells))
    region = cells.create_roi_table_region(
        region=list(range(len(recording.r))), description="The regions of these responses.")
    truth = recording.truth()

    def series(name, trace, times):
        data = H5DataIO(truth[trace].T.copy(), compression="gzip", shuffle=True, chunks=(100, truth[trace].shape[0]))
        return RoiResponseSeries(name=name, description=trace, data=data, timestamps=times, unit="n.a.", rois=region)

    first = series("Corrected", "corrected_from_demixed", recording.timestamps)
    others = [series(name, name.lower(), first) for name in ["Neuropil", "Demixed"]]
    module.add(Fluorescence(name="Fluorescence", roi_response_series=[*others, first]))
    module.add(DfOverF(name="DfOverF", roi_response_series=[
        series("DfOverF", "dff", first), series("DfOverFEvents", "events", first)]))
    module.add(DynamicTable(
        name="ContaminationRatios", description="Shares of the neuropil.",
        columns=[VectorData(name="ratios", description="shares", data=recording.r)]))


def behaviour(file, recording):
    """Running speed and the pupil, on clocks of their own."""
    module = file.create_processing_module(name="behavior", description="Processed behavioral data.")
    times = recording.timestamps
    module.add(BehavioralTimeSeries(time_series=TimeSeries(
        name="running_speed", data=recording.running[:-2], timestamps=times[:-2], unit="cm/s")))
    module.add(PupilTracking(time_series=TimeSeries(
        name="pupil_size", data=recording.pupil, timestamps=recording.pupil_times, unit="px")))
    module.add(EyeTracking(spatial_series=SpatialSeries(
        name="pupil_location", data=recording.pupil_location, timestamps=recording.pupil_times, unit="m",
        reference_frame="(0,0) is the center of the monitor.")))


def stimulus(file, recording):
    """Natural scenes: a picture each, and an index of them in seconds."""
    scenes = Images(
        name="natural_scenes_template", description="Natural scenes.",
        images=[Image(name=f"NaturalScene{k}", data=picture, description="a scene")
                for k, picture in enumerate(recording.images)])
    file.add_stimulus_template(scenes)
    shown = recording.order.astype("i8").astype("u4")
    assert BLANK in shown
    file.add_stimulus(IndexSeries(
        name="natural_scenes_stimulus", description="Order of the scenes.", data=shown, indexed_images=scenes,
        unit="N/A", timestamps=recording.timestamps[recording.start]))

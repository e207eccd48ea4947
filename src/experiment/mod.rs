//! Recorded experiments, whatever wrote them: neurons, presentations, images, and traces or responses.
//!
//! [`open`] recognises the format and reads headers and short series. Traces, responses and images are read
//! in pieces from their file when they are asked for, so that a recording does not have to fit in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::io::store::{self, Store};

mod clock;
mod mapped;
mod nwb;
mod nwb1;
mod nwb2;
mod plain;
mod presentations;
mod sensorium;
mod series;
mod stimuli;
pub mod suite2p;
mod summary;
mod table_of_traces;
mod trace_file;
mod traces;
mod trials;
mod wording;

pub use clock::Clock;
pub use sensorium::data_key;
pub use stimuli::Stimuli;
pub use summary::{Missing, Pictures, SeriesSummary, Summary, TierCount};
pub use trace_file::TraceFile;
pub use traces::{Trace, Traces};
pub use trials::{Statistics, TrialResponses};

/// What to open, and as what.
#[derive(Debug, Clone, Default)]
pub struct ExperimentRequest {
    /// A file or a folder.
    pub path: PathBuf,
    /// Events of an Allen recording, which lie in a file of their own: an `.npz` with the key `ev`, (neurons,
    /// frames).
    pub events: Option<PathBuf>,
    /// For files of named arrays: what is what, and where it lies in the file.
    ///
    /// | key | what |
    /// |---|---|
    /// | `images` | (images, height, width[, 3]) or (images, 1 or 3, height, width); always needed |
    /// | `responses` | (neurons, images[, repeats]), NaN where missing; with `stimulus`: (neurons, trials) |
    /// | `dff`, `corrected`, `raw`, `neuropil`, `demixed`, `events` | traces (neurons, frames) instead |
    /// | `stimulus` | the image of each presentation, -1 for a blank sweep; needed with traces |
    /// | `start`, `end` | its first frame, and the frame after its last; `start` is needed with traces |
    /// | `rate` | frames a second: a number, or a path to one |
    /// | `timestamps` | the time of each frame in seconds, instead of `rate` |
    /// | `running_speed`, `pupil` | a number for each presentation |
    /// | `ids`, `area`, `layer`, `depth` | a text or a number for each neuron |
    ///
    /// Presentations without `end` last until the next one, as of NWB 2.
    pub map: Vec<(String, String)>,
    /// The stimulus; `natural_scenes` where none is named.
    pub stimulus: Option<String>,
    /// The series of dF/F (or of fluorescence) of an NWB 2 file, where it has several: its name, or as much
    /// of its path as tells it from others.
    pub series: Option<String>,
    /// The axes of the responses in a folder, where their lengths do not tell them apart: as
    /// [`crate::io::responses::Layout`] is read.
    pub layout: Option<String>,
    /// Images at a quarter of their height and width, as the models of Sensorium see them, from 0 to 1 where
    /// they were bytes: bilinear without antialiasing.
    pub rescale: bool,
}

/// What wrote an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Allen Brain Observatory, Visual Coding 2P, NWB 1.
    AllenNwb1,
    /// The same, converted to NWB 2.
    AllenNwb2,
    /// A mouse of the Sensorium competition of 2022.
    Sensorium,
    /// A folder of images, responses and tables.
    Plain,
    /// Named arrays of an HDF5 or `.npz` file.
    Mapped,
}

impl Format {
    /// For people and records.
    pub fn name(self) -> &'static str {
        match self {
            Format::AllenNwb1 => "Allen Visual Coding 2P, NWB 1",
            Format::AllenNwb2 => "Allen Visual Coding 2P, NWB 2",
            Format::Sensorium => "Sensorium 2022",
            Format::Plain => "folder of images and responses",
            Format::Mapped => "named arrays",
        }
    }
}

/// An open experiment.
pub struct Experiment {
    /// What was opened.
    pub path: PathBuf,
    /// What wrote it.
    pub format: Format,
    /// What the file says of the session, for people: a name and a value each.
    pub facts: Vec<(String, String)>,
    /// What is odd about the file, and what was made of it: a sentence each, without a full stop.
    pub warnings: Vec<String>,
    /// In the order of all traces and responses.
    pub neurons: Vec<Neuron>,
    /// In order of presentation.
    pub trials: Vec<Trial>,
    /// The images that trials refer to.
    pub stimuli: Stimuli,
    /// What was recorded of the neurons.
    pub recorded: Recorded,
}

impl std::fmt::Debug for Experiment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (neurons, trials) = (self.neurons.len(), self.trials.len());
        write!(f, "{}: {}, {neurons} neurons, {trials} trials", self.path.display(), self.format.name())
    }
}

/// What is known of a neuron; texts are empty where the recording does not say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Neuron {
    /// Its name in the recording: a cell specimen id, a unit id.
    pub id: String,
    /// The area that it lies in.
    pub area: String,
    /// The cortical layer.
    pub layer: String,
    /// Depth below the surface of the cortex, in micrometres.
    pub depth: Option<f64>,
    /// Position in the recording's own axes, in micrometres.
    pub position: Option<[f64; 3]>,
}

/// One presentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Index into the stimuli; none for a blank sweep.
    pub image: Option<usize>,
    /// The first imaging frame of the presentation, where traces were recorded.
    pub start: Option<usize>,
    /// The imaging frame after the last one.
    pub end: Option<usize>,
    /// When the presentation began, on the recording's clock; NaN where unknown.
    pub seconds: f64,
    /// Mean running speed over the presentation, in cm/s; NaN where unknown.
    pub running_speed: f32,
    /// Mean size of the pupil over the presentation, in the recording's units; NaN where unknown.
    pub pupil: f32,
    /// Mean centre of the pupil over the presentation, horizontal and vertical, in the recording's units; NaN
    /// where unknown.
    pub pupil_centre: [f32; 2],
    /// Why no imaging frame belongs to it, where traces were recorded and none does.
    pub outside: Option<Outside>,
    /// What the presentation is for, where the recording says.
    pub tier: Option<Tier>,
    /// Its name in the recording; may be empty.
    pub id: String,
}

impl Default for Trial {
    fn default() -> Self {
        Trial {
            image: None,
            start: None,
            end: None,
            seconds: f64::NAN,
            running_speed: f32::NAN,
            pupil: f32::NAN,
            pupil_centre: [f32::NAN; 2],
            outside: None,
            tier: None,
            id: String::new(),
        }
    }
}

/// When presentations were shown that no imaging frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Before the first frame.
    Before,
    /// In a pause of the frames.
    Pause,
    /// After the last frame.
    After,
}

/// What presentations are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Models are fitted to them.
    Train,
    /// Settings are chosen by them.
    Validation,
    /// Models are scored on them.
    Test,
    /// The second test set of a competition.
    FinalTest,
}

impl Tier {
    /// All of them.
    pub const ALL: [Tier; 4] = [Tier::Train, Tier::Validation, Tier::Test, Tier::FinalTest];

    /// As Sensorium's files and our tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Train => "train",
            Tier::Validation => "validation",
            Tier::Test => "test",
            Tier::FinalTest => "final_test",
        }
    }
}

/// What was recorded of the neurons.
pub enum Recorded {
    /// Traces over imaging frames, from which responses are still to be made.
    Traces(Traces),
    /// One number for each trial and neuron.
    Trials(TrialResponses),
}

/// Frames a second that no microscope reaches over a field of view.
const MOST_FRAMES: f64 = 10_000.0;

/// Recognises the format and reads headers and short series.
///
/// # Errors
/// Whatever is missing, damaged or does not fit, with the file and the path in it; a path that is none of the
/// formats.
pub fn open(request: &ExperimentRequest) -> Result<Experiment> {
    let folder = request.path.is_dir();
    if request.layout.is_some() && !(folder && plain::recognise(&request.path)) {
        let found = "the recording's format says the order of its axes";
        let wanted = "a folder with responses.npy, .npz or .csv";
        return Err(Error::new(Kind::Usage, "--responses-layout", found, wanted, "Leave it out"));
    }
    let mut experiment = if folder { open_folder(request)? } else { open_file(request)? };
    if let Recorded::Traces(traces) = &experiment.recorded
        && traces.rate > MOST_FRAMES
    {
        let found = format!("{} frames a second", traces.rate);
        let wanted = format!("at most {MOST_FRAMES}");
        return Err(Error::input(
            &request.path,
            found,
            wanted,
            "Times are in seconds: check them, or the rate",
        ));
    }
    if request.rescale {
        experiment.stimuli = experiment.stimuli.rescaled()?;
    }
    Ok(experiment)
}

fn open_file(request: &ExperimentRequest) -> Result<Experiment> {
    let path = &request.path;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
        let advice = "Unpack it, and name the folder that comes out of it";
        return Err(Error::input(path, "it is a zip archive", "an experiment's folder or file", advice));
    }
    let store: Arc<dyn Store> = Arc::from(store::open(path)?);
    if !request.map.is_empty() {
        return mapped::open(&store, request);
    }
    if nwb1::recognise(&*store)? {
        return nwb1::open(&store, request);
    }
    if nwb2::recognise(&*store)? {
        return nwb2::open(&store, request);
    }
    Err(unknown(&*store)?)
}

fn open_folder(request: &ExperimentRequest) -> Result<Experiment> {
    let path = &request.path;
    let option = [("--map", !request.map.is_empty()), ("--events", request.events.is_some())];
    if let Some((option, _)) = option.iter().find(|(_, given)| *given) {
        let advice = format!("Leave {option} out");
        return Err(Error::input(path, format!("it is a folder, and {option} is given"), "a file", advice));
    }
    if sensorium::recognise(path) {
        return sensorium::open(request);
    }
    if plain::recognise(path) {
        return plain::open(request);
    }
    if suite2p::recognise(path) {
        let found = "it is a plane of suite2p: traces without images";
        let advice = "`striate events` infers events of it";
        return Err(Error::input(path, found, "a recording with images", advice));
    }
    let inside = several(path)?;
    if inside != [path.clone()] {
        let found = format!("it holds {} mice of Sensorium", inside.len());
        return Err(Error::input(path, found, "one experiment", "Name the folder of one of them"));
    }
    let wanted = "data/ and meta/ (Sensorium), or images and responses (images.npy, responses.npy)";
    Err(Error::input(path, "the folder is no experiment that Striate knows", wanted, "Check the path"))
}

/// What a file is that is no experiment.
fn unknown(store: &dyn Store) -> Result<Error> {
    let version = match store.attribute("/", "nwb_version")? {
        Some(version) => version.text().map(str::to_string),
        None => nwb::fact(store, "nwb_version")?,
    };
    let found = match version {
        Some(version) => format!("it is an NWB file ({}) without two-photon traces", version.escape_debug()),
        None => "it is a file of named arrays, and nothing says which are responses and which images".into(),
    };
    let wanted = "processing/brain_observatory_pipeline (Visual Coding 2P in NWB 1), processing/ophys/DfOverF \
                  (in NWB 2), or names";
    let advice =
        "`striate info` lists what it holds; say what it is by --map responses=/path --map images=/path";
    Ok(Error::input(store.path(), found, wanted, advice))
}

/// Whether a path is an experiment as it stands, without [`ExperimentRequest::map`].
///
/// # Errors
/// A file that is damaged.
pub fn recognise(path: &Path) -> Result<bool> {
    if path.is_dir() {
        return Ok(sensorium::recognise(path) || plain::recognise(path));
    }
    let store: Arc<dyn Store> = Arc::from(store::open(path)?);
    Ok(nwb1::recognise(&*store)? || (nwb2::recognise(&*store)? && nwb2::is_complete(&store)?))
}

/// The experiments inside a folder of Sensorium mice, in the order of their names; the path itself for
/// anything else.
///
/// # Errors
/// When the folder cannot be read.
pub fn several(path: &Path) -> Result<Vec<PathBuf>> {
    let itself = Ok(vec![path.to_path_buf()]);
    if !path.is_dir() || sensorium::recognise(path) || plain::recognise(path) {
        return itself;
    }
    let unreadable = |why: std::io::Error| Error::unreadable(path, &why);
    let mut mice = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let inside = entry.map_err(unreadable)?.path();
        if sensorium::recognise(&inside) {
            mice.push(inside);
        }
    }
    mice.sort();
    if mice.is_empty() { itself } else { Ok(mice) }
}

/// For messages: a file and a path in it.
fn place(store: &dyn Store, name: &str) -> String {
    format!("{}:{}", store.path().display(), name.escape_debug())
}

//! Small jobs of every kind, for faults to strike.

#![allow(clippy::unwrap_used, dead_code, reason = "a test may panic, and not every test uses everything")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::Array4;
use striate::experiment::ExperimentRequest;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::io::resize::Filter;
use striate::random::Random;
use striate::ridge::Factorisation;
use striate::tasks::{
    Base, Blanks, Control, Convolution, DefinitionRequest, EventsRequest, EventsSource, ExtractRequest,
    FeaturesInput, FitRequest, Grid, Input, MethodRequest, NetworkInput, NormaliseRequest, PredictRequest,
    ProfileRequest, ReadoutRequest, RecordingRequest, ResponsesRequest, RidgeRequest, SplitRequest,
    SweepRequest, TrialsRequest, events, extract, fit, predict, profile, responses, sweep,
};
use striate::training::TrainingOptions;
use striate::{Result, events::DecayFrom, responses::Definition};

pub fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// A folder with inputs, in which each test has its outputs.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// So many images of 8 x 8 pixels, and features of them.
    pub fn new(name: &str, images: usize, features: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("striate-faults-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("out")).unwrap();
        let mut random = Random::stream(3, "faults");
        let mut write = |name: &str, shape: &[usize]| {
            let array = ndarray::ArrayD::from_shape_simple_fn(shape, || random.normal().abs() as f32);
            npy::write(&folder.join(name), array.view()).unwrap();
        };
        write("features.npy", &[images, features]);
        write("responses.npy", &[4, images]);
        write("traces.npy", &[3, 200]);
        let pixels = Array4::from_shape_fn((images, 8, 8, 3), |(i, r, c, k)| {
            ((7 * i + 13 * r * (c + 1) + 29 * k) % 251) as f32 / 250.0
        });
        npy::write(&folder.join("images.npy"), pixels.view().into_dyn()).unwrap();
        Scratch(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn features(&self) -> Input {
        Input::Features(FeaturesInput { file: self.path("features.npy"), subsample: None })
    }

    fn network(&self, layers: &[&str]) -> NetworkInput {
        NetworkInput {
            images: self.path("images.npy"),
            network: "vgg11".into(),
            weights: Some("random:0".into()),
            layers: layers.iter().map(|layer| layer.to_string()).collect(),
            size: None,
            filter: Filter::Bilinear,
            normalise: NormaliseRequest::Data,
            pool: Some(2),
            subsample: None,
            convolution: Convolution::Direct,
            bits: None,
            notes: Vec::new(),
        }
    }

    fn recording(&self) -> RecordingRequest {
        RecordingRequest {
            responses: self.path("responses.npy"),
            headers: None,
            layout: None,
            split: SplitRequest::Random { test_fraction: 0.25 },
            trials: TrialsRequest::default(),
            seed: 1,
        }
    }

    fn fit(&self, input: Input, factorisation: Factorisation, out: &Path) -> FitRequest {
        let ridge = RidgeRequest { folds: 2, factorisation, ..RidgeRequest::default() };
        let readout = ReadoutRequest::Ridge(ridge);
        FitRequest { input, recording: self.recording(), readout, out: out.join("run") }
    }

    fn sweep(&self, out: &Path, resume: bool) -> SweepRequest {
        let mut options = TrainingOptions::new(1);
        for (name, value) in [("readout", "\"simple\""), ("epochs", "2"), ("batch", "4")] {
            let table: toml::Table = format!("x = {value}").parse().unwrap();
            options.set(name, &table["x"]).unwrap();
        }
        let grid: toml::Table = "[grid]\nl1 = [0, 0.1]".parse().unwrap();
        SweepRequest {
            base: Base { input: self.features(), options },
            grid: Grid::parse(&grid, "grid").unwrap(),
            place: "grid".into(),
            recording: self.recording(),
            validation_fraction: 0.3,
            out: out.join("sweep"),
            resume,
            checkpoint: Duration::ZERO,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A task with its inputs in a scratch folder and its output in another folder.
#[derive(Clone, Copy)]
pub struct Job {
    pub name: &'static str,
    pub run: fn(&Gpu, &Scratch, &Path) -> Result<()>,
}

pub const FIT: Job = Job {
    name: "fit",
    run: |gpu, here, out| {
        fit(gpu, &here.fit(here.features(), Factorisation::Eigen, out), &mut |_, _| ()).map(drop)
    },
};
/// On the host's cores.
pub const HOST_FIT: Job = Job {
    name: "fit on the host",
    run: |gpu, here, out| {
        let request = here.fit(here.features(), Factorisation::Tridiagonal, out);
        fit(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
pub const NETWORK: Job = Job {
    name: "fit of a network",
    run: |gpu, here, out| {
        let input = Input::Network(here.network(&["relu1_1"]));
        fit(gpu, &here.fit(input, Factorisation::Auto, out), &mut |_, _| ()).map(drop)
    },
};
pub const PROFILE: Job = Job {
    name: "profile",
    run: |gpu, here, out| {
        let input = Input::Network(here.network(&["relu1_1", "pool1"]));
        let fit = here.fit(input, Factorisation::Auto, out);
        let controls = vec![Control::Shuffled];
        let request = ProfileRequest { fit, labels: None, sizes: Vec::new(), controls, draws: 20 };
        profile(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
pub const FEATURES: Job = Job {
    name: "features",
    run: |gpu, here, out| {
        let request =
            ExtractRequest { input: here.network(&["relu1_1", "pool1"]), out: out.join("features") };
        extract(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
pub const EVENTS: Job = Job {
    name: "events",
    run: |gpu, here, out| {
        let source = EventsSource::Array { path: here.path("traces.npy"), rate: Some(30.0) };
        let decay = DecayFrom::Times(0.4, None);
        let method = MethodRequest::Oasis { decay, penalty: None, smallest: 0.0 };
        let request = EventsRequest { source, trace: None, method, out: out.join("events.npz") };
        events(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
pub const RESPONSES: Job = Job {
    name: "responses",
    run: |gpu, _, out| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experiments/pipeline_2.0.nwb");
        let request = ResponsesRequest {
            experiment: ExperimentRequest { path, ..ExperimentRequest::default() },
            definition: Definition::named("sdk").map(DefinitionRequest::As),
            blanks: Blanks::Drop,
            covariates_regressed: Vec::new(),
            standardise: true,
            split: None,
            test_fraction: 0.2,
            seed: 0,
            out: out.join("responses"),
        };
        responses(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
/// Of the run that [`FIT`] left in the folder `fitted`.
pub const PREDICT: Job = Job {
    name: "predict",
    run: |gpu, here, out| {
        let features = Some(here.path("features.npy"));
        let (run, out) = (here.path("fitted/run"), out.join("predictions.npy"));
        let request = PredictRequest { run, images: None, features, weights: None, out };
        predict(gpu, &request, &mut |_, _| ()).map(drop)
    },
};
pub const SWEEP: Job =
    Job { name: "sweep", run: |gpu, here, out| sweep(gpu, &here.sweep(out, true), &mut |_| ()).map(drop) };

/// Numbers of a folder: all files but those with times, and a table's columns of seconds.
pub fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !["json", "html", "svg"].iter().any(|e| path.extension().unwrap() == *e)
                && path.file_name().unwrap() != "sweep.csv"
            {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub fn emptied(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whether a job goes on where it failed.
pub fn resumes(job: Job) -> bool {
    job.name == SWEEP.name
}

/// What a failed job may leave: nothing; a sweep its journal, with which it goes on.
pub fn check_left(job: Job, out: &Path, place: &str) {
    let left = names(out);
    let journal = resumes(job) && left.iter().all(|name| name == "sweep.partial");
    assert!(left.is_empty() || journal, "{place} left {left:?}");
}

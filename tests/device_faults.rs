//! The device fails at every place where it can: each allocation that the driver might refuse, each submission
//! before which the device might be lost. A clear error, nothing half-written, and afterwards the same bits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ndarray::{Array2, Array4};
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
use striate::{Kind, Result, events::DecayFrom, responses::Definition};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

const IMAGES: usize = 12;

/// A folder with inputs, in which each test has its outputs.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("striate-faults-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("out")).unwrap();
        let mut random = Random::stream(3, "faults");
        let mut write = |name: &str, shape: &[usize]| {
            let array = ndarray::ArrayD::from_shape_simple_fn(shape, || random.normal().abs() as f32);
            npy::write(&folder.join(name), array.view()).unwrap();
        };
        write("features.npy", &[IMAGES, 30]);
        write("responses.npy", &[4, IMAGES]);
        write("traces.npy", &[3, 200]);
        let images = Array4::from_shape_fn((IMAGES, 8, 8, 3), |(i, r, c, k)| {
            ((7 * i + 13 * r * (c + 1) + 29 * k) % 251) as f32 / 250.0
        });
        npy::write(&folder.join("images.npy"), images.view().into_dyn()).unwrap();
        Scratch(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
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
        }
    }

    fn recording(&self) -> RecordingRequest {
        RecordingRequest {
            responses: self.path("responses.npy"),
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
type Job = fn(&Gpu, &Scratch, &Path) -> Result<()>;

const FIT: Job = |gpu, here, out| {
    fit(gpu, &here.fit(here.features(), Factorisation::Eigen, out), &mut |_, _| ()).map(drop)
};
const NETWORK: Job = |gpu, here, out| {
    let input = Input::Network(here.network(&["relu1_1"]));
    fit(gpu, &here.fit(input, Factorisation::Auto, out), &mut |_, _| ()).map(drop)
};
const PROFILE: Job = |gpu, here, out| {
    let input = Input::Network(here.network(&["relu1_1", "pool1"]));
    let fit = here.fit(input, Factorisation::Auto, out);
    let controls = vec![Control::Shuffled];
    let request = ProfileRequest { fit, labels: None, sizes: Vec::new(), controls, draws: 20 };
    profile(gpu, &request, &mut |_, _| ()).map(drop)
};
const FEATURES: Job = |gpu, here, out| {
    let request = ExtractRequest { input: here.network(&["relu1_1", "pool1"]), out: out.join("features") };
    extract(gpu, &request, &mut |_, _| ()).map(drop)
};
const EVENTS: Job = |gpu, here, out| {
    let source = EventsSource::Array { path: here.path("traces.npy"), rate: 30.0 };
    let decay = DecayFrom::Times(0.4, None);
    let method = MethodRequest::Oasis { decay, penalty: None, smallest: 0.0 };
    let request = EventsRequest { source, trace: None, method, out: out.join("events.npz") };
    events(gpu, &request, &mut |_, _| ()).map(drop)
};
const RESPONSES: Job = |gpu, _, out| {
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
};
/// Of the run that [`FIT`] left in the folder `fitted`.
const PREDICT: Job = |gpu, here, out| {
    let features = Some(here.path("features.npy"));
    let (run, out) = (here.path("fitted/run"), out.join("predictions.npy"));
    let request = PredictRequest { run, images: None, features, weights: None, out };
    predict(gpu, &request, &mut |_, _| ()).map(drop)
};
const SWEEP: Job = |gpu, here, out| sweep(gpu, &here.sweep(out, true), &mut |_| ()).map(drop);

/// Numbers of a folder: all files but those with times, and a table's columns of seconds.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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

fn emptied(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// What a failed job may leave: nothing; a sweep its journal, with which it goes on.
fn check_left(job: Job, out: &Path, place: &str) {
    let left = names(out);
    let journal = job as usize == SWEEP as usize && left.iter().all(|name| name == "sweep.partial");
    assert!(left.is_empty() || journal, "{place} left {left:?}");
}

/// Every allocation fails once, on one device that works on; returns how many there were.
fn refuse_allocations(gpu: &Gpu, here: &Scratch, name: &str, job: Job) -> u64 {
    let out = here.path("out");
    emptied(&out);
    job(gpu, here, &out).unwrap();
    let wanted = results(&out);
    assert!(!wanted.is_empty());
    for nth in 1.. {
        let place = format!("{name}, allocation {nth}");
        emptied(&out);
        gpu.fail_allocation(nth);
        let ended = job(gpu, here, &out);
        let left = gpu.fail_allocation(0);
        if let Err(why) = ended {
            let text = why.to_string();
            assert!(
                left == 0 && why.kind() == Kind::Memory && text.contains("the driver refused"),
                "{place}: {text}"
            );
            check_left(job, &out, &place);
            gpu.flush("the end").unwrap();
            assert_eq!(gpu.ledger().used(), 0, "{place}");
            job(gpu, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
        }
        assert!(results(&out) == wanted, "other bits after {place}");
        if left > 0 {
            return nth - 1;
        }
    }
    unreachable!("a job ends")
}

/// The device is lost before every submission, another one each time; returns how many there were.
fn lose_devices(here: &Scratch, name: &str, job: Job) -> u64 {
    let out = here.path("out");
    emptied(&out);
    let fresh = gpu();
    let start = Instant::now();
    job(&fresh, here, &out).unwrap();
    let usual = start.elapsed();
    let wanted = results(&out);
    for nth in 1.. {
        let place = format!("{name}, submission {nth}");
        emptied(&out);
        let lost = gpu();
        lost.lose_at_submission(nth);
        let start = Instant::now();
        let ended = job(&lost, here, &out);
        let took = start.elapsed();
        if lost.lose_at_submission(0) > 0 {
            ended.unwrap();
            return nth - 1;
        }
        let why = ended.expect_err(&place);
        let text = why.to_string();
        assert!(why.kind() == Kind::Device && text.contains("the device was lost"), "{place}: {text}");
        assert!(took < usual + Duration::from_secs(1), "{place}: {took:?} where {usual:?} is usual");
        check_left(job, &out, &place);
        job(&fresh, here, &out).unwrap_or_else(|why| panic!("after {place}: {why}"));
        assert!(results(&out) == wanted, "other bits after {place}");
    }
    unreachable!("a job ends")
}

/// Each job, and how many allocations and submissions it makes at least: fewer mean that the loops no longer
/// reach what they are for.
const JOBS: [(&str, Job, u64, u64); 8] = [
    ("fit", FIT, 10, 10),
    ("fit of a network", NETWORK, 10, 10),
    ("profile", PROFILE, 10, 10),
    ("sweep", SWEEP, 10, 10),
    ("features", FEATURES, 5, 3),
    ("events", EVENTS, 5, 2),
    ("responses", RESPONSES, 3, 2),
    ("predict", PREDICT, 3, 3),
];

fn fitted(name: &str) -> (Gpu, Scratch) {
    let (gpu, here) = (gpu(), Scratch::new(name));
    std::fs::create_dir(here.path("fitted")).unwrap();
    FIT(&gpu, &here, &here.path("fitted")).unwrap();
    (gpu, here)
}

#[test]
fn every_allocation_that_fails_is_an_error_of_memory_and_no_more() {
    let (gpu, here) = fitted("allocations");
    for (name, job, least, _) in JOBS {
        let start = Instant::now();
        let count = refuse_allocations(&gpu, &here, name, job);
        eprintln!("{name}: {count} allocations in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} allocations");
    }
}

#[test]
fn a_device_that_is_lost_at_any_submission_is_an_error_at_once() {
    let (_, here) = fitted("losses");
    for (name, job, _, least) in JOBS {
        let start = Instant::now();
        let count = lose_devices(&here, name, job);
        eprintln!("{name}: {count} submissions in {:?}", start.elapsed());
        assert!(count >= least, "{name}: only {count} submissions");
    }
}

/// The loops above would prove nothing if no fault struck.
#[test]
fn a_fault_strikes_once_where_it_was_asked_for() {
    let gpu = gpu();
    gpu.fail_allocation(2);
    assert!(gpu.allocate("first", 4).is_ok());
    let why = gpu.allocate("second", 4).unwrap_err();
    assert_eq!((why.kind(), why.to_string().contains("second")), (Kind::Memory, true), "{why}");
    assert!(gpu.allocate("third", 4).is_ok());
    assert_eq!((gpu.fail_allocation(3), gpu.fail_allocation(0), gpu.fail_allocation(0)), (0, 3, 0));
    let x = Array2::<f32>::ones((3, 4));
    let x = gpu.upload("x", x.as_slice().unwrap()).unwrap();
    assert_eq!(gpu.download::<f32>(&x).unwrap(), [1.0; 12]);
    gpu.lose_at_submission(1);
    let why = gpu.download::<f32>(&x).unwrap_err();
    assert!(why.kind() == Kind::Device && why.to_string().contains("lost"), "{why}");
}

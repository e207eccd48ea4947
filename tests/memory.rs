//! The same fit under every budget: the same answer, or an error of memory; never more than the budget.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD, concatenate};
use serde_json::Value;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::io::resize::Filter;
use striate::io::weights::WeightFile;
use striate::random::Random;
use striate::ridge::Ratios;
use striate::tasks::{
    Convolution, FeaturesInput, FitRequest, Input, NetworkInput, NormaliseRequest, PredictRequest,
    ReadoutRequest, RecordingRequest, RidgeRequest, SmoothRidgeRequest, SplitRequest, TrialsRequest, fit,
    predict,
};
use striate::{Kind, Result};

fn gpu(budget: Option<u64>) -> Result<Gpu> {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, max_memory: budget, ..Options::default() })
}

struct Scratch(PathBuf, ReadoutRequest);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("striate-memory-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder, ReadoutRequest::Ridge(RidgeRequest { folds: 3, ..RidgeRequest::default() }))
    }

    /// The same for smooth ridge.
    fn smooth(name: &str) -> Self {
        let mut here = Self::new(name);
        let ridge = RidgeRequest { folds: 3, ..RidgeRequest::default() };
        let ratios = Ratios::new(vec![0.0, 0.3, 20.0]).unwrap();
        here.1 = ReadoutRequest::SmoothRidge(SmoothRidgeRequest { ridge, ratios });
        here
    }

    fn write(&self, name: &str, array: &ArrayD<f32>) -> PathBuf {
        let path = self.0.join(name);
        npy::write(&path, array.view()).unwrap();
        path
    }

    fn request(&self, input: Input, out: &str) -> FitRequest {
        FitRequest {
            input,
            recording: RecordingRequest {
                responses: self.0.join("responses.npy"),
                layout: None,
                headers: None,
                split: SplitRequest::Random { test_fraction: 0.25 },
                trials: TrialsRequest::default(),
                seed: 1,
            },
            readout: self.1.clone(),
            out: self.0.join(out),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Correlated features with a mean, and noisy responses that depend on them.
fn experiment(here: &Scratch, images: usize, features: usize, neurons: usize) -> Input {
    let mut random = Random::stream(5, "memory");
    let latent = Array2::from_shape_simple_fn((images, 10), || random.normal());
    let mix = Array2::from_shape_simple_fn((10, features), || random.normal());
    let noise = Array2::from_shape_simple_fn((images, features), || random.normal());
    let x = (latent.dot(&mix) + noise * 0.7 + 1.0).mapv(|v| v.max(0.0) as f32);
    let read = Array2::from_shape_simple_fn((neurons, 10), || random.normal());
    let spikes = Array2::from_shape_simple_fn((neurons, images), || 2.0 * random.normal() + 5.0);
    here.write("responses.npy", &(read.dot(&latent.t()) + spikes).mapv(|v| v as f32).into_dyn());
    let file = here.write("features.npy", &x.into_dyn());
    Input::Features(FeaturesInput { file, subsample: None })
}

struct Found {
    predictions: ArrayD<f32>,
    chosen: Vec<f32>,
    plan: Value,
}

impl Found {
    fn read(run: &Path) -> Found {
        let record: Value = serde_json::from_slice(&std::fs::read(run.join("record.json")).unwrap()).unwrap();
        let model = WeightFile::open(&run.join("model.safetensors")).unwrap();
        Found {
            predictions: npy::read(&run.join("predictions.npy"), None).unwrap(),
            chosen: model.read("penalties").unwrap().iter().copied().collect(),
            plan: record["options"]["plan"].clone(),
        }
    }

    fn passes(&self) -> u64 {
        self.plan["passes"].as_u64().unwrap()
    }

    fn same_as(&self, other: &Found) {
        for (a, b) in self.chosen.iter().zip(&other.chosen) {
            assert!((a / b - 1.0).abs() < 1e-5, "penalties {a} and {b}");
        }
        let worst = distance(&self.predictions, &other.predictions);
        assert!(worst < 1e-5, "{worst} standard deviations apart: {} and {}", self.plan, other.plan);
    }
}

fn distance(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    (a - b).iter().fold(0f32, |most, v| if v.is_nan() { f32::NAN } else { most.max(v.abs()) }) / b.std(0.0)
}

/// Fits within a budget and predicts the same images again; `None` where there is too little memory.
fn within(here: &Scratch, input: &Input, budget: Option<u64>) -> Option<Found> {
    let small = |why: &striate::Error| {
        let text = why.to_string();
        assert!(
            why.kind() == Kind::Memory && text.contains("MiB") && text.contains("--max-memory"),
            "{text}"
        );
    };
    let gpu = match gpu(budget) {
        Ok(gpu) => gpu,
        Err(why) => {
            small(&why);
            return None;
        }
    };
    let request = here.request(input.clone(), "run");
    let fitted = fit(&gpu, &request, &mut |_, _| ());
    if let Some(budget) = budget {
        assert!(gpu.ledger().peak() <= budget, "{} of {budget}", gpu.ledger().peak());
    }
    assert_eq!(gpu.ledger().used(), 0, "all memory is given back");
    if let Err(why) = fitted {
        small(&why);
        assert!(!request.out.exists());
        return None;
    }
    let found = Found::read(&request.out);
    let (images, features) = match input {
        Input::Features(of) => (None, Some(of.file.clone())),
        Input::Network(of) => (Some(of.images.clone()), None),
    };
    let out = here.0.join("again.npy");
    let again = PredictRequest { run: request.out.clone(), images, features, weights: None, out };
    predict(&gpu, &again, &mut |_, _| ()).expect("what could be fitted can be predicted");
    let worst = distance(&npy::read(&again.out, None).unwrap(), &found.predictions);
    assert!(worst < 1e-5, "{worst} standard deviations apart");
    std::fs::remove_dir_all(&request.out).unwrap();
    Some(found)
}

/// Budgets from too little to plenty: from some budget on every one suffices, with the same result.
fn sweep(here: &Scratch, input: &Input, budgets: &[u64]) {
    let whole = within(here, input, None).expect("memory enough");
    assert_eq!(whole.passes(), 1);
    let found: Vec<Option<Found>> = budgets.iter().map(|b| within(here, input, Some(*b << 10))).collect();
    let passes: Vec<u64> = found.iter().map(|f| f.as_ref().map_or(0, Found::passes)).collect();
    eprintln!("passes under {budgets:?} KiB: {passes:?}");
    let first = found.iter().position(Option::is_some).expect("a budget that suffices");
    assert!(first > 0 && passes[first] > 2 && passes[budgets.len() - 1] == 1, "{passes:?}");
    for one in &found[first..] {
        let one = one.as_ref().expect("more memory never hurts");
        assert_eq!(
            one.predictions, whole.predictions,
            "the bits of a fit depend on its budget: {}",
            one.plan
        );
        assert_eq!(one.chosen, whole.chosen);
    }
    assert!(passes[first..].windows(2).all(|p| p[0] >= p[1]), "{passes:?}");
}

#[test]
fn features_of_any_number_fit_into_little_memory() {
    let here = Scratch::new("features");
    let input = experiment(&here, 90, 5000, 20);
    let budgets = [
        1, 10, 100, 300, 500, 700, 800, 900, 1000, 1200, 1400, 1700, 2000, 2500, 3000, 3500, 4000, 5000,
        6000, 9000,
    ];
    sweep(&here, &input, &budgets);
}

/// Slabs and panels hold whole maps. 25 x 25 words are no whole quads, and 3 maps are a unit; a map of 47 x
/// 53 is larger than a piece of columns that is weighted at once, and than the slabs of plain ridge.
#[test]
fn smooth_ridge_has_the_same_bits_under_any_budget() {
    let shapes = [("quads", vec![40, 12, 25, 25]), ("large", vec![30, 6, 47, 53])];
    for (name, shape) in shapes {
        let here = Scratch::smooth(name);
        let features = shape[1..].iter().product();
        let Input::Features(input) = experiment(&here, shape[0], features, 9) else { panic!("features") };
        let maps = npy::read(&input.file, None).unwrap().into_shape_with_order(shape).unwrap();
        here.write("features.npy", &maps);
        let budgets = [100, 400, 700, 1000, 1300, 1600, 2000, 2500, 3000, 4000, 5000, 8000, 16000];
        sweep(&here, &Input::Features(input), &budgets);
    }
}

#[test]
fn a_layer_without_pooling_fits_into_little_memory() {
    let here = Scratch::new("network");
    experiment(&here, 40, 10, 8);
    let images = striate::simulate::simulate(&striate::simulate::Settings {
        images: 40,
        size: 16,
        neurons: 1,
        ..Default::default()
    });
    let images = here.write("images.npy", &images.unwrap().images.mapv(|v| f32::from(v) / 255.0).into_dyn());
    let input = Input::Network(NetworkInput {
        images,
        network: "vgg11".into(),
        weights: Some("random:0".into()),
        layers: vec!["relu1_1".into()],
        size: None,
        filter: Filter::Bilinear,
        normalise: NormaliseRequest::Data,
        pool: None,
        subsample: None,
        convolution: Convolution::Auto,
        bits: None,
        notes: Vec::new(),
    });
    sweep(&here, &input, &[100, 300, 600, 900, 1200, 1600, 2400, 3200, 4800, 6400, 16000]);
}

/// With more images than features the features are decomposed, with fewer the images' products. Features that
/// are zero everywhere take a fit from one form to the other and change nothing else.
#[test]
fn both_forms_agree() {
    let here = Scratch::new("forms");
    let Input::Features(primal) = experiment(&here, 60, 40, 12) else { panic!("features") };
    let x = npy::read(&primal.file, None).unwrap();
    let zeros = ArrayD::zeros(vec![60, 30]);
    let wide = concatenate(ndarray::Axis(1), &[x.view(), zeros.view()]).unwrap();
    let dual = Input::Features(FeaturesInput { file: here.write("wide.npy", &wide), subsample: None });
    let primal = within(&here, &Input::Features(primal), None).expect("memory");
    let dual = within(&here, &dual, None).expect("memory");
    assert_eq!((&primal.plan["form"], &dual.plan["form"]), (&"primal".into(), &"dual".into()));
    primal.same_as(&dual);
}

/// Filters of tiles take four times those of direct sums: where these alone are too much, the error says how
/// to do without.
#[test]
fn transforms_that_do_not_fit_into_memory_can_be_done_without() {
    let here = command::Scratch::new("transforms");
    here.experiment("e");
    let net = ["--images", "e/images.npy", "--size", "32", "--net", "vgg19", "--weights", "random:0"];
    let layer = ["--layer", "relu5_1", "--dry-run"];
    let responses = ["--responses", "e/responses.npy"];
    let (none, direct) = (&[][..], "--convolution direct");
    for (command, more) in [("fit", &responses[..]), ("profile", &responses), ("features", none)] {
        let run = |memory: &str, last: &[&str]| {
            let start = [command, "-q", "--out", "out", "--max-memory", memory];
            here.striate(&[&start[..], &net, &layer, more, last].concat())
        };
        run("150M", none).refused(6, &["GPU memory", direct, "--max-memory"]);
        let ran = run("150M", &["--convolution", "direct"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        // What would not help is not advised.
        for last in [none, &["--convolution", "direct"]] {
            let ran = run("1M", last);
            ran.refused(6, &["GPU memory", "--max-memory"]);
            assert!(!ran.err.contains(direct), "{ran:?}");
        }
    }
}

/// A prediction takes network and preparation from its fit: what only a fit can change is not advised.
#[test]
fn a_prediction_that_does_not_fit_into_memory_advises_what_it_has() {
    let here = command::Scratch::new("predict-memory");
    here.experiment("e");
    let images = ["--images", "e/images.npy"];
    let net = ["--size", "32", "--net", "vgg19", "--weights", "random:0", "--layer", "relu5_1"];
    let fit = ["fit", "-q", "--out", "run", "--responses", "e/responses.npy"];
    here.works(&[&fit[..], &images, &net].concat());
    let run = |memory: &str| {
        let predict = ["predict", "run", "-q", "--out", "p.npy", "--max-memory", memory];
        here.striate(&[&predict[..], &images].concat())
    };
    let ran = run("150M");
    ran.refused(6, &["predict: ", "GPU memory", "--max-memory", "fit again with --convolution direct"]);
    assert!(!ran.err.contains("--size") && !here.0.join("p.npy").exists(), "{ran:?}");
    let ran = run("1M");
    ran.refused(6, &["--max-memory"]);
    assert!(!ran.err.contains("--convolution"), "{ran:?}");
    here.works(&[&["predict", "run", "-q", "--out", "p.npy"], &images[..]].concat());
}

/// A stack that no address space holds stands for a system that gives no threads.
#[test]
#[cfg(unix)]
fn a_system_that_gives_no_threads_is_an_error() {
    let here = command::Scratch::new("threads");
    here.experiment("e");
    let images =
        ["--images", "e/images.npy", "--responses", "e/responses.npy", "--net", "pixels", "--out", "run"];
    let mut fit = here.command(&[&["fit", "-q"], &images[..]].concat());
    let ran = command::Ran::of(fit.env("RUST_MIN_STACK", (1u64 << 50).to_string()).output().unwrap());
    ran.refused(6, &["the system gives no thread", "ulimit -u"]);
    assert_eq!(here.names("."), ["e"]);
}

/// Four processes of one adapter, each with its share.
#[test]
fn a_share_of_the_memory_is_said_and_kept() {
    let here = command::Scratch::new("share");
    here.experiment("e");
    let images = ["--images", "e/images.npy", "--responses", "e/responses.npy", "--net", "pixels"];
    let budget = |out: &str, more: &[&str]| {
        here.works(&[&["fit", "-q", "--out", out], &images[..], more].concat());
        let adapter = here.document(&format!("{out}/record.json"))["adapter"].clone();
        assert_eq!(adapter["host"].as_str().map(str::is_empty), Some(false), "{adapter}");
        assert!(adapter.get("pci").is_some() && adapter["memory_bytes"].as_u64().is_some(), "{adapter}");
        adapter["memory_budget_bytes"].as_f64().unwrap()
    };
    let share = budget("quarter", &["--memory-share", "1/4"]) / budget("whole", &[]);
    // Other programs take and give memory meanwhile.
    assert!((0.12..0.5).contains(&share), "{share}");
    let both = ["doctor", "--memory-share", ".25", "--max-memory", "1G"];
    assert_eq!(here.striate(&both).code, 2);
}

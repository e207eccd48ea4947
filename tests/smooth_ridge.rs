//! Smooth ridge against the normal equations of its formula, with the Laplacian as an explicit convolution,
//! in f64.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, distance};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::{Array2, Array4, ArrayD, Axis, s};
use striate::Kind;
use striate::features::SlabPlan;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::npy;
use striate::io::weights::WeightFile;
use striate::random::Random;
use striate::ridge::{Penalties, Ratios};
use striate::tasks::{
    FeaturesInput, FitRequest, Input, PredictRequest, ReadoutRequest, RecordingRequest, RidgeRequest,
    SmoothRidgeRequest, SplitRequest, TrialsRequest, fit, predict,
};

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// Smooth maps with noise and a mean, responses through smooth masks, and a split with validation images.
struct Experiment {
    here: Scratch,
    maps: Array4<f32>,
    responses: Array2<f32>,
    tiers: Vec<&'static str>,
}

const NEURONS: usize = 5;

impl Experiment {
    fn new(name: &str, images: usize, [channels, height, width]: [usize; 3]) -> Experiment {
        let here = Scratch::new(name);
        let mut random = Random::stream(3, name);
        let maps =
            Array4::from_shape_simple_fn((images, channels, height, width), || random.normal() as f32 + 0.7);
        let mask = |n: usize, c: usize, i: usize, j: usize| {
            let (y, x) = (i as f64 / height as f64 - 0.5, j as f64 / width as f64 - 0.4);
            (-4.0 * (y * y + x * x)).exp() * ((n * 7 + c * 3) as f64).sin()
        };
        let responses = Array2::from_shape_fn((NEURONS, images), |(n, image)| {
            let own = maps.index_axis(Axis(0), image);
            let drive: f64 = own.indexed_iter().map(|((c, i, j), v)| f64::from(*v) * mask(n, c, i, j)).sum();
            // The later neurons are noisier, so that they take other penalties.
            (drive + 2.0 + (n * n) as f64 * random.normal()) as f32
        });
        let tier = |i: usize| {
            if i % 4 == 1 {
                "validation"
            } else if i % 7 == 3 {
                "test"
            } else {
                "train"
            }
        };
        let tiers: Vec<_> = (0..images).map(tier).collect();
        npy::write(&here.0.join("maps.npy"), maps.view().into_dyn()).unwrap();
        npy::write(&here.0.join("responses.npy"), responses.view().into_dyn()).unwrap();
        let rows: String = tiers.iter().enumerate().map(|(i, tier)| format!("{i},{tier}\n")).collect();
        here.write("split.csv", format!("image,tier\n{rows}"));
        Experiment { here, maps, responses, tiers }
    }

    fn input(&self) -> Input {
        Input::Features(FeaturesInput { file: self.here.0.join("maps.npy"), subsample: None })
    }

    fn fit(&self, gpu: &Gpu, readout: ReadoutRequest) -> Found {
        let request = FitRequest {
            input: self.input(),
            recording: RecordingRequest {
                responses: self.here.0.join("responses.npy"),
                layout: None,
                headers: None,
                split: SplitRequest::File(self.here.0.join("split.csv")),
                trials: TrialsRequest::default(),
                seed: 0,
            },
            readout,
            out: self.here.0.join("run"),
        };
        let summary = fit(gpu, &request, &mut |_, _| ()).unwrap();
        assert_eq!(summary.feature_shape[..], self.maps.shape()[1..]);
        self.predicts_again(gpu);
        Found::read(&self.here)
    }

    /// `predict` on a run of smooth ridge reproduces its predictions.
    fn predicts_again(&self, gpu: &Gpu) {
        let out = self.here.0.join("again.npy");
        let features = Some(self.here.0.join("maps.npy"));
        let run = self.here.0.join("run");
        let request = PredictRequest { run, images: None, features, weights: None, out };
        predict(gpu, &request, &mut |_, _| ()).unwrap();
        let worst = distance(&self.here.array("again.npy"), &self.here.array("run/predictions.npy"));
        assert!(worst < 1e-4, "{worst}");
    }

    fn rows(&self, tiers: &[&str]) -> Vec<usize> {
        (0..self.tiers.len()).filter(|i| tiers.contains(&self.tiers[*i])).collect()
    }

    fn features(&self) -> Mat<f64> {
        let columns = self.maps.len() / self.tiers.len();
        let flat = self.maps.to_shape((self.tiers.len(), columns)).unwrap();
        Mat::from_fn(self.tiers.len(), columns, |r, c| f64::from(flat[[r, c]]))
    }
}

/// What a fit wrote.
struct Found {
    predictions: ArrayD<f32>,
    weights: ArrayD<f32>,
    /// Penalty and ratio of each neuron, where there is one.
    chosen: Vec<(f64, f64)>,
}

impl Found {
    fn read(here: &Scratch) -> Found {
        let table = here.bytes("run/scores.csv");
        let mut table = csv::Reader::from_reader(table.as_slice());
        let smooth = &table.headers().unwrap()[2] == "ratio";
        let number = |row: &csv::StringRecord, at: usize| row[at].parse().unwrap();
        let rows = table.records().map(|row| row.unwrap());
        let chosen = rows.map(|r| (number(&r, 1), if smooth { number(&r, 2) } else { 0.0 })).collect();
        let model = WeightFile::open(&here.0.join("run/model.safetensors")).unwrap();
        let predictions = here.array("run/predictions.npy");
        Found { predictions, weights: model.read("weights").unwrap(), chosen }
    }
}

fn smooth(ratios: &[f64], penalties: Penalties, intercept: bool) -> ReadoutRequest {
    ReadoutRequest::SmoothRidge(SmoothRidgeRequest {
        ridge: RidgeRequest { penalties, intercept, ..RidgeRequest::default() },
        ratios: Ratios::new(ratios.to_vec()).unwrap(),
    })
}

/// `I + ratio BᵀB`, where B convolves every channel's map with the Laplacian, zeros around it.
fn penalty_matrix([channels, height, width]: [usize; 3], ratio: f64) -> Mat<f64> {
    let kernel = [[0.5, 1.0, 0.5], [1.0, -6.0, 1.0], [0.5, 1.0, 0.5]];
    let features = channels * height * width;
    let mut convolve = Mat::<f64>::zeros(features, features);
    for at in 0..features {
        let (c, i, j) = (at / (height * width), at / width % height, at % width);
        for (down, row) in kernel.iter().enumerate() {
            for (across, value) in row.iter().enumerate() {
                let (y, x) = ((i + down).wrapping_sub(1), (j + across).wrapping_sub(1));
                if y < height && x < width {
                    convolve[(at, (c * height + y) * width + x)] = *value;
                }
            }
        }
    }
    let mut matrix = convolve.transpose() * &convolve * faer::Scale(ratio);
    (0..features).for_each(|k| matrix[(k, k)] += 1.0);
    matrix
}

/// Weights (features, neurons) and means of the normal equations on some rows, and predictions of all rows.
struct Reference {
    weights: Mat<f64>,
    predictions: Mat<f64>,
}

impl Reference {
    fn new(e: &Experiment, rows: &[usize], penalty: f64, ratio: f64, intercept: bool) -> Self {
        let x = e.features();
        let count = rows.len() as f64;
        let x_mean = |c: usize| rows.iter().map(|r| x[(*r, c)]).sum::<f64>() / count;
        let y_mean = |n: usize| rows.iter().map(|r| f64::from(e.responses[[n, *r]])).sum::<f64>() / count;
        let means: Vec<f64> = (0..x.ncols()).map(|c| if intercept { x_mean(c) } else { 0.0 }).collect();
        let constants: Vec<f64> = (0..NEURONS).map(|n| if intercept { y_mean(n) } else { 0.0 }).collect();
        let own = Mat::from_fn(rows.len(), x.ncols(), |r, c| x[(rows[r], c)] - means[c]);
        let y = Mat::from_fn(rows.len(), NEURONS, |r, n| f64::from(e.responses[[n, rows[r]]]) - constants[n]);
        let shape = [1, 2, 3].map(|axis| e.maps.shape()[axis]);
        let normal = own.transpose() * &own + penalty_matrix(shape, ratio) * faer::Scale(penalty);
        let weights = normal.llt(Side::Lower).unwrap().solve(own.transpose() * &y);
        let all = Mat::from_fn(x.nrows(), x.ncols(), |r, c| x[(r, c)] - means[c]);
        let mut predictions = &all * &weights;
        for (n, constant) in constants.iter().enumerate() {
            predictions.col_mut(n).iter_mut().for_each(|v| *v += constant);
        }
        Reference { weights, predictions }
    }

    /// The mean eigenvalue of the kernel matrix of features weighted for a ratio: trace of `X P⁻¹ Xᵀ` over
    /// the rows.
    fn unit(e: &Experiment, rows: &[usize], ratio: f64) -> f64 {
        let x = e.features();
        let mean = |c: usize| rows.iter().map(|r| x[(*r, c)]).sum::<f64>() / rows.len() as f64;
        let means: Vec<f64> = (0..x.ncols()).map(mean).collect();
        let own = Mat::from_fn(rows.len(), x.ncols(), |r, c| x[(rows[r], c)] - means[c]);
        let shape = [1, 2, 3].map(|axis| e.maps.shape()[axis]);
        let solved = penalty_matrix(shape, ratio).llt(Side::Lower).unwrap().solve(own.transpose());
        let product = &own * solved;
        (0..rows.len()).map(|r| product[(r, r)]).sum::<f64>() / rows.len() as f64
    }
}

/// (neurons, ...) in f32, from columns of neurons.
fn turned(m: &Mat<f64>) -> ArrayD<f32> {
    Array2::from_shape_fn((m.ncols(), m.nrows()), |(n, r)| m[(r, n)] as f32).into_dyn()
}

/// Maps that are not square, of one row or one column or one channel; more and fewer features than images;
/// maps wider than a piece.
const CASES: [(usize, [usize; 3]); 7] = [
    (40, [3, 5, 7]),
    (30, [2, 1, 13]),
    (30, [9, 6, 1]),
    (40, [1, 9, 9]),
    (80, [2, 3, 4]),
    (25, [2, 20, 26]),
    (20, [1, 41, 53]),
];

#[test]
fn weights_and_predictions_are_those_of_the_normal_equations() {
    let gpu = gpu();
    for (number, (images, shape)) in CASES.into_iter().enumerate() {
        let e = Experiment::new(&format!("normal-{number}"), images, shape);
        let rows = e.rows(&["train", "validation"]);
        let penalty = 0.02 * shape.iter().product::<usize>() as f64;
        for (ratio, intercept) in [(0.0, true), (0.01, false), (0.3, true), (100.0, true), (100.0, false)] {
            let grid = Penalties::Absolute(vec![penalty]);
            let found = e.fit(&gpu, smooth(&[ratio], grid, intercept));
            let want = Reference::new(&e, &rows, penalty, ratio, intercept);
            let predictions = distance(&found.predictions, &turned(&want.predictions));
            let weights = distance(&found.weights, &turned(&want.weights));
            println!("{images} x {shape:?}, ratio {ratio}: {predictions:.1e} {weights:.1e}");
            assert!(predictions < 1e-4, "{shape:?}, ratio {ratio}: predictions differ by {predictions:.1e}");
            assert!(weights < 1e-4, "{shape:?}, ratio {ratio}: weights differ by {weights:.1e}");
        }
    }
}

/// Every neuron takes, of all pairs, the one with the smallest loss on validation images, and its readout is
/// that of the normal equations on training and validation images together.
#[test]
fn each_neuron_takes_the_best_ratio_and_penalty() {
    let gpu = gpu();
    let ratios = [0.0, 0.1, 10.0];
    let relative: Vec<f64> = (-3..2).map(|e| 10f64.powi(e)).collect();
    for (images, shape) in [(48, [3, 6, 7]), (90, [2, 4, 5])] {
        let e = Experiment::new(&format!("choice-{images}"), images, shape);
        let found = e.fit(&gpu, smooth(&ratios, Penalties::Relative(relative.clone()), true));
        let [train, validation] = ["train", "validation"].map(|tier| e.rows(&[tier]));
        let both = e.rows(&["train", "validation"]);
        let mut best = [(f64::INFINITY, 0.0, 0.0); NEURONS];
        for ratio in ratios {
            let unit = Reference::unit(&e, &both, ratio);
            for penalty in relative.iter().map(|p| p * unit) {
                let fitted = Reference::new(&e, &train, penalty, ratio, true);
                for (n, best) in best.iter_mut().enumerate() {
                    let error = |r: &usize| fitted.predictions[(*r, n)] - f64::from(e.responses[[n, *r]]);
                    let loss: f64 = validation.iter().map(|r| error(r).powi(2)).sum();
                    if loss < best.0 {
                        *best = (loss, penalty, ratio);
                    }
                }
            }
        }
        for (n, (_, penalty, ratio)) in best.iter().enumerate() {
            let (p, r) = found.chosen[n];
            assert!(
                (p / penalty - 1.0).abs() < 1e-5 && r == *ratio,
                "neuron {n}: {p} {r}, {penalty} {ratio}"
            );
            let want = Reference::new(&e, &both, *penalty, *ratio, true);
            let own = |all: &ArrayD<f32>| all.slice(s![n..n + 1, ..]).to_owned().into_dyn();
            assert!(distance(&own(&found.predictions), &own(&turned(&want.predictions))) < 1e-4);
            assert!(distance(&own(&found.weights), &own(&turned(&want.weights))) < 1e-4);
        }
        let taken: Vec<f64> = found.chosen.iter().map(|c| c.1).collect();
        assert!(taken.iter().any(|r| *r != taken[0]), "all neurons took one ratio: {taken:?}");
    }
}

#[test]
fn a_ratio_of_zero_is_plain_ridge() {
    let gpu = gpu();
    for (images, shape) in [(40, [4, 5, 7]), (70, [2, 3, 4])] {
        let e = Experiment::new(&format!("zero-{images}"), images, shape);
        let plain = e.fit(&gpu, ReadoutRequest::Ridge(RidgeRequest::default()));
        let zero = e.fit(&gpu, smooth(&[0.0], Penalties::default(), true));
        for ((a, _), (b, _)) in plain.chosen.iter().zip(&zero.chosen) {
            assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
        }
        assert!(distance(&plain.predictions, &zero.predictions) < 1e-4);
        assert!(distance(&plain.weights, &zero.weights) < 1e-4);
    }
}

/// A map is never cut: one that the adapter cannot bind for all images is refused in words, not by the
/// driver.
#[test]
fn a_map_larger_than_a_binding_is_refused() {
    let (gpu, area) = (gpu(), 512 * 512);
    let most = (gpu.max_binding_bytes() / (4 * area as u64)) as usize;
    let plan = |images| SlabPlan::in_units(&gpu, images, 3 * area, area, 1 << 50);
    assert_eq!(plan(most).unwrap().columns % area, 0);
    let why = plan(most + 1).unwrap_err();
    assert_eq!(why.kind(), Kind::Memory);
    assert!(why.to_string().contains("262144 values") && why.to_string().contains("binds at once"), "{why}");
}

const PIXELS: [&str; 8] = [
    "--images",
    "e/images.npy",
    "--net",
    "pixels",
    "--responses",
    "e/responses.npy",
    "--split",
    "e/split.csv",
];

#[test]
fn the_command_takes_ratios_from_options_and_from_a_configuration() {
    let here = Scratch::new("smooth-command");
    here.experiment("e");
    let fit = |out: &'static str, more: &[&'static str]| {
        [&["fit", "-q", "--readout", "smooth-ridge", "--out", out], &PIXELS[..], more].concat()
    };
    let plan = here.works(&fit("run", &["--dry-run", "--json", "--ratios", "0,1,5"])).json();
    assert_eq!(
        (&plan["readout"], &plan["ratios"]),
        (&"smooth-ridge".into(), &serde_json::json!([0.0, 1.0, 5.0]))
    );
    let operations = &plan["plan"]["operations"];
    assert_eq!(operations["kernel_matrix"], 3.0 * 20.0 * 20.0 * 768.0);
    assert_eq!(operations["rotation"], 2.0 * (20.0 + 6.0) * 768.0 * 32.0);
    assert!(here.works(&fit("run", &["--dry-run"])).out.contains("15 by 6 ratios"));
    let document = here.works(&fit("run", &["--json", "--ratios", "0,1,5"])).json();
    assert_eq!(document["readout"], "smooth-ridge");
    assert_eq!(document["feature_shape"], serde_json::json!([3, 16, 16]));
    let options = &here.document("run/record.json")["options"];
    assert_eq!(options["ratios"], serde_json::json!([0.0, 1.0, 5.0]));
    assert_eq!(options["penalties_absolute"].as_array().unwrap().len(), 3);
    assert_eq!(options["penalty_unit"].as_array().unwrap().len(), 3);
    let table = String::from_utf8(here.bytes("run/scores.csv")).unwrap();
    assert!(table.starts_with("neuron,penalty,ratio,constant,"), "{table}");
    let text = "readout = \"smooth-ridge\"\nratios = [0, 1, 5]\nimages = \"e/images.npy\"\nnet = \"pixels\"\n\
                responses = \"e/responses.npy\"\nsplit = \"e/split.csv\"\nout = \"b\"\n";
    here.write("fit.toml", text);
    here.works(&["fit", "-q", "--config", "fit.toml"]);
    assert!(here.bytes("run/predictions.npy") == here.bytes("b/predictions.npy"));
    here.works(&["predict", "b", "--images", "e/images.npy", "--out", "p.npy", "-q"]);
    assert!(distance(&here.array("p.npy"), &here.array("b/predictions.npy")) < 1e-5);
    assert_eq!(here.works(&["info", "b", "--json"]).json()["kind"], "run");
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let here = Scratch::new("smooth-nonsense");
    here.experiment("e");
    let smooth = ["fit", "--out", "run", "-q", "--readout", "smooth-ridge"];
    let with = |more: &[&str]| here.striate(&[&smooth, &PIXELS[..], more].concat());
    for ratios in ["-1,2", "nan", "inf", "", "0:1:3", "1e13"] {
        let ran = with(&["--ratios", ratios]);
        let said = ["--ratios", "no ratio", "0,0.01,0.1,1,10,100"];
        assert!(ran.code == 2 && said.iter().all(|words| ran.err.contains(words)), "{ran:?}");
    }
    with(&["--subsample", "50"]).refused(2, &["smooth-ridge", "no map", "--subsample"]);
    let ridge = [&["fit", "--out", "run", "-q", "--ratios", "1"], &PIXELS[..]].concat();
    here.striate(&ridge).refused(2, &["--ratios", "--readout smooth-ridge"]);
    let rest = ["--responses", "e/responses.npy", "--split", "e/split.csv"];
    let features = |array: ArrayD<f32>| {
        npy::write(&here.0.join("f.npy"), array.view()).unwrap();
        here.striate(&[&smooth[..], &["--features", "f.npy"], &rest].concat())
    };
    features(ArrayD::ones(vec![20, 50])).refused(2, &["smooth-ridge", "50 features", "no map"]);
    features(ArrayD::ones(vec![20, 50, 1, 1])).refused(2, &["smooth-ridge", "no map"]);
    features(ArrayD::ones(vec![20, 2, 3, 4])).refused(3, &["every feature is the same"]);
    let mut holes = ArrayD::from_shape_fn(vec![20, 2, 3, 4], |at| (at[0] * 7 + at[2] * at[3]) as f32);
    holes[[3, 1, 2, 2]] = f32::NAN;
    features(holes).refused(3, &["f.npy", "NaN"]);
    assert_eq!(here.names("."), ["e", "f.npy"]);
}

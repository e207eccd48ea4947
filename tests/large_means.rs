//! Responses and features whose means are large beside what varies, in f64: f32 would have no digits for it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;

use command::{Scratch, Table};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::{Array2, Array3, Array4, ArrayD, Axis, Ix2, s};
use striate::io::npy;
use striate::io::weights::WeightFile;
use striate::random::Random;

const IMAGES: usize = 44;
const TRAIN: usize = 32;
const NEURONS: usize = 4;
const REPEATS: usize = 3;
const PENALTY: f64 = 9.0;

/// Maps of 3 channels and what neurons respond to them, without large means, in files of which both have.
struct Recorded {
    here: Scratch,
    maps: Array4<f64>,
    responses: Array3<f64>,
    means: [f64; 2],
}

impl Recorded {
    /// `means`: about those of features and of responses; each channel and neuron has another.
    fn new(name: &str, means: [f64; 2]) -> Recorded {
        let here = Scratch::new(name);
        let mut random = Random::stream(21, "large means");
        let maps = Array4::from_shape_simple_fn((IMAGES + 6, 3, 2, 3), || random.normal());
        let weights = Array2::from_shape_simple_fn((NEURONS, 18), || 0.3 * random.normal());
        let responses = Array3::from_shape_fn((NEURONS, IMAGES, REPEATS), |(neuron, image, _)| {
            let own = maps.index_axis(Axis(0), image);
            let drive: f64 = own.iter().zip(weights.row(neuron)).map(|(x, w)| x * w).sum();
            drive + 0.5 * random.normal()
        });
        let recorded = Recorded { here, maps, responses, means };
        let [of_features, of_responses] = means;
        let moved = Array4::from_shape_fn(recorded.maps.dim(), |at| {
            recorded.maps[at] + of_features * (1.0 + at.1 as f64 / 7.0)
        });
        let flat = moved.to_shape((IMAGES + 6, 18)).unwrap().to_owned();
        let new = s![IMAGES.., .., .., ..];
        recorded.write("maps.npy", moved.slice(s![..IMAGES, .., .., ..]).to_owned().into_dyn());
        recorded.write("new-maps.npy", moved.slice(new).to_owned().into_dyn());
        recorded.write("flat.npy", flat.slice(s![..IMAGES, ..]).to_owned().into_dyn());
        recorded.write("new-flat.npy", flat.slice(s![IMAGES.., ..]).to_owned().into_dyn());
        let moved = Array3::from_shape_fn(recorded.responses.dim(), |at| {
            recorded.responses[at] + of_responses * (1.0 + at.0 as f64)
        });
        recorded.write("responses.npy", moved.into_dyn());
        let tier = |image: usize| match image {
            i if i >= TRAIN => "test",
            i if i % 4 == 3 => "validation",
            _ => "train",
        };
        let rows: String = (0..IMAGES).map(|i| format!("{i},{}\n", tier(i))).collect();
        recorded.here.write("split.csv", format!("image,tier\n{rows}"));
        recorded
    }

    fn write(&self, name: &str, array: ArrayD<f64>) {
        npy::write_f64(&self.here.0.join(name), array.view()).unwrap();
    }

    fn read(&self, name: &str) -> ArrayD<f64> {
        npy::read_f64(&self.here.0.join(name), None).unwrap()
    }

    fn fit(&self, features: &str, out: &str, more: &[&str]) {
        let files = ["--features", features, "--responses", "responses.npy", "--split", "split.csv"];
        self.here.works(&[&["fit", "--out", out, "-q"], &files[..], more].concat());
    }

    /// Predictions of a file, less the means of responses: (neurons, images).
    fn predicted(&self, name: &str) -> Array2<f64> {
        let mut all = self.read(name).into_dimensionality::<Ix2>().unwrap();
        for (neuron, mut row) in all.rows_mut().into_iter().enumerate() {
            row -= self.means[1] * (1.0 + neuron as f64);
        }
        all
    }
}

fn close(a: &Array2<f64>, b: &Array2<f64>, within: f64, what: &str) {
    assert_eq!(a.dim(), b.dim());
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < within, "{what}: {worst:e}");
}

const FAST: [&str; 6] = ["--epochs", "4", "--shuffle", "false", "--learning-rate", "0.01"];

/// Files and options of every readout.
fn readouts() -> Vec<(&'static str, Vec<&'static str>)> {
    let trained = |name: &'static str| [&["--readout", name][..], &FAST].concat();
    let ridge = ["--lambdas", "absolute:9"];
    vec![
        ("flat", ridge.to_vec()),
        ("maps", [&ridge[..], &["--readout", "smooth-ridge", "--ratios", "0.5"]].concat()),
        ("flat", [&ridge[..], &["--trials", "single"]].concat()),
        ("flat", [&ridge[..], &["--subsample", "11"]].concat()),
        ("maps", trained("simple")),
        ("maps", trained("factored")),
        ("maps", trained("mlp")),
    ]
}

#[test]
fn no_readout_depends_on_large_means() {
    let [plain, moved] =
        [Recorded::new("plain-means", [0.0, 0.0]), Recorded::new("moved-means", [2e6, -4e6])];
    for (features, options) in readouts() {
        for recorded in [&plain, &moved] {
            recorded.fit(&format!("{features}.npy"), "run", &options);
            let new = format!("new-{features}.npy");
            recorded.here.works(&["predict", "run", "--features", &new, "--out", "new.npy", "-q"]);
        }
        let said = format!("{options:?}");
        // What f64 itself rounds of a mean of 4e6 is 5e-10; the rest are bits of f32 about other means.
        for file in ["run/predictions.npy", "new.npy", "run/measured.npy"] {
            close(&moved.predicted(file), &plain.predicted(file), 2e-5, &format!("{said} {file}"));
        }
        let [a, b] = [&plain, &moved].map(|recorded| Table::read(&recorded.here, "run/scores.csv"));
        for score in ["pearson_r", "r2", "feve", "test_fev", "test_split_half", "single_trial_correlation"] {
            for (a, b) in a.numbers(score).iter().zip(b.numbers(score)) {
                assert!((a - b).abs() < 2e-5, "{said}: {score} {a} and {b}");
            }
        }
    }
}

/// `(x - mean) W + mean` of the normal equations, in f64 and without any large mean; without intercept both are
/// 0.
fn ridge(x: &Array2<f64>, y: &Array2<f64>, of: &Array2<f64>, intercept: bool) -> Array2<f64> {
    let mean = |m: &Array2<f64>| match intercept {
        true => m.mean_axis(Axis(0)).unwrap(),
        false => ndarray::Array1::zeros(m.ncols()),
    };
    let (mx, my) = (mean(x), mean(y));
    let (x, y, of) = (x - &mx, y - &my, of - &mx);
    let gram = x.t().dot(&x);
    let n = gram.nrows();
    let a = Mat::from_fn(n, n, |i, j| gram[[i, j]] + if i == j { PENALTY } else { 0.0 });
    let right = x.t().dot(&y);
    let b = Mat::from_fn(n, y.ncols(), |i, j| right[[i, j]]);
    let w = a.llt(Side::Lower).unwrap().solve(&b);
    of.dot(&Array2::from_shape_fn((n, y.ncols()), |(i, j)| w[(i, j)])) + &my
}

fn pearson(a: ndarray::ArrayView1<'_, f64>, b: ndarray::ArrayView1<'_, f64>) -> f64 {
    let (ma, mb) = (a.mean().unwrap(), b.mean().unwrap());
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Predictions, r of them, and the model that is kept, against f64, at the means that were reported and others.
#[test]
fn ridge_equals_f64_at_any_mean() {
    for (number, means) in
        [[0.0, 0.0], [1e4, 1e3], [1e6, 1e4], [-3e7, 1e5], [1e6, 1e6]].into_iter().enumerate()
    {
        let all = Recorded::new(&format!("exact-{number}"), means);
        let x = all.maps.to_shape((IMAGES + 6, 18)).unwrap().to_owned();
        let y = all.responses.mean_axis(Axis(2)).unwrap().t().to_owned();
        let [train, test] = [0..TRAIN, TRAIN..IMAGES].map(|range| range.collect::<Vec<_>>());
        let [xt, yt] = [&x, &y].map(|m| m.select(Axis(0), &train));
        let want = ridge(&xt, &yt, &x, true).t().to_owned();
        all.fit("flat.npy", "run", &["--lambdas", "absolute:9"]);
        let found = all.predicted("run/predictions.npy");
        close(&found, &want.slice(s![.., ..IMAGES]).to_owned(), 3e-6, &format!("{means:?}"));
        let r = Table::read(&all.here, "run/scores.csv").numbers("pearson_r");
        for (neuron, r) in r.into_iter().enumerate() {
            let [p, m] = [&found, &y.t().to_owned()].map(|a| a.select(Axis(1), &test));
            let [exact, of_files] =
                [&want.select(Axis(1), &test), &p].map(|p| pearson(p.row(neuron), m.row(neuron)));
            // The table has six digits.
            assert!((r - exact).abs() < 1.1e-6 && (of_files - exact).abs() < 1e-6, "{means:?}: {r}, {exact}");
        }
        // The formula of the file, in f64.
        let model = WeightFile::open(&all.here.0.join("run/model.safetensors")).unwrap();
        let [m, i] = ["feature_means", "intercepts"].map(|name| model.read_f64(name).unwrap());
        let w = model.read("weights").unwrap().into_dimensionality::<Ix2>().unwrap().mapv(f64::from);
        let new = all.read("new-flat.npy").into_dimensionality::<Ix2>().unwrap();
        let by_hand = w.dot(&(new - ndarray::Array1::from(m)).t());
        let by_hand = by_hand + ndarray::Array1::from(i).insert_axis(Axis(1));
        all.here.works(&["predict", "run", "--features", "new-flat.npy", "--out", "new.npy", "-q"]);
        let predicted = all.read("new.npy").into_dimensionality::<Ix2>().unwrap();
        close(&predicted, &by_hand, 1e-5, &format!("{means:?} by the file"));
        close(
            &all.predicted("new.npy"),
            &want.slice(s![.., IMAGES..]).to_owned(),
            3e-6,
            &format!("{means:?} new"),
        );
    }
}

/// Without an intercept nothing may be taken off, and a mean of features is a feature like any other.
#[test]
fn without_intercept_nothing_is_taken_off() {
    let all = Recorded::new("no-intercept", [3.0, 2.0]);
    let x = all.read("flat.npy").into_dimensionality::<Ix2>().unwrap();
    let y = all.read("responses.npy").mean_axis(Axis(2)).unwrap().into_dimensionality::<Ix2>().unwrap();
    let train: Vec<usize> = (0..TRAIN).collect();
    let want = ridge(&x.select(Axis(0), &train), &y.t().select(Axis(0), &train), &x, false);
    all.fit("flat.npy", "run", &["--lambdas", "absolute:9", "--no-intercept"]);
    let found = all.read("run/predictions.npy").into_dimensionality::<Ix2>().unwrap();
    close(&found, &want.t().to_owned(), 1e-4, "no intercept");
}

/// Counts in f64 stay counts for the Poisson loss.
#[test]
fn counts_stay_counts() {
    let all = Recorded::new("counts", [1e5, 0.0]);
    let counts = all.responses.mapv(|v| (2.0 * v.abs()).floor());
    all.write("responses.npy", counts.into_dyn());
    let poisson = ["--readout", "simple", "--loss", "poisson", "--nonlinearity", "exp", "--epochs", "2"];
    all.fit("maps.npy", "run", &[&poisson[..], &["--standardise-responses", "false"]].concat());
    assert!(all.read("run/predictions.npy").iter().all(|p| *p > 0.0));
}

#[test]
fn features_in_f64_give_the_same_bits_in_any_memory() {
    let here = Scratch::new("means-memory");
    let mut random = Random::stream(22, "wide");
    let features = Array2::from_shape_simple_fn((40, 5000), || 1e6 + random.normal());
    npy::write_f64(&here.0.join("f.npy"), features.view().into_dyn()).unwrap();
    let responses = Array2::from_shape_fn((3, 40), |(n, i)| features[[i, n]] + 1e5);
    npy::write_f64(&here.0.join("r.npy"), responses.view().into_dyn()).unwrap();
    for (out, memory) in [("all", "1GiB"), ("little", "2MiB")] {
        let more = ["--out", out, "--max-memory", memory, "--test-fraction", "0.2", "-q"];
        here.works(&[&["fit", "--features", "f.npy", "--responses", "r.npy"], &more[..]].concat());
    }
    for file in ["predictions.npy", "model.safetensors", "scores.csv"] {
        assert!(here.bytes(&format!("all/{file}")) == here.bytes(&format!("little/{file}")), "{file}");
    }
}

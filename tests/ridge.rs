//! Ridge against plain f64 solutions, and the Gram matrix against f64 products.

use ndarray::{Array2, ArrayView2, Axis, s};
use std::path::Path;
use striate::gpu::{AdapterChoice, Gpu, Matrix, Options};
use striate::io::split::folds;
use striate::io::weights::WeightFile;
use striate::random::Random;
use striate::ridge::{Penalties, Plan, Space, fit};
use striate::routines::Gram;
use striate::scores::agreement;

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// Correlated features with a mean far from zero, as ReLU layers have them, and responses that depend on
/// them.
fn data(images: usize, features: usize, neurons: usize, seed: u64) -> (Array2<f32>, Array2<f32>) {
    let mut random = Random::stream(seed, "test");
    let latent = Array2::from_shape_simple_fn((images, 12), || random.normal());
    let mix = Array2::from_shape_simple_fn((12, features), || random.normal());
    let noise = Array2::from_shape_simple_fn((images, features), || random.normal());
    let x = (latent.dot(&mix) + noise * 0.5 + 1.0).mapv(|v| v.max(0.0) as f32);
    let to_neurons = Array2::from_shape_simple_fn((neurons, 12), || random.normal());
    let spikes = Array2::from_shape_simple_fn((neurons, images), || 2.0 * random.normal() + 5.0);
    (x, (to_neurons.dot(&latent.t()) + spikes).mapv(|v| v as f32))
}

/// Solves `a z = b` for symmetric positive a by Gaussian elimination with pivoting: slow, plain, f64.
fn solve(mut a: Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    for c in 0..n {
        let pivot = (c..n).max_by(|i, j| a[[*i, c]].abs().total_cmp(&a[[*j, c]].abs())).expect("rows");
        for k in 0..n {
            a.swap([c, k], [pivot, k]);
        }
        for k in 0..b.ncols() {
            b.swap([c, k], [pivot, k]);
        }
        for r in 0..n {
            let factor = if r == c { 0.0 } else { a[[r, c]] / a[[c, c]] };
            if factor != 0.0 {
                let (from_a, from_b) = (a.row(c).to_owned(), b.row(c).to_owned());
                a.row_mut(r).scaled_add(-factor, &from_a);
                b.row_mut(r).scaled_add(-factor, &from_b);
            }
        }
    }
    for c in 0..n {
        let pivot = a[[c, c]];
        b.row_mut(c).mapv_inplace(|v| v / pivot);
    }
    b
}

/// Predictions (neurons, rows of `other`) of ridge with one penalty: the normal equations, in f64.
fn reference(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    other: ArrayView2<f64>,
    penalty: f64,
    intercept: bool,
) -> Array2<f64> {
    let zero = |axis: usize| ndarray::Array1::<f64>::zeros(axis);
    let x_mean = if intercept { x.mean_axis(Axis(0)).expect("rows") } else { zero(x.ncols()) };
    let y_mean = if intercept { y.mean_axis(Axis(1)).expect("columns") } else { zero(y.nrows()) };
    let (xc, yc) = (&x - &x_mean, &y - &y_mean.clone().insert_axis(Axis(1)));
    let normal = xc.t().dot(&xc) + Array2::<f64>::eye(x.ncols()) * penalty;
    let weights = solve(normal, xc.t().dot(&yc.t()));
    (&other - &x_mean).dot(&weights).reversed_axes() + y_mean.insert_axis(Axis(1))
}

fn gram(gpu: &Gpu, x: &Array2<f32>) -> Array2<f64> {
    let gram = Gram::new(gpu, x.nrows()).expect("memory");
    for columns in [0..x.ncols() / 3, x.ncols() / 3..x.ncols()] {
        let slab = Matrix::upload(gpu, "slab", x.slice(s![.., columns])).expect("memory");
        gram.add(gpu, &slab).expect("a device that works");
    }
    gram.finish(gpu).expect("a device that works")
}

#[test]
fn the_gram_matrix_is_that_of_f64() {
    let gpu = gpu();
    for (images, features) in [(5, 3), (130, 1700), (1100, 600)] {
        let (x, _) = data(images, features, 1, 1);
        let exact = x.mapv(f64::from);
        let exact = exact.dot(&exact.t());
        let largest = exact.diag().iter().fold(0.0, |m: f64, v| m.max(*v));
        let worst = (gram(&gpu, &x) - exact).mapv(f64::abs).iter().fold(0.0, |m: f64, v| m.max(*v));
        println!("{images} x {features}: {:.1e} of the diagonal", worst / largest);
        // A panel of 512 products sums 128 quads in f32; panels add without loss.
        assert!(worst / largest < 4e-7, "{worst} of {largest}");
    }
}

/// Chosen penalties and predictions must be those of the normal equations, fold by fold, for every form.
#[test]
fn predictions_and_penalties_are_those_of_the_normal_equations() {
    let gpu = gpu();
    for (images, features, neurons, intercept) in
        [(60, 150, 7, true), (60, 150, 7, false), (90, 20, 5, true), (90, 20, 70, false), (50, 50, 3, true)]
    {
        let (x, y) = data(images, features, neurons, 3);
        let space = || {
            if features < images { Space::Features(x.mapv(f64::from)) } else { Space::Kernel(gram(&gpu, &x)) }
        };
        let train: Vec<usize> = (0..images).filter(|i| i % 5 != 1).collect();
        let pairs = folds(&train, 4, Some(7)).expect("folds");
        let penalties: Vec<f64> = (-3..5).map(|e| 10f64.powi(e)).collect();
        let plan = Plan {
            fit: train.clone(),
            folds: pairs.clone(),
            penalties: Penalties::Absolute(penalties.clone()),
            intercept,
        };
        let fitted = fit(&gpu, &space(), y.view(), &plan, &mut |_| ()).expect("a fit");
        let (x64, y64) = (x.mapv(f64::from), y.mapv(f64::from));
        let pick = |rows: &[usize]| (x64.select(Axis(0), rows), y64.select(Axis(1), rows));
        let mut losses = Array2::<f64>::zeros((penalties.len(), neurons));
        for (tr, va) in &pairs {
            let ((xt, yt), (xv, yv)) = (pick(tr), pick(va));
            for (l, penalty) in penalties.iter().enumerate() {
                let error = reference(xt.view(), yt.view(), xv.view(), *penalty, intercept) - yv.view();
                let mse = error.mapv(|e| e * e).mean_axis(Axis(1)).expect("images");
                losses.row_mut(l).scaled_add(0.25, &mse);
            }
        }
        let worst =
            ((&fitted.losses - &losses) / &losses).mapv(f64::abs).iter().fold(0.0, |m: f64, v| m.max(*v));
        assert!(worst < 2e-5, "losses differ by {worst:.1e}");
        let (xt, yt) = pick(&train);
        for n in 0..neurons {
            let column: Vec<f64> = losses.column(n).to_vec();
            let best =
                (0..penalties.len()).min_by(|a, b| column[*a].total_cmp(&column[*b])).expect("penalties");
            assert_eq!(fitted.chosen[n], best, "neuron {n}: {column:?}");
            let own = yt.slice(s![n..n + 1, ..]);
            let want = reference(xt.view(), own, x64.view(), penalties[best], intercept);
            let spread = want.std(0.0);
            let got = fitted.predictions.slice(s![n..n + 1, ..]).mapv(f64::from);
            let worst = (&got - &want).mapv(f64::abs).iter().fold(0.0, |m: f64, v| m.max(*v));
            assert!(worst < 1e-5 * spread, "neuron {n}: {worst:.1e} of a spread of {spread:.2}");
        }
    }
}

/// A kernel matrix centred by its own rows is singular: its smallest eigenvalue rounds to either side of
/// zero. With a penalty far below that rounding, the fitted responses must still be interpolated.
#[test]
fn a_singular_kernel_with_tiny_penalties_does_not_spoil_predictions() {
    let gpu = gpu();
    let (mut x, mut y) = data(40, 900, 4, 5);
    x -= &x.mean_axis(Axis(0)).expect("rows");
    y -= &y.mean_axis(Axis(1)).expect("columns").insert_axis(Axis(1));
    let train: Vec<usize> = (0..40).collect();
    let plan = Plan {
        fit: train.clone(),
        folds: folds(&train, 5, None).expect("folds"),
        penalties: Penalties::Relative(vec![1e-9, 1e-7]),
        intercept: false,
    };
    let fitted = fit(&gpu, &Space::Kernel(gram(&gpu, &x)), y.view(), &plan, &mut |_| ()).expect("a fit");
    let off = (&fitted.predictions - &y).mapv(f32::abs).iter().fold(0f32, |m, v| m.max(*v));
    assert!(off < 1e-4 * y.std(0.0), "{off}");
}

/// One eigendecomposition a fold and every penalty from it, in f64 throughout: R2 on the rows after `train`.
fn f64_ridge(x: &Array2<f32>, y: &Array2<f32>, train: usize, penalties: &[f64]) -> (f64, Vec<usize>) {
    let x = faer::Mat::from_fn(x.nrows(), x.ncols(), |r, c| f64::from(x[[r, c]]));
    let y = faer::Mat::from_fn(y.ncols(), y.nrows(), |r, c| f64::from(y[[c, r]]));
    let k = &x * x.transpose();
    let rows: Vec<usize> = (0..train).collect();
    let pick = |m: &faer::Mat<f64>, r: &[usize], c: &[usize]| {
        faer::Mat::from_fn(r.len(), c.len(), |i, j| m[(r[i], c[j])])
    };
    let columns: Vec<usize> = (0..y.ncols()).collect();
    let spectrum = |own: &[usize], other: &[usize]| {
        let eigen = pick(&k, own, own).self_adjoint_eigen(faer::Side::Lower).expect("eigenvalues");
        let values: Vec<f64> = eigen.S().column_vector().iter().map(|v| v.max(0.0)).collect();
        let right = eigen.U().transpose() * pick(&y, own, &columns);
        (values, pick(&k, other, own) * eigen.U(), right)
    };
    let mut losses = vec![vec![0.0; y.ncols()]; penalties.len()];
    for (own, other) in folds(&rows, 5, None).expect("folds") {
        let (values, left, right) = spectrum(&own, &other);
        for (loss, penalty) in losses.iter_mut().zip(penalties) {
            let scaled = faer::Mat::from_fn(right.nrows(), right.ncols(), |i, j| {
                right[(i, j)] / (values[i] + penalty)
            });
            let error = &left * scaled - pick(&y, &other, &columns);
            for (n, l) in loss.iter_mut().enumerate() {
                *l += error.col(n).squared_norm_l2() / other.len() as f64;
            }
        }
    }
    let best = |n: usize| {
        (0..penalties.len()).min_by(|a, b| losses[*a][n].total_cmp(&losses[*b][n])).expect("penalties")
    };
    let chosen: Vec<usize> = columns.iter().map(|n| best(*n)).collect();
    let test: Vec<usize> = (train..x.nrows()).collect();
    let (values, left, right) = spectrum(&rows, &test);
    let scaled = faer::Mat::from_fn(right.nrows(), right.ncols(), |i, j| {
        right[(i, j)] / (values[i] + penalties[chosen[j]])
    });
    let predictions = &left * scaled;
    let r2 = |n: usize| {
        let mean = test.iter().map(|i| y[(*i, n)]).sum::<f64>() / test.len() as f64;
        let total: f64 = test.iter().map(|i| (y[(*i, n)] - mean).powi(2)).sum();
        let rest: f64 =
            test.iter().enumerate().map(|(r, i)| (y[(*i, n)] - predictions[(r, n)]).powi(2)).sum();
        1.0 - rest / total
    };
    (columns.iter().map(|n| r2(*n)).sum::<f64>() / columns.len() as f64, chosen)
}

/// Rows of a file of the peers, those that train before those that test, and how many train: rows x columns.
fn peers_rows(file: &WeightFile, name: &str) -> (Array2<f32>, usize) {
    let read = |tier: &str| -> Array2<f32> {
        let array = file.read(&format!("{name}_{tier}")).expect("an array");
        array.into_dimensionality().expect("two axes")
    };
    let (train, test) = (read("train"), read("test"));
    (ndarray::concatenate(Axis(0), &[train.view(), test.view()]).expect("the same columns"), train.nrows())
}

/// R2 on held-out rows, averaged over neurons, as NumPy found it in f64 on the same arrays: images, features,
/// neurons, whether rows are centred by the means of those that train, R2.
const PEERS_R2: [(usize, usize, usize, bool, f64); 7] = [
    (118, 9216, 212, false, 0.419192),
    (118, 9216, 5000, false, 0.413772),
    (118, 36_864, 212, false, 0.420567),
    (118, 36_864, 5000, false, 0.414955),
    (118, 36_864, 212, true, 0.413769),
    (1000, 9216, 212, false, 0.513084),
    (1000, 36_864, 212, false, 0.515287),
];

#[test]
fn the_peers_cases_have_the_r2_of_numpy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = std::env::var("STRIATE_PEERS").unwrap_or_else(|_| "../shared/peers/cache".into());
    let folder = root.join(cache).join("ridge");
    if !folder.is_dir() {
        println!("STRIATE_PEERS: {} is absent, so this test shows nothing", folder.display());
        return;
    }
    let gpu = gpu();
    for (images, features, neurons, centred, want) in PEERS_R2 {
        let file = WeightFile::open(&folder.join(format!("n{images}.safetensors"))).expect("the peers' data");
        let rows = |name: &str, columns: usize| {
            let (all, train) = peers_rows(&file, name);
            assert_eq!(train, images);
            let some = all.slice_move(s![.., ..columns]);
            let mean = some.slice(s![..train, ..]).mean_axis(Axis(0)).expect("rows");
            if centred { some - &mean } else { some }
        };
        let (x, y) = (rows("X", features), rows("Y", neurons).reversed_axes());
        let train: Vec<usize> = (0..images).collect();
        let plan = Plan {
            fit: train.clone(),
            folds: folds(&train, 5, None).expect("folds"),
            penalties: "absolute:-2:7:20".parse().expect("a grid"),
            intercept: false,
        };
        let fitted = fit(&gpu, &Space::Kernel(gram(&gpu, &x)), y.view(), &plan, &mut |_| ()).expect("a fit");
        let held_out = |all: &Array2<f32>| all.slice(s![.., images..]).mapv(f64::from);
        let (truth, predicted) = (held_out(&y), held_out(&fitted.predictions));
        let r2 = |n: usize| agreement::r2(&truth.row(n).to_vec(), &predicted.row(n).to_vec());
        let got = (0..neurons).map(r2).sum::<f64>() / neurons as f64;
        println!("{images} x {features}, {neurons} neurons, centred {centred}: R2 {got:.6}, of NumPy {want}");
        assert!((got - want).abs() < 1e-4, "{got} {want}");
    }
}

/// The peers' hardest case in shape: 118 images, 36,864 features, centred by its own rows, so that the kernel
/// matrix is singular, with penalties down to a 3-millionth of its mean eigenvalue.
#[test]
fn r2_on_held_out_rows_is_that_of_f64() {
    let gpu = gpu();
    let (train, test, features, neurons) = (118, 50, 36_864, 60);
    for centred in [false, true] {
        let mut random = Random::stream(11, "peers");
        let images = train + test;
        let latent = Array2::from_shape_fn((images, 64), |(_, k)| random.normal() / ((k + 1) as f64).sqrt());
        let mix = Array2::from_shape_simple_fn((64, features), || random.normal());
        let noise = Array2::from_shape_simple_fn((images, features), || random.normal());
        let mut x = (latent.dot(&mix) + noise).mapv(|v| (v / 2.4) as f32);
        let to_neurons = Array2::from_shape_simple_fn((neurons, 64), || random.normal());
        let own = Array2::from_shape_fn((neurons, images), |(n, _)| random.normal() * (0.3 + n as f64 / 8.0));
        let mut y = (to_neurons.dot(&latent.t()) + own).mapv(|v| v as f32);
        if centred {
            x -= &x.slice(s![..train, ..]).mean_axis(Axis(0)).expect("rows");
            y -= &y.slice(s![.., ..train]).mean_axis(Axis(1)).expect("columns").insert_axis(Axis(1));
        }
        let grid: Penalties = "absolute:-2:7:20".parse().expect("a grid");
        let penalties = grid.absolute(1.0);
        let (want, want_chosen) = f64_ridge(&x, &y, train, &penalties);
        let rows: Vec<usize> = (0..train).collect();
        let plan = Plan {
            fit: rows.clone(),
            folds: folds(&rows, 5, None).expect("folds"),
            penalties: grid,
            intercept: false,
        };
        let fitted = fit(&gpu, &Space::Kernel(gram(&gpu, &x)), y.view(), &plan, &mut |_| ()).expect("a fit");
        let (truth, predicted) = (y.slice(s![.., train..]), fitted.predictions.slice(s![.., train..]));
        let r2 = |n: usize| {
            let to = |v: ndarray::ArrayView1<f32>| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            agreement::r2(&to(truth.row(n)), &to(predicted.row(n)))
        };
        let got = (0..neurons).map(r2).sum::<f64>() / neurons as f64;
        let same = fitted.chosen.iter().zip(&want_chosen).filter(|(a, b)| a == b).count();
        println!(
            "centred {centred}: R2 mean {got:.7}, in f64 {want:.7}; {same} of {neurons} penalties the same"
        );
        assert!((got - want).abs() < 1e-5, "{got} {want}");
        assert!(same * 10 >= neurons * 9, "{same}");
    }
}

/// Responses in whatever unit: squares of large or small ones leave f32, so they are scaled on the way.
#[test]
fn the_unit_of_responses_changes_neither_penalties_nor_predictions() {
    let gpu = gpu();
    let (x, y) = data(60, 150, 7, 9);
    let train: Vec<usize> = (0..50).collect();
    let plan = Plan {
        fit: train.clone(),
        folds: folds(&train, 5, Some(1)).expect("folds"),
        penalties: Penalties::default(),
        intercept: true,
    };
    let space = Space::Kernel(gram(&gpu, &x));
    let fitted =
        |unit: f32| fit(&gpu, &space, y.mapv(|v| v * unit).view(), &plan, &mut |_| ()).expect("a fit");
    let usual = fitted(1.0);
    for unit in [1e30, 1e-30] {
        let other = fitted(unit);
        assert_eq!(other.chosen, usual.chosen, "{unit}");
        let worst = other.predictions.iter().zip(&usual.predictions).map(|(a, b)| (a / unit - b).abs());
        assert!(worst.fold(0f32, f32::max) < 1e-5 * y.std(0.0), "{unit}");
    }
}

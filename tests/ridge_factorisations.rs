//! The factorisations that solve ridge's systems of equations, against each other: the same penalties, the
//! same predictions.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::Array2;
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::split::folds;
use striate::random::Random;
use striate::ridge::{Among, Factorisation, FactorisationTaken, Penalties, Plan, Space, fit_among_by};

/// Unit roundoff of f32.
const UNIT: f64 = 1.0 / (1u32 << 24) as f64;

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// A kernel matrix of rectified features and responses (neurons, images) of which a part depends on them.
fn data(images: usize, features: usize, neurons: usize) -> (Array2<f64>, Array2<f32>) {
    let mut random = Random::stream(17, "factorisations");
    let latent = Array2::from_shape_fn((images, 30), |(_, k)| random.normal() / ((k + 1) as f64).sqrt());
    let mix = Array2::from_shape_simple_fn((30, features), || random.normal());
    let noise = Array2::from_shape_simple_fn((images, features), || random.normal());
    let x = (latent.dot(&mix) + noise * 0.5 + 1.0).mapv(|v| v.max(0.0));
    let to_neurons = Array2::from_shape_simple_fn((neurons, 30), || random.normal());
    let own = Array2::from_shape_fn((neurons, images), |(n, _)| random.normal() * (0.3 + n as f64 / 40.0));
    let y = to_neurons.dot(&latent.t()) + own + 3.0;
    (x.dot(&x.t()), y.mapv(|v| v as f32))
}

/// Ridge in f64 by normal equations, and what rounding may make of it.
struct Exact {
    /// `h = K_other (K + penalty)⁻¹`, (others, train), whose product with the responses is the prediction.
    hat: Mat<f64>,
    /// Centred rows of the kernel, (others, train).
    across: Mat<f64>,
    /// Largest of the diagonal of K + penalty.
    diagonal: f64,
    /// Centred responses y, (train, neurons).
    responses: Mat<f64>,
    /// `x = (K + penalty)⁻¹ y`, (train, neurons).
    weights: Mat<f64>,
    means: Vec<f64>,
}

impl Exact {
    fn new(
        (kernel, y): (&Array2<f64>, &Array2<f32>),
        [train, others]: [&[usize]; 2],
        penalty: f64,
        centred: bool,
    ) -> Self {
        let (n, all) = (train.len(), kernel.nrows());
        let share = if centred { 1.0 / n as f64 } else { 0.0 };
        let mean = |i: usize| train.iter().map(|j| kernel[[i, *j]]).sum::<f64>() * share;
        let means: Vec<f64> = (0..all).map(mean).collect();
        let grand = train.iter().map(|i| means[*i]).sum::<f64>() * share;
        let at = |i: usize, j: usize| kernel[[i, j]] - means[i] - means[j] + grand;
        let across = Mat::from_fn(others.len(), n, |i, j| at(others[i], train[j]));
        let shifted = Mat::from_fn(n, n, |i, j| at(train[i], train[j]) + if i == j { penalty } else { 0.0 });
        let value = |neuron: usize, image: usize| f64::from(y[[neuron, image]]);
        let mean = |neuron: usize| train.iter().map(|i| value(neuron, *i)).sum::<f64>() * share;
        let means: Vec<f64> = (0..y.nrows()).map(mean).collect();
        let responses = Mat::from_fn(n, y.nrows(), |i, neuron| value(neuron, train[i]) - means[neuron]);
        let factor = shifted.llt(Side::Lower).expect("a definite matrix");
        Exact {
            hat: factor.solve(across.transpose()).transpose().to_owned(),
            weights: factor.solve(&responses),
            diagonal: (0..n).map(|i| shifted[(i, i)]).fold(0.0, f64::max),
            across,
            responses,
            means,
        }
    }

    /// A neuron's prediction of one of the other images, and how far a factorisation may be from it. A sum of
    /// n products is within `g |a| |b|`, with `g = 6 sqrt(n) u` but for one in 10^7 (Higham and Mary 2019):
    /// - turning responses, and summing over images or eigenvectors: `g (|h| |y| + |k| |x|)`;
    /// - factoring K + penalty and solving forward and back: each changes an element of the matrix by at most
    ///   `g sqrt(K_ii K_jj)` (Higham 2002, theorem 10.3), less in f32's rounding of it. Together `E <= 4 g
    ///   max(K_ii)`, and `h E x <= 4 g max(K_ii) |h| |x|` for independent errors, n times that for any. In
    ///   f64 the latter is small enough.
    ///
    /// What is handed back is in f32.
    fn prediction(&self, neuron: usize, other: usize, by: Factorisation) -> (f64, f64) {
        let n = self.responses.nrows() as f64;
        let (h, k) = (self.hat.row(other).transpose(), self.across.row(other).transpose());
        let (y, x) = (self.responses.col(neuron), self.weights.col(neuron));
        let value = (0..y.nrows()).map(|i| h[i] * y[i]).sum::<f64>() + self.means[neuron];
        let sums = h.norm_l2() * y.norm_l2() + k.norm_l2() * x.norm_l2();
        let solution = 4.0 * self.diagonal * h.norm_l2() * x.norm_l2();
        let bound = match by {
            Factorisation::Tridiagonal => f64::EPSILON * (sums + n * solution),
            Factorisation::Cholesky => UNIT * (sums + solution),
            _ => UNIT * sums,
        };
        (value, 6.0 * n.sqrt() * bound + UNIT * value.abs())
    }

    /// A neuron's mean squared error, and how far a factorisation may be from it: `(p + e - y)² - (p - y)²`,
    /// whose mean is at most `2 rms(p - y) rms(e) + rms(e)²`, and the sum of squares in f32.
    fn loss(&self, y: &Array2<f32>, neuron: usize, others: &[usize], by: Factorisation) -> (f64, f64) {
        let (mut loss, mut off) = (0.0, 0.0);
        for (other, image) in others.iter().enumerate() {
            let (value, bound) = self.prediction(neuron, other, by);
            loss += (value - f64::from(y[[neuron, *image]])).powi(2) / others.len() as f64;
            off += bound * bound / others.len() as f64;
        }
        let sum = (others.len() + 4) as f64 * UNIT * loss;
        (loss, 2.0 * (loss * off).sqrt() + off + sum)
    }
}

/// Sizes on either side of blocks of 64: one row more, a prime, several blocks; with and without a constant.
#[test]
fn every_factorisation_finds_the_same_penalties_and_predictions() {
    let gpu = gpu();
    for (images, train, intercept) in [(90, 65, true), (130, 97, false), (330, 261, true)] {
        let data = data(images, 600, 110);
        let fitted: Vec<usize> = (0..train).collect();
        let plan = Plan {
            folds: folds(&fitted, 4, Some(3)).expect("folds"),
            fit: fitted,
            penalties: "-1.5:2:15".parse::<Penalties>().expect("a grid"),
            intercept,
        };
        let space = [Space::Kernel(data.0.clone())];
        for by in [Factorisation::Eigen, Factorisation::Tridiagonal, Factorisation::Cholesky] {
            let found = fit_among_by(&gpu, &space, data.1.view(), (&plan, by), &mut |_| ()).expect("a fit");
            assert_eq!(found.factorisations, [FactorisationTaken { search: by, refit: Some(by) }], "{by:?}");
            let losses = losses_are_near(&found, &data, &plan, by);
            let predictions = predictions_are_near(&found, &data, &plan, by);
            println!(
                "{by:?}, {train} images: losses {losses:.1e}, predictions {predictions:.1e} of the bound"
            );
        }
    }
}

/// Losses of every fold, penalty and neuron against f64, and the choice of penalties that follows. Returns
/// the largest share of the bound.
fn losses_are_near(found: &Among, data: &(Array2<f64>, Array2<f32>), plan: &Plan, by: Factorisation) -> f64 {
    let (grid, folds, mut most) = (&found.grids[0], plan.folds.len() as f64, 0f64);
    let mut exact = Array2::<f64>::zeros(grid.losses.raw_dim());
    let mut bounds = exact.clone();
    for (fold, (train, held_out)) in plan.folds.iter().enumerate() {
        for (l, penalty) in grid.penalties.iter().enumerate() {
            let reference = Exact::new((&data.0, &data.1), [train, held_out], *penalty, plan.intercept);
            for n in 0..data.1.nrows() {
                let (loss, bound) = reference.loss(&data.1, n, held_out, by);
                let off = (grid.folds[fold][[l, n]] - loss).abs();
                assert!(
                    off <= bound,
                    "{by:?}, fold {fold}, penalty {l}, neuron {n}: {off:e} beyond {bound:e}"
                );
                most = most.max(off / bound);
                exact[[l, n]] += loss / folds;
                bounds[[l, n]] += bound / folds;
            }
        }
    }
    for (n, chosen) in found.chosen.iter().enumerate() {
        // Another penalty may win only where rounding may have made it smaller.
        let (own, others) =
            (exact[[*chosen, n]] - bounds[[*chosen, n]], &exact.column(n) + &bounds.column(n));
        assert!(others.iter().all(|other| own <= *other), "{by:?}, neuron {n}: penalty {chosen}");
    }
    most
}

/// Predictions of all images against f64, with the penalties that were chosen. Returns the largest share of
/// the bound.
fn predictions_are_near(
    found: &Among,
    data: &(Array2<f64>, Array2<f32>),
    plan: &Plan,
    by: Factorisation,
) -> f64 {
    let all: Vec<usize> = (0..data.1.ncols()).collect();
    let mut most = 0f64;
    for (l, penalty) in found.grids[0].penalties.iter().enumerate() {
        let takers: Vec<usize> = (0..data.1.nrows()).filter(|n| found.chosen[*n] == l).collect();
        if takers.is_empty() {
            continue;
        }
        let reference = Exact::new((&data.0, &data.1), [&plan.fit, &all], *penalty, plan.intercept);
        for (n, image) in takers.iter().flat_map(|n| all.iter().map(move |image| (*n, *image))) {
            let (value, bound) = reference.prediction(n, image, by);
            let off = (f64::from(found.predictions[[n, image]]) - value).abs();
            assert!(off <= bound, "{by:?}, neuron {n}, image {image}: {off:e} beyond {bound:e}");
            most = most.max(off / bound);
        }
    }
    most
}

/// Penalties are solved in as many batches as memory asks for; each is a matrix of its own.
#[test]
fn batches_of_penalties_do_not_change_a_bit() {
    let (kernel, y) = data(330, 600, 40);
    let fitted: Vec<usize> = (0..261).collect();
    let plan = Plan {
        folds: folds(&fitted, 4, Some(3)).expect("folds"),
        fit: fitted,
        penalties: "-1.5:2:9".parse::<Penalties>().expect("a grid"),
        intercept: true,
    };
    let space = [Space::Kernel(kernel)];
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    let [all, some] = [None, Some(4 << 20)].map(|max_memory| {
        let gpu = Gpu::open(&Options { adapter: adapter.clone(), max_memory, ..Options::default() });
        let gpu = gpu.expect("an adapter");
        let how = (&plan, Factorisation::Cholesky);
        let found = fit_among_by(&gpu, &space, y.view(), how, &mut |_| ()).expect("a fit");
        (found, gpu.ledger().peak())
    });
    println!("peaks of {} and {} bytes", all.1, some.1);
    assert!(2 * some.1 < all.1);
    assert_eq!(all.0.grids[0].losses, some.0.grids[0].losses);
    assert_eq!(all.0.predictions, some.0.predictions);
}

/// The default grid begins far below what f32 is sure to solve; what it has solved is known by its error.
#[test]
fn f32_solves_the_default_grid_where_no_eigenvalue_is_tiny() {
    let gpu = gpu();
    let data = data(330, 600, 30);
    let fitted: Vec<usize> = (0..261).collect();
    let plan = Plan {
        folds: folds(&fitted, 4, Some(3)).expect("folds"),
        fit: fitted,
        penalties: Penalties::default(),
        intercept: true,
    };
    let (space, by) = ([Space::Kernel(data.0.clone())], Factorisation::Cholesky);
    let found = fit_among_by(&gpu, &space, data.1.view(), (&plan, by), &mut |_| ()).expect("a fit");
    assert_eq!(found.factorisations, [FactorisationTaken { search: by, refit: Some(by) }]);
    let (losses, predictions) =
        (losses_are_near(&found, &data, &plan, by), predictions_are_near(&found, &data, &plan, by));
    println!("losses {losses:.1e}, predictions {predictions:.1e} of the bound");
}

/// What f32 cannot solve is solved all the same: a singular matrix with penalties at its rounding.
#[test]
fn a_system_beyond_a_factorisation_is_solved_by_another() {
    let gpu = gpu();
    let (kernel, y) = data(70, 30, 5);
    let fitted: Vec<usize> = (0..70).collect();
    let plan = Plan {
        folds: folds(&fitted, 5, None).expect("folds"),
        fit: fitted,
        penalties: Penalties::Relative(vec![1e-15, 1e-9]),
        intercept: true,
    };
    let space = [Space::Kernel(kernel)];
    let fit = |by| fit_among_by(&gpu, &space, y.view(), (&plan, by), &mut |_| ()).expect("a fit");
    let eigen = fit(Factorisation::Eigen);
    for by in [Factorisation::Tridiagonal, Factorisation::Cholesky] {
        let other = fit(by);
        assert_eq!(other.grids[0].losses, eigen.grids[0].losses, "{by:?}");
        assert_eq!(
            (&other.factorisations, other.factorisations[0].keeps(by)),
            (&eigen.factorisations, false),
            "{by:?}"
        );
    }
    assert!(eigen.factorisations[0].keeps(Factorisation::Eigen));
}

/// Images shown again and again make a matrix of low rank, whose small eigenvalues are rounding: what f32
/// cannot be trusted with is decomposed, coefficients and all.
#[test]
fn repeated_images_are_solved_to_the_same_coefficients() {
    let gpu = gpu();
    let (once, other) = data(40, 600, 12);
    let kernel = Array2::from_shape_fn((400, 400), |(i, j)| once[[i % 40, j % 40]]);
    let mut random = Random::stream(5, "repeats");
    let y = Array2::from_shape_fn((12, 400), |(n, i)| other[[n, i % 40]] + 0.3 * random.normal() as f32);
    let fitted: Vec<usize> = (0..360).collect();
    let plan = Plan {
        folds: folds(&fitted, 4, Some(3)).expect("folds"),
        fit: fitted,
        penalties: "-5:-3:5".parse::<Penalties>().expect("a grid"),
        intercept: true,
    };
    let space = [Space::Kernel(kernel.clone())];
    let fit = |by| fit_among_by(&gpu, &space, y.view(), (&plan, by), &mut |_| ()).expect("a fit");
    let (eigen, cholesky, host) =
        (fit(Factorisation::Eigen), fit(Factorisation::Cholesky), fit(Factorisation::Tridiagonal));
    assert_eq!(
        (&cholesky.factorisations, cholesky.factorisations[0].keeps(Factorisation::Cholesky)),
        (&eigen.factorisations, false)
    );
    assert_eq!(cholesky.chosen, eigen.chosen);
    assert_eq!(cholesky.grids[0].losses, eigen.grids[0].losses, "f32 was trusted");
    assert_eq!(cholesky.predictions, eigen.predictions);
    assert_eq!(cholesky.coefficients, eigen.coefficients);
    let (data, by) = ((kernel, y), Factorisation::Tridiagonal);
    let losses = losses_are_near(&host, &data, &plan, by);
    let predictions = predictions_are_near(&host, &data, &plan, by);
    println!("losses {losses:.1e}, predictions {predictions:.1e} of the bound");
}

/// Folds that keep duplicates apart have systems that f32 solves; all rows together have one that it cannot
/// be trusted with.
#[test]
fn a_refit_beyond_a_factorisation_is_solved_by_another() {
    let gpu = gpu();
    let (once, other) = data(100, 900, 12);
    let kernel = Array2::from_shape_fn((200, 200), |(i, j)| once[[i % 100, j % 100]]);
    let mut random = Random::stream(6, "repeats");
    let y = Array2::from_shape_fn((12, 200), |(n, i)| other[[n, i % 100]] + 0.3 * random.normal() as f32);
    let plan = Plan {
        fit: (0..200).collect(),
        folds: vec![((0..100).collect(), (100..200).collect()), ((100..200).collect(), (0..100).collect())],
        penalties: Penalties::Relative(vec![1e-6]),
        intercept: true,
    };
    let space = [Space::Kernel(kernel.clone())];
    let fit = |by| fit_among_by(&gpu, &space, y.view(), (&plan, by), &mut |_| ()).expect("a fit");
    let (eigen, cholesky) = (fit(Factorisation::Eigen), fit(Factorisation::Cholesky));
    let taken = FactorisationTaken { search: Factorisation::Cholesky, refit: Some(Factorisation::Eigen) };
    assert_eq!(cholesky.factorisations, [taken]);
    assert!(!taken.keeps(Factorisation::Cholesky));
    assert_eq!(cholesky.predictions, eigen.predictions);
    assert_eq!(cholesky.coefficients, eigen.coefficients);
    let losses = losses_are_near(&cholesky, &(kernel, y), &plan, Factorisation::Cholesky);
    println!("losses {losses:.1e} of the bound");
}

//! The factorisations that solve ridge's systems of equations, against each other: the same penalties, the same predictions.

use faer::Mat;
use ndarray::{Array2, s};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::io::split::folds;
use striate::random::Random;
use striate::ridge::{Among, Factorisation, FactorisationTaken, Penalties, Plan, Space, fit_among_by};
use striate::routines::Systems;
use striate::scores::agreement;

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// A kernel matrix of rectified features and responses (neurons, images) of which a part depends on them.
fn data(images: usize, features: usize, neurons: usize) -> (Array2<f64>, Array2<f32>) {
    let mut random = Random::stream(17, "ways");
    let latent = Array2::from_shape_fn((images, 30), |(_, k)| random.normal() / ((k + 1) as f64).sqrt());
    let mix = Array2::from_shape_simple_fn((30, features), || random.normal());
    let noise = Array2::from_shape_simple_fn((images, features), || random.normal());
    let x = (latent.dot(&mix) + noise * 0.5 + 1.0).mapv(|v| v.max(0.0));
    let to_neurons = Array2::from_shape_simple_fn((neurons, 30), || random.normal());
    let own = Array2::from_shape_fn((neurons, images), |(n, _)| random.normal() * (0.3 + n as f64 / 40.0));
    let y = to_neurons.dot(&latent.t()) + own + 3.0;
    (x.dot(&x.t()), y.mapv(|v| v as f32))
}

/// R2 on the images after `train`, averaged over neurons.
fn r2(y: &Array2<f32>, found: &Among, train: usize) -> f64 {
    let to = |v: ndarray::ArrayView1<f32>| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let one = |n: usize| {
        let (y, p) = (y.slice(s![n, train..]), found.predictions.slice(s![n, train..]));
        agreement::r2(&to(y), &to(p))
    };
    (0..y.nrows()).map(one).sum::<f64>() / y.nrows() as f64
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, v| if v.is_nan() { v } else { most.max(v.abs()) })
}

/// Sizes on either side of blocks of 64: one row more, a prime, several blocks; with and without a constant.
#[test]
fn every_factorisation_finds_the_same_penalties_and_predictions() {
    let gpu = gpu();
    for (images, train, intercept) in [(90, 65, true), (130, 97, false), (330, 261, true)] {
        let neurons = 110;
        let (kernel, y) = data(images, 600, neurons);
        let fitted: Vec<usize> = (0..train).collect();
        let plan = Plan {
            folds: folds(&fitted, 4, Some(3)).expect("folds"),
            fit: fitted,
            penalties: "-1.5:2:15".parse::<Penalties>().expect("a grid"),
            intercept,
        };
        let space = [Space::Kernel(kernel)];
        let fit = |by| fit_among_by(&gpu, &space, y.view(), (&plan, by), &mut |_| ()).expect("a fit");
        let eigen = fit(Factorisation::Eigen);
        for by in [Factorisation::Tridiagonal, Factorisation::Cholesky] {
            let other = fit(by);
            let same = eigen.chosen.iter().zip(&other.chosen).filter(|(a, b)| a == b).count();
            let (ours, theirs) = (&other.grids[0].losses, &eigen.grids[0].losses);
            let losses = largest(ours.iter().zip(theirs).map(|(a, b)| a / b - 1.0));
            let gap = r2(&y, &other, train) - r2(&y, &eigen, train);
            println!(
                "{by:?}, {train} images: {same} of {neurons} penalties, losses {losses:.1e}, R2 {gap:.1e}"
            );
            assert!(same * 100 >= neurons * 99, "{by:?}: {same} of {neurons}");
            assert!(losses < 1e-5 && gap.abs() < 1e-5, "{by:?}: {losses} {gap}");
            assert_eq!(
                other.factorisations,
                [FactorisationTaken { search: by, refit: Some(by) }],
                "{by:?} gave up"
            );
            let agreed = |n: &usize| eigen.chosen[*n] == other.chosen[*n];
            for n in (0..neurons).filter(agreed) {
                let (ours, theirs) = (other.predictions.row(n), eigen.predictions.row(n));
                let spread = f64::from(theirs.std(0.0));
                let off = largest(ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
                assert!(off < 3e-5 * spread, "{by:?}: neuron {n} is {off} off, of a spread of {spread}");
            }
        }
    }
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

/// Images shown again and again make a matrix of low rank, whose small eigenvalues are rounding: what f32 cannot be
/// trusted with is decomposed, coefficients and all.
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
    let space = [Space::Kernel(kernel)];
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
    for n in (0..12).filter(|n| host.chosen[*n] == eigen.chosen[*n]) {
        let (ours, theirs) = (host.predictions.row(n), eigen.predictions.row(n));
        let off = largest(ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
        println!("neuron {n}: {off:.1e} off, of a spread of {:.1e}", theirs.std(0.0));
        assert!(off < 3e-5 * f64::from(theirs.std(0.0)), "neuron {n} is {off} off");
    }
}

/// Unit roundoff of f32.
const UNIT: f64 = 1.0 / (1u32 << 24) as f64;

/// A symmetric matrix of eigenvalues from about 0 to 4, and right sides, all from one formula.
fn system(n: usize, rows: usize) -> (Mat<f64>, Mat<f64>) {
    let wave = |i: usize, j: usize| ((i * 37 + j * 101) as f64 * 0.7).sin();
    let half = Mat::from_fn(n, n, |i, j| wave(i, j) / (n as f64).sqrt());
    (&half * half.transpose(), Mat::from_fn(rows, n, |i, j| wave(i + 5, j + 3)))
}

/// One row, a block less, whole and more by one, a prime, several blocks; with penalties side by side.
#[test]
fn solutions_leave_no_residual() {
    let gpu = gpu();
    for (n, rows) in [(1, 1), (63, 3), (64, 64), (65, 1), (97, 70), (193, 5)] {
        let (s, b) = system(n, rows);
        let mut systems = Systems::new(&gpu, s.as_ref(), rows).expect("a device");
        systems.ask(&gpu, b.as_ref()).expect("room");
        let penalties = [0.01f32, 0.5, 30.0];
        assert!(Systems::at_once(&gpu, n, rows, 1 << 30) >= 3);
        let solved = systems.solve(&gpu, &penalties).expect("a device").expect("a definite matrix");
        for (number, penalty) in penalties.iter().enumerate() {
            let whole = (s.as_ref(), b.as_ref());
            let off = Systems::residual(&gpu, whole, &solved, number, f64::from(*penalty)).expect("a device");
            // (n + 2) u |L||Lᵀ| of the factorisation and as much of each of the two solutions (Higham 2002, 10.4),
            // over the penalty: relative to |X|, and to |B| / penalty, which is larger.
            let norm = s.norm_l2() + (n as f64).sqrt() * f64::from(*penalty);
            let bound = 4.0 * (n + 64) as f64 * UNIT * norm / f64::from(*penalty);
            println!("{n} x {n}, {rows} rows, penalty {penalty}: {off:.1e} of at most {bound:.1e}");
            assert!(off < bound && off < 1e-3, "{off} {bound}");
            let x = solved.rows(number).download(&gpu).expect("a device");
            let exact = Mat::from_fn(n, n, |i, j| s[(i, j)] + if i == j { f64::from(*penalty) } else { 0.0 });
            let left = Mat::from_fn(rows, n, |i, j| f64::from(x[[i, j]])) * exact - &b;
            assert!(left.norm_l2() / b.norm_l2() < bound, "{n} {penalty}");
            assert!(x.slice(ndarray::s![.., n..]).iter().all(|v| *v == 0.0), "padding is zero");
        }
    }
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_reported() {
    let gpu = gpu();
    for spoiled in [0, 70, 99] {
        let (mut s, b) = system(100, 2);
        s[(spoiled, spoiled)] = -1.0;
        let mut systems = Systems::new(&gpu, s.as_ref(), 2).expect("a device");
        systems.ask(&gpu, b.as_ref()).expect("room");
        assert!(systems.solve(&gpu, &[0.1, 0.2]).expect("a device").is_none(), "{spoiled}");
        assert!(systems.solve(&gpu, &[50.0]).expect("a device").is_some(), "{spoiled}");
    }
}

//! Systems of equations that ridge solves on the device in f32, against f64 and against f32 on the host.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use striate::gpu::{AdapterChoice, Gpu, Options};
use striate::random::Random;
use striate::routines::Systems;

/// Unit roundoff of f32.
const UNIT: f64 = 1.0 / (1u32 << 24) as f64;

fn gpu() -> Gpu {
    let adapter = AdapterChoice::parse(&std::env::var("STRIATE_ADAPTER").unwrap_or_default());
    Gpu::open(&Options { adapter, ..Options::default() }).expect("an adapter")
}

/// A symmetric matrix of eigenvalues from about 0 to 4 (Marchenko and Pastur 1967), and right sides.
fn system(n: usize, rows: usize) -> (Mat<f64>, Mat<f64>) {
    let mut random = Random::stream(n as u64, "systems");
    let half = Mat::from_fn(n, n, |_, _| random.normal() / (n as f64).sqrt());
    (&half * half.transpose(), Mat::from_fn(rows, n, |_, _| random.normal()))
}

/// The solutions for one penalty, and how far others may be from them.
struct Reference {
    /// Solutions in f64 as columns.
    exact: Mat<f64>,
    /// Largest distance of a solution of the device, relative to its length. The host's own in f32, by the
    /// same method with substitution, rounds the same matrix as often: twice that for sums in another order,
    /// and a few roundings where the host makes none. The device multiplies by inverses of the blocks L on
    /// the diagonal, which adds up to `cond(L) <= sqrt(cond(S + penalty))` times as much (Higham 2002, 14.2).
    limit: f64,
}

impl Reference {
    fn new((s, b): (&Mat<f64>, &Mat<f64>), penalty: f32) -> Self {
        let (n, shift) = (s.nrows(), f64::from(penalty));
        let shifted = Mat::from_fn(n, n, |i, j| s[(i, j)] + if i == j { shift } else { 0.0 });
        let exact = shifted.llt(Side::Lower).expect("a definite matrix").solve(b.transpose());
        let rounded = Mat::from_fn(n, n, |i, j| s[(i, j)] as f32 + if i == j { penalty } else { 0.0 });
        let right = Mat::from_fn(n, b.nrows(), |i, row| b[(row, i)] as f32);
        let host = rounded.llt(Side::Lower).expect("a definite matrix").solve(&right);
        let eigen = s.self_adjoint_eigen(Side::Lower).expect("eigenvalues");
        let largest = eigen.S().column_vector().iter().copied().fold(0.0, f64::max);
        let mut reference = Reference { exact, limit: 0.0 };
        let off = (0..b.nrows()).map(|row| reference.off(row, |k| host[(k, row)]));
        let most = off.fold(0.0, f64::max);
        reference.limit = 2.0 * (1.0 + (1.0 + largest / shift).sqrt()) * (most + 4.0 * UNIT);
        reference
    }

    /// How far a solution is from the exact one, relative to that one's length.
    fn off(&self, row: usize, x: impl Fn(usize) -> f32) -> f64 {
        let exact = self.exact.col(row);
        let squares = (0..exact.nrows()).map(|k| (f64::from(x(k)) - exact[k]).powi(2));
        squares.sum::<f64>().sqrt() / exact.norm_l2()
    }
}

/// One row, a block less, whole and more by one, a prime, several blocks; with penalties side by side.
#[test]
fn solutions_are_near_and_say_how_near() {
    let gpu = gpu();
    for (n, rows) in [(1, 1), (63, 3), (64, 64), (65, 1), (97, 70), (193, 5)] {
        let (s, b) = system(n, rows);
        let mut systems = Systems::new(&gpu, s.as_ref(), rows).expect("a device");
        systems.set_right_sides(&gpu, b.as_ref()).expect("room");
        let penalties = [0.01f32, 0.5, 30.0];
        assert!(Systems::at_once(&gpu, n, rows, 1 << 30) >= 3);
        let solved = systems.solve(&gpu, &penalties).expect("a device").expect("a definite matrix");
        for (number, penalty) in penalties.iter().enumerate() {
            let reference = Reference::new((&s, &b), *penalty);
            let x = solved.rows(number).download(&gpu).expect("a device");
            let off: Vec<f64> = (0..rows).map(|row| reference.off(row, |k| x[[row, k]])).collect();
            let (most, limit) = (off.iter().copied().fold(0.0, f64::max), reference.limit);
            let whole = (s.as_ref(), b.as_ref());
            let said = systems.error(&gpu, whole, (&solved, number), *penalty).expect("a device");
            println!(
                "{n} x {n}, {rows} rows, penalty {penalty}: {most:.1e} of {limit:.1e}, said to be {said:.1e}"
            );
            assert!(most <= limit, "{most} {limit}");
            // Of eight rows at most. The correction is off by as large a part of itself as a solution, and
            // its length is compared with a solution's that is off as much. Reference and residual are in
            // f64, and as far off as its roundings are smaller.
            let checked = rows.min(8);
            let most = (0..checked).map(|row| off[row * rows / checked]).fold(0.0, f64::max);
            let rounding = limit * f64::EPSILON / UNIT;
            assert!((said - most).abs() <= 2.0 * limit * most + rounding, "{said} {most} {limit}");
            assert!(x.slice(ndarray::s![.., n..]).iter().all(|v| *v == 0.0), "padding is zero");
        }
        // Other right sides, fewer, in place of those: the same bits as before.
        let before = solved.rows(1).download(&gpu).expect("a device");
        systems.set_right_sides(&gpu, b.as_ref().subrows(rows - 1, 1)).expect("room");
        let again = systems.solve(&gpu, &penalties).expect("a device").expect("a definite matrix");
        let again = again.rows(1).download(&gpu).expect("a device");
        assert_eq!(again.row(0), before.row(rows - 1), "{n} x {n}");
        let more = Mat::zeros(rows + 1, n);
        assert!(systems.set_right_sides(&gpu, more.as_ref()).is_err(), "there is no room");
    }
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_reported() {
    let gpu = gpu();
    for spoiled in [0, 70, 99] {
        let (mut s, b) = system(100, 2);
        s[(spoiled, spoiled)] = -1.0;
        let mut systems = Systems::new(&gpu, s.as_ref(), 2).expect("a device");
        systems.set_right_sides(&gpu, b.as_ref()).expect("room");
        assert!(systems.solve(&gpu, &[0.1, 0.2]).expect("a device").is_none(), "{spoiled}");
        assert!(systems.solve(&gpu, &[50.0]).expect("a device").is_some(), "{spoiled}");
    }
}

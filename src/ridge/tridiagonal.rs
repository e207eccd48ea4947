//! `K = Q T Qᵀ` with T tridiagonal: everything that ridge asks of a kernel matrix, for a third of the price
//! of its eigendecomposition. `(K + λ)⁻¹ = Q (T + λ)⁻¹ Qᵀ`, and a penalty costs one pass along T, so all
//! penalties share one reduction just as they share one set of eigenvectors. Reduction and solution are
//! backward stable: what is computed belongs to a matrix that is within rounding (about `n ε |K|`) of K.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag;
use faer::linalg::householder as reflections;
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::{Conj, Mat, MatMut, Par};

/// A symmetric matrix, reduced.
pub(super) struct Tridiagonal {
    /// What defines Q: its reflections, below T.
    reduced: Mat<f64>,
    /// And how blocks of them are applied together.
    factors: Mat<f64>,
}

/// Largest penalty that drowns in the rounding of a matrix's reduction.
pub(super) fn rounding(symmetric: &Mat<f64>) -> f64 {
    let trace: f64 = (0..symmetric.nrows()).map(|i| symmetric[(i, i)].abs()).sum();
    1e3 * f64::EPSILON * trace
}

impl Tridiagonal {
    /// Reduces a symmetric matrix of at least one row, of which the lower half is read.
    pub fn new(mut symmetric: Mat<f64>) -> Self {
        let n = symmetric.nrows();
        let block = recommended_block_size::<f64>(n, n);
        let mut factors = Mat::zeros(block, n.saturating_sub(1));
        let (par, params) = (Par::Seq, Default::default());
        let mut memory = MemBuffer::new(tridiag::tridiag_in_place_scratch::<f64>(n, par, params));
        let stack = MemStack::new(&mut memory);
        tridiag::tridiag_in_place(symmetric.as_mut(), factors.as_mut(), par, stack, params);
        Tridiagonal { reduced: symmetric, factors }
    }

    /// Rows and columns.
    pub fn size(&self) -> usize {
        self.reduced.nrows()
    }

    /// `Qᵀ m`, in place.
    pub fn turn(&self, m: MatMut<'_, f64>) {
        self.reflect(m, true);
    }

    /// `Q m`, in place.
    pub fn turn_back(&self, m: MatMut<'_, f64>) {
        self.reflect(m, false);
    }

    fn reflect(&self, m: MatMut<'_, f64>, transposed: bool) {
        let (n, columns) = (self.size(), m.ncols());
        if n < 2 || columns == 0 {
            return;
        }
        let basis = self.reduced.submatrix(1, 0, n - 1, n - 1);
        let factors = self.factors.as_ref();
        let block = factors.nrows();
        let scratch = reflections::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(
            n, block, columns,
        );
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        let m = m.subrows_mut(1, n - 1);
        let apply = if transposed {
            reflections::apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj::<f64>
        } else {
            reflections::apply_block_householder_sequence_on_the_left_in_place_with_conj::<f64>
        };
        apply(basis, factors, Conj::No, m, Par::Seq, stack);
    }

    /// `T + penalty = L D Lᵀ`, unless a pivot is not positive.
    pub fn shifted(&self, penalty: f64) -> Option<Shifted> {
        let n = self.size();
        let (mut beside, mut inverse) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut pivot = self.reduced[(0, 0)] + penalty;
        for i in 0..n {
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            inverse.push(pivot.recip());
            if i + 1 < n {
                let off = self.reduced[(i + 1, i)];
                beside.push(off / pivot);
                pivot = self.reduced[(i + 1, i + 1)] + penalty - off * off / pivot;
            }
        }
        Some(Shifted { beside, inverse })
    }
}

/// `T + penalty`, factored.
pub(super) struct Shifted {
    /// Below the diagonal of L.
    beside: Vec<f64>,
    /// One over D.
    inverse: Vec<f64>,
}

impl Shifted {
    /// `m (T + penalty)⁻¹`, in place, for a matrix of columns one after the other, as many as T has. A step
    /// works on whole columns, so that the rows of m go side by side through the vector units.
    pub fn solve_rows(&self, m: &mut [f64]) {
        let height = m.len() / self.inverse.len();
        for (i, factor) in self.beside.iter().enumerate() {
            let (before, after) = m[i * height..].split_at_mut(height);
            for (after, before) in after[..height].iter_mut().zip(before) {
                *after -= factor * *before;
            }
        }
        let last = self.inverse.len() - 1;
        m[last * height..].iter_mut().for_each(|v| *v *= self.inverse[last]);
        for (i, factor) in self.beside.iter().enumerate().rev() {
            let inverse = self.inverse[i];
            let (own, after) = m[i * height..].split_at_mut(height);
            for (own, after) in own.iter_mut().zip(&after[..height]) {
                *own = *own * inverse - factor * after;
            }
        }
    }

    /// `(T + penalty)⁻¹ v`, in place.
    pub fn solve(&self, v: &mut [f64]) {
        for (i, factor) in self.beside.iter().enumerate() {
            v[i + 1] -= factor * v[i];
        }
        let last = v.len() - 1;
        v[last] *= self.inverse[last];
        for (i, factor) in self.beside.iter().enumerate().rev() {
            v[i] = v[i] * self.inverse[i] - factor * v[i + 1];
        }
    }
}

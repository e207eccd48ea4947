//! The eigendecomposition that one set of training rows needs, in f64.

use super::room;
use crate::error::{Error, Result};
use faer::{Mat, Side};
use ndarray::Array2;

/// A feature space, as ridge sees it: the smaller of its two matrices.
pub enum Space {
    /// More features than images: products of all pairs of images, (images, images).
    Kernel(Array2<f64>),
    /// More images than features: the features themselves, (images, features).
    Features(Array2<f64>),
}

impl Space {
    /// Number of images.
    pub fn images(&self) -> usize {
        match self {
            Space::Kernel(m) | Space::Features(m) => m.nrows(),
        }
    }

    /// Eigenvalues that a decomposition has at most.
    pub fn rank(&self) -> usize {
        match self {
            Space::Kernel(m) | Space::Features(m) => m.nrows().min(m.ncols()),
        }
    }

    /// Mean eigenvalue of the kernel matrix of some rows, centred by their mean if asked: its trace over
    /// their number.
    pub fn mean_eigenvalue(&self, rows: &[usize], centred: bool) -> f64 {
        let n = rows.len() as f64;
        match self {
            Space::Kernel(k) => {
                let trace: f64 = rows.iter().map(|i| k[[*i, *i]]).sum();
                let total: f64 = rows.iter().flat_map(|i| rows.iter().map(|j| k[[*i, *j]])).sum();
                (trace - if centred { total / n } else { 0.0 }) / n
            }
            Space::Features(x) => {
                let x = centred_features(x, rows, rows, centred);
                (0..x.ncols()).map(|c| x.col(c).squared_norm_l2()).sum::<f64>() / n
            }
        }
    }
}

/// `K = U S Uᵀ` of the training rows, and the other rows' products with U.
pub(super) struct Spectrum {
    /// Eigenvalues, none negative.
    values: Vec<f64>,
    /// Eigenvectors, (training rows, eigenvalues).
    pub vectors: Mat<f64>,
    /// `K_other U`, (other rows, eigenvalues).
    pub left: Mat<f64>,
}

impl Spectrum {
    pub fn new(space: &Space, train: &[usize], other: &[usize], centred: bool) -> Result<Self> {
        // The decomposition works beside its matrix in five others of that size, and aborts where it cannot.
        let (n, rows) = (space.rank().min(train.len().max(other.len())), train.len() + other.len());
        room(7 * n * n + 2 * rows * n)?;
        match space {
            Space::Kernel(k) => Self::of_kernel(k, train, other, centred),
            Space::Features(x) => Self::of_features(x, train, other, centred),
        }
    }

    /// Dual: the eigenvectors of the centred kernel matrix.
    fn of_kernel(k: &Array2<f64>, train: &[usize], other: &[usize], centred: bool) -> Result<Self> {
        let (own, across) = centred_kernel(k, train, other, centred);
        let (values, vectors) = eigen(&own)?;
        let left = &across * &vectors;
        Ok(Spectrum { values, vectors, left })
    }

    /// Primal: with XᵀX = V S Vᵀ, the kernel's eigenvectors of nonzero eigenvalue are X V S^-½. Directions in
    /// which the features do not vary carry no prediction and are left out.
    fn of_features(x: &Array2<f64>, train: &[usize], other: &[usize], centred: bool) -> Result<Self> {
        let own = centred_features(x, train, train, centred);
        let others = centred_features(x, train, other, centred);
        let (values, vectors) = eigen(&(own.transpose() * &own))?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let scale = |s: f64| if s > 1e-13 * largest { s.sqrt().recip() } else { 0.0 };
        let mut turned = &own * &vectors;
        let mut left = &others * &vectors;
        for (c, value) in values.iter().enumerate() {
            let factor = scale(*value);
            turned.col_mut(c).iter_mut().for_each(|v| *v *= factor);
            left.col_mut(c).iter_mut().for_each(|v| *v *= factor * value);
        }
        Ok(Spectrum { values, vectors: turned, left })
    }

    /// `1 / (eigenvalue + penalty)`, (penalties, eigenvalues).
    pub fn shrinkage(&self, penalties: &[f64]) -> Array2<f32> {
        Array2::from_shape_fn((penalties.len(), self.values.len()), |(l, k)| {
            (1.0 / (self.values[k] + penalties[l])) as f32
        })
    }
}

/// Ascending eigenvalues, rounding below zero taken away, and eigenvectors.
fn eigen(symmetric: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let eigen = symmetric
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| Error::internal("eigendecomposition of the kernel matrix", format!("{e:?}")))?;
    let values = eigen.S().column_vector().iter().map(|v| v.max(0.0)).collect();
    Ok((values, eigen.U().to_owned()))
}

/// Training and other rows of a kernel matrix, both centred by the training rows' mean feature vector.
pub(super) fn centred_kernel(
    k: &Array2<f64>,
    train: &[usize],
    other: &[usize],
    centred: bool,
) -> (Mat<f64>, Mat<f64>) {
    let n = train.len();
    // The matrix is symmetric: columns are read along its rows.
    let mut own = Mat::from_fn(n, n, |i, j| k[[train[j], train[i]]]);
    let mut across = Mat::from_fn(other.len(), n, |i, j| k[[train[j], other[i]]]);
    if centred {
        let means: Vec<f64> = (0..n).map(|j| own.col(j).iter().sum::<f64>() / n as f64).collect();
        let grand = means.iter().sum::<f64>() / n as f64;
        let other_means: Vec<f64> =
            (0..other.len()).map(|i| across.row(i).iter().sum::<f64>() / n as f64).collect();
        for j in 0..n {
            for i in 0..n {
                own[(i, j)] += grand - means[i] - means[j];
            }
            for i in 0..other.len() {
                across[(i, j)] += grand - other_means[i] - means[j];
            }
        }
    }
    (own, across)
}

/// Rows of the features, minus the training rows' mean if asked.
fn centred_features(x: &Array2<f64>, train: &[usize], rows: &[usize], centred: bool) -> Mat<f64> {
    let mean = |c: usize| train.iter().map(|i| x[[*i, c]]).sum::<f64>() / train.len() as f64;
    let means: Vec<f64> = (0..x.ncols()).map(|c| if centred { mean(c) } else { 0.0 }).collect();
    Mat::from_fn(rows.len(), x.ncols(), |r, c| x[[rows[r], c]] - means[c])
}

//! Winograd's convolutions (Winograd 1980; Lavin and Gray 2016): points, the matrices that follow from them,
//! and how maps are cut into tiles.
//!
//! Along one axis, m results of a filter of r weights are a product of polynomials, which m + r - 1 points
//! determine: `y = A ((G w) (B x))`. Points are small, come in pairs of both signs, and have squares that f32
//! holds exactly, which keeps the transforms short and their rounding small. Against f64, with 128 channels
//! of random filters (He) after a ReLU, four results of three weights are 8.2e-7 off (relative L2), 8.5e-7
//! with 0, +-1/sqrt 2, +-sqrt 2, 1.8e-6 with 0, +-1, +-2, and a direct sum 4.3e-7; three results 5.1e-7; two
//! 3.1e-7; six 2.9e-6.

use super::conv2d::Geometry;
use crate::gpu::Maps;
use ndarray::Array2;

/// The finite points for so many in all, in the order of the transforms in `parts/winograd.wgsl`; infinity is
/// the last.
fn finite(points: usize) -> &'static [f64] {
    match points {
        4 => &[0.0, 1.0, -1.0],
        5 => &[0.5, -0.5, 1.25, -1.25],
        6 => &[0.0, 0.625, -0.625, 1.5, -1.5],
        _ => &[0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0],
    }
}

/// Coefficients of the product of (x - point) over some points, the constant first.
fn product(points: impl Iterator<Item = f64>) -> Vec<f64> {
    points.fold(vec![1.0], |polynomial, point| {
        let mut next = vec![0.0; polynomial.len() + 1];
        for (degree, c) in polynomial.iter().enumerate() {
            next[degree + 1] += c;
            next[degree] -= point * c;
        }
        next
    })
}

/// Products of all differences to the other points, which the filters are divided by.
fn difference(points: &[f64], j: usize) -> f64 {
    points.iter().enumerate().filter(|(k, _)| *k != j).map(|(_, p)| points[j] - p).product()
}

/// `B [points, points]`, which the pixels of a tile are multiplied with.
pub(super) fn input_matrix(points: usize) -> Array2<f64> {
    let finite = finite(points);
    let mut b = Array2::zeros((points, points));
    for j in 0..points {
        let others = finite.iter().enumerate().filter(|(k, _)| *k != j).map(|(_, p)| *p);
        for (degree, c) in product(others).into_iter().enumerate() {
            b[[j, degree]] = c;
        }
    }
    b
}

/// `G [points, weights]`, which a filter is multiplied with.
pub fn filter_matrix(points: usize, weights: usize) -> Array2<f64> {
    let finite = finite(points);
    Array2::from_shape_fn((points, weights), |(j, i)| match finite.get(j) {
        Some(p) => p.powi(i as i32) / difference(finite, j),
        None => f64::from(u8::from(i + 1 == weights)),
    })
}

/// `A [results, points]`, which products are multiplied with.
pub(super) fn output_matrix(points: usize, results: usize) -> Array2<f64> {
    let finite = finite(points);
    Array2::from_shape_fn((results, points), |(i, j)| match finite.get(j) {
        Some(p) => p.powi(i as i32),
        None => f64::from(u8::from(i + 1 == results)),
    })
}

/// How one axis of the results is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// Points of the transforms: 4, 5, 6 or 8. A tile reads as many pixels.
    pub points: usize,
    /// Results of a tile: 2, 3, 4 or 6.
    pub results: usize,
    /// Tiles along the axis; the last may reach over the edge.
    pub tiles: usize,
}

impl Side {
    /// Weights of the filters along the axis.
    pub fn weights(&self) -> usize {
        self.points + 1 - self.results
    }

    /// Whether the kernels have it, and its tiles cover `size` results and none lies wholly beyond.
    pub(super) fn covers(&self, size: usize) -> bool {
        let known = [4, 5, 6, 8].contains(&self.points) && [2, 3, 4, 6].contains(&self.results);
        known && self.results < self.points && self.tiles == size.div_ceil(self.results)
    }
}

/// How the results of an image are cut into tiles, and how the pixels under them are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// The rows.
    pub rows: Side,
    /// The columns.
    pub columns: Side,
    /// Step from one result to the next: pixels of each phase are channels of their own.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Groups of channels that see only their own; each of whole quads.
    pub groups: usize,
}

impl Tiling {
    /// The tiling of a convolution whose results are cut like this.
    pub fn new(rows: Side, columns: Side, geometry: Geometry) -> Self {
        let Geometry { stride, padding, groups, .. } = geometry;
        Tiling { rows, columns, stride, padding, groups }
    }

    /// Points of a tile: as many products.
    pub fn points(&self) -> usize {
        self.rows.points * self.columns.points
    }

    /// What a case says of it.
    pub(super) fn label(&self) -> String {
        let Tiling { rows, columns, stride, padding, groups } = self;
        format!(
            "{} x {} results of {} x {} points, stride {stride} padding {padding} groups {groups}",
            rows.results, columns.results, rows.points, columns.points
        )
    }

    /// Tiles of an image.
    pub fn tiles(&self) -> usize {
        self.rows.tiles * self.columns.tiles
    }

    /// Quads of channels that a group of `x` has with all phases: the depth of the products.
    pub fn depth_quads(&self, x: &Maps) -> usize {
        x.quads() / self.groups * self.stride * self.stride
    }
}

/// Some of the tiles of all images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first, counted over images, rows and columns of tiles.
    pub first: usize,
    /// How many.
    pub count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identity that everything rests on: for any filter and pixels, `A ((G w) (B x))` is the
    /// correlation.
    #[test]
    fn the_matrices_of_all_points_make_a_correlation() {
        for (points, results) in [(4, 2), (5, 3), (6, 4), (6, 2), (8, 6), (8, 4), (5, 2), (6, 3)] {
            let weights = points + 1 - results;
            let (b, g, a) =
                (input_matrix(points), filter_matrix(points, weights), output_matrix(points, results));
            for (tap, pixel) in (0..weights).flat_map(|t| (0..points).map(move |p| (t, p))) {
                for result in 0..results {
                    let sum: f64 = (0..points).map(|j| a[[result, j]] * g[[j, tap]] * b[[j, pixel]]).sum();
                    let want = f64::from(u8::from(result + tap == pixel));
                    assert!((sum - want).abs() < 1e-12, "{points} points: {result} {tap} {pixel}: {sum}");
                }
            }
        }
    }
}

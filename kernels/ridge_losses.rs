//! Held-out squared errors of ridge predictions for many penalties at once, without writing a prediction.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::check_matrices;
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Family, Grid, Kernel, LONGEST_LOOP, Launch, Matrix, Recording, Tile};
use crate::numbers::{Bounded, UNIT};
use ndarray::{Array2, ArrayView2};

/// The kernel. Tiles of 64 x 256, 64 x 128, 64 x 64 and 32 x 128 images x neurons: the order of a loss's sum
/// knows no others than 32 and 64 images.
pub static KERNEL: Kernel = Kernel::with_broadcast(
    "ridge_losses",
    include_str!("ridge_losses.wgsl"),
    include_str!("ridge_losses_broadcast.wgsl"),
    PARTS,
)
.with_tiles(Family::Tiled, TILES);

const TILES: &[Tile] = &[
    Tile { rows: 8, columns: 32 },
    Tile { rows: 8, columns: 16 },
    Tile { rows: 8, columns: 8 },
    Tile { rows: 4, columns: 16 },
];

/// `losses[l, n] = sum_i (targets[n, i] - sum_k left[i, k] shrinkage[l, k] right[n, k])²`.
pub struct RidgeLosses<'a> {
    /// Held-out kernel rows times eigenvectors, images x depth.
    pub left: &'a Matrix,
    /// `1 / (eigenvalue + penalty)`, penalties x depth.
    pub shrinkage: &'a Matrix,
    /// Training responses times eigenvectors, neurons x depth.
    pub right: &'a Matrix,
    /// Held-out responses, neurons x images.
    pub targets: &'a Matrix,
    /// The sums, penalties x neurons.
    pub losses: &'a Matrix,
}

impl RidgeLosses<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or are too long for one loop.
    pub fn launch(&self) -> Result<Launch> {
        let named = [("left", self.left), ("shrinkage", self.shrinkage), ("right", self.right)];
        check_matrices(KERNEL.name(), &named)?;
        check_matrices(KERNEL.name(), &[("targets", self.targets), ("losses", self.losses)])?;
        let (images, depth) = (self.left.rows, self.left.columns);
        let (neurons, penalties) = (self.right.rows, self.shrinkage.rows);
        let same = self.shrinkage.columns == depth
            && self.right.columns == depth
            && (self.targets.rows, self.targets.columns) == (neurons, images)
            && (self.losses.rows, self.losses.columns) == (penalties, neurons);
        if !same || depth / 4 > LONGEST_LOOP as usize || images > LONGEST_LOOP as usize {
            return Err(Error::internal("ridge_losses", "the operands do not fit each other"));
        }
        Ok(Launch::new(&KERNEL, Grid::Tiles([neurons, 1, penalties]))
            .read("left", &self.left.buffer)
            .read("shrinkage", &self.shrinkage.buffer)
            .read("right", &self.right.buffer)
            .read("targets", &self.targets.buffer)
            .write("losses", &self.losses.buffer)
            .set("images", images)
            .set("neurons", neurons)
            .set("depth_quads", self.left.pitch() / 4)
            .set("left_pitch_quads", self.left.pitch() / 4)
            .set("right_pitch_quads", self.right.pitch() / 4)
            .set("shrinkage_pitch_quads", self.shrinkage.pitch() / 4)
            .set("targets_pitch_quads", self.targets.pitch() / 4)
            .set("losses_pitch", self.losses.pitch())
            .cost(2.0 * images as f64 * neurons as f64 * depth as f64 * penalties as f64))
    }
}

/// The same in f64: value and bound of `losses [penalties, neurons]`.
pub fn oracle(
    left: ArrayView2<'_, f32>,
    shrinkage: ArrayView2<'_, f32>,
    right: ArrayView2<'_, f32>,
    targets: ArrayView2<'_, f32>,
) -> Array2<Bounded> {
    Array2::from_shape_fn((shrinkage.nrows(), right.nrows()), |(l, n)| {
        let (mut value, mut bound) = (0f64, 0f64);
        for i in 0..left.nrows() {
            let terms = (0..left.ncols())
                .map(|k| f64::from(left[[i, k]]) * f64::from(shrinkage[[l, k]]) * f64::from(right[[n, k]]));
            let (sum, magnitude) = terms.fold((0.0, 0.0), |(s, m), t| (s + t, m + t.abs()));
            let target = f64::from(targets[[n, i]]);
            let prediction = Bounded::sum(sum, magnitude + target.abs(), left.ncols() + 3);
            let error = target - sum;
            value += error * error;
            // (e + d)² - e² with |d| at most the bound of the prediction.
            bound += 2.0 * error.abs() * prediction.bound + prediction.bound * prediction.bound;
        }
        Bounded { value, bound: bound + 8.0 * UNIT * (left.nrows() as f64).sqrt() * value }
    })
}

/// `images`, `neurons`, `depth`, `penalties`.
fn case(shape: [usize; 4], exact: bool) -> Case {
    let [images, neurons, depth, penalties] = shape;
    let label = format!(
        "{images} images, {neurons} neurons, depth {depth}, {penalties} penalties{}",
        if exact { " exact" } else { "" }
    );
    Case::new(label, move |gpu| {
        let mut values = Values::new((images * 3 + neurons * 5 + depth * 7) as u64);
        let mut array = |rows, columns| {
            Array2::<f32>::zeros((rows, columns)).mapv_into(|_: f32| values.fill(exact, 1)[0])
        };
        let (left, shrinkage) = (array(images, depth), array(penalties, depth));
        let (right, targets) = (array(neurons, depth), array(neurons, images));
        let pitch = neurons.next_multiple_of(4);
        let output = Guarded::new(gpu, penalties * pitch)?;
        let losses = Matrix { buffer: output.buffer.clone(), rows: penalties, columns: neurons };
        let launch = RidgeLosses {
            left: &Matrix::upload(gpu, "left", left.view())?,
            shrinkage: &Matrix::upload(gpu, "shrinkage", shrinkage.view())?,
            right: &Matrix::upload(gpu, "right", right.view())?,
            targets: &Matrix::upload(gpu, "targets", targets.view())?,
            losses: &losses,
        };
        let mut recording = Recording::new();
        recording.add(launch.launch()?);
        let want = oracle(left.view(), shrinkage.view(), right.view(), targets.view());
        let expected = (0..penalties * pitch).map(|i| {
            let (l, n) = (i / pitch, i % pitch);
            (n < neurons).then(|| if exact { Bounded::exact(want[[l, n]].value) } else { want[[l, n]] })
        });
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

/// Sizes that hurt: one image, one neuron, a tile and one, ragged quads of images and of depth.
pub fn cases() -> Vec<Case> {
    vec![
        case([1, 2, 1, 1], true),
        case([5, 1, 9, 3], true),
        case([33, 65, 6, 2], true),
        case([67, 70, 30, 4], false),
        case([24, 212, 94, 20], false),
        case([128, 256, 512, 8], false).timed(),
    ]
}

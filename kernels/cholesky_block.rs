//! The block on the diagonal of a Cholesky factorisation: its triangle, the triangle's inverse, and its
//! pivots.

use super::case::{Case, Guarded, Trial, Values};
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Grid, Kernel, Launch, Recording};
use crate::numbers::{Bounded, UNIT};
use ndarray::{Array2, s};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("cholesky_block", include_str!("cholesky_block.wgsl"), PARTS);

/// Rows and columns of a block.
pub const SIDE: usize = 64;

/// `s + penalty I - product = L Lᵀ` for one diagonal block of every matrix of a batch.
pub struct CholeskyBlock<'a> {
    /// The block's rows, from its first element on; every matrix has the same.
    pub source: &'a Buffer,
    /// Words from one of its rows to the next.
    pub source_pitch: usize,
    /// A penalty for each matrix.
    pub penalties: &'a Buffer,
    /// Products of the columns before the block, rows of [`SIDE`] words; not looked at in the first block.
    pub product: &'a Buffer,
    /// Words from one matrix's product to the next.
    pub product_stride: usize,
    /// The triangle, from its first element on.
    pub factor: &'a Buffer,
    /// Words from one of its rows to the next.
    pub pitch: usize,
    /// Words from one matrix's factor to the next.
    pub factor_stride: usize,
    /// `[batch][2][SIDE][SIDE]`: the triangle's inverse and its transpose.
    pub inverse: &'a Buffer,
    /// `[batch][blocks]`: smallest pivots, relative to the diagonal; -1 where one is not positive.
    pub pivots: &'a Buffer,
    /// Which block this is.
    pub block: usize,
    /// How many blocks a matrix has.
    pub blocks: usize,
    /// How many matrices.
    pub batch: usize,
}

impl CholeskyBlock<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short.
    pub fn launch(&self) -> Result<Launch> {
        let others = self.batch.max(1) - 1;
        let rows = |pitch: usize| (SIDE - 1) * pitch + SIDE;
        let needs = [
            (self.source, rows(self.source_pitch)),
            (self.penalties, self.batch),
            (self.product, others * self.product_stride + SIDE * SIDE),
            (self.factor, others * self.factor_stride + rows(self.pitch)),
            (self.inverse, self.batch * 2 * SIDE * SIDE),
            (self.pivots, self.batch * self.blocks),
        ];
        if needs.iter().any(|(buffer, words)| buffer.words() < *words) || self.block >= self.blocks {
            return Err(Error::internal("cholesky_block", "an operand is too short"));
        }
        Ok(Launch::new(&KERNEL, Grid::Tiles([1, 1, self.batch]))
            .read("s", self.source)
            .read("penalties", self.penalties)
            .read("product", self.product)
            .write("factor", self.factor)
            .write("inverse", self.inverse)
            .write("pivots", self.pivots)
            .set("s_pitch", self.source_pitch)
            .set("product_stride", self.product_stride)
            .set("pitch", self.pitch)
            .set("factor_stride", self.factor_stride)
            .set("block", self.block)
            .set("blocks", self.blocks)
            .set("products", usize::from(self.block > 0))
            .cost((self.batch * 2 * SIDE * SIDE * SIDE / 3) as f64))
    }
}

/// What the kernel finds of one matrix, in f64.
pub struct Found {
    /// The triangle, zeros above it.
    pub factor: Array2<f64>,
    /// Its inverse.
    pub inverse: Array2<f64>,
    /// The smallest pivot, or -1.
    pub pivot: f64,
}

/// The same in f64: column by column.
pub fn oracle(a: &Array2<f64>, diagonal: &[f64]) -> Found {
    let n = a.nrows();
    let (mut factor, mut inverse) = (Array2::<f64>::zeros((n, n)), Array2::<f64>::zeros((n, n)));
    let mut least = 1f64;
    for k in 0..n {
        let before = |r: usize| factor.slice(s![r, ..k]).dot(&factor.slice(s![k, ..k]));
        let pivot = a[[k, k]] - before(k);
        least = if pivot > 0.0 && least > 0.0 { least.min(pivot / diagonal[k]) } else { -1.0 };
        let root = if pivot > 0.0 { pivot.sqrt() } else { 1.0 };
        let below: Vec<f64> = (k + 1..n).map(|r| (a[[r, k]] - before(r)) / root).collect();
        factor[[k, k]] = root;
        for (r, value) in (k + 1..n).zip(below) {
            factor[[r, k]] = value;
        }
    }
    for c in 0..n {
        inverse[[c, c]] = 1.0 / factor[[c, c]];
        for r in c + 1..n {
            let sum: f64 = (c..r).map(|k| factor[[r, k]] * inverse[[k, c]]).sum();
            inverse[[r, c]] = -sum / factor[[r, r]];
        }
    }
    Found { factor, inverse, pivot: least }
}

/// How far f32 may be from each of the three: of factor and inverse in every element.
///
/// The computed triangle is that of `A + E` with `|E| <= (n + 2) u |L||Lᵀ|` (Higham 2002, theorem 10.3), of
/// which the Frobenius norm is at most that of |L|, squared. It moves L by `|L| |A⁻¹| |E| / sqrt(2)` to first
/// order (theorem 10.8), and its inverse by `|L⁻¹|²` times that, beside the rounding of the inversion itself,
/// `n u |L⁻¹||L||L⁻¹|` (section 14.2). Norms of inverses are taken as Frobenius norms, which are larger.
fn bounds(found: &Found) -> [f64; 3] {
    let norm = |m: &Array2<f64>| m.iter().map(|v| v * v).sum::<f64>().sqrt();
    let (l, inverse, n) = (norm(&found.factor), norm(&found.inverse), found.factor.nrows() as f64);
    let backward = (n + 2.0) * UNIT * l * l;
    let factor = l * inverse * inverse * backward;
    let own = n * UNIT * inverse * inverse * l;
    [factor, inverse * inverse * factor + own, backward * inverse * inverse + 2.0 * UNIT]
}

/// Which of the kernel's outputs a case looks at.
#[derive(Clone, Copy, Debug)]
enum Output {
    Factor,
    Inverse,
    Pivots,
}

/// One matrix of a case: block, product, penalty.
struct Matrix {
    product: Array2<f32>,
    penalty: f32,
}

/// A triangle of small integers in three steps, whose diagonal is powers of two and whose inverse is whole
/// numbers or halves, quarters and eighths.
fn triangle(values: &mut Values) -> Array2<f32> {
    let step = |r: usize| usize::from(r >= 20) + usize::from(r >= 44);
    let mut whole = Array2::zeros((SIDE, SIDE)).mapv_into(|_: f32| values.integers(1)[0]);
    for ((r, c), v) in whole.indexed_iter_mut() {
        let beside = step(r) > step(c);
        *v = if r == c {
            1.0 + (r % 2) as f32
        } else if beside {
            v.signum() * v.abs().min(1.0)
        } else {
            0.0
        };
    }
    whole
}

/// A block and what to take from it. Exact: the products leave `T Tᵀ` of another [`triangle`] for every
/// matrix, and of the first all of the block, so that it needs no product. Otherwise rounded, and well
/// conditioned.
fn inputs(values: &mut Values, exact: bool, batch: usize) -> (Array2<f32>, Vec<Matrix>) {
    let square = |m: Array2<f32>| m.dot(&m.t());
    let eye = Array2::<f32>::eye(SIDE);
    if exact {
        let left: Vec<Array2<f32>> = (0..batch).map(|_| square(triangle(values))).collect();
        let of = |(number, own): (usize, &Array2<f32>)| {
            let penalty = number as f32;
            Matrix { product: &left[0] + &eye * penalty - own, penalty }
        };
        let matrices = left.iter().enumerate().map(of).collect();
        return (left[0].clone(), matrices);
    }
    let noise = Array2::zeros((SIDE, SIDE)).mapv_into(|_: f32| values.integers(1)[0] / 7.3);
    let of = |number: usize| Matrix { product: &eye * 1.7, penalty: 0.3 * number as f32 };
    (square(noise) + &eye * 11.0, (0..batch).map(of).collect())
}

/// Block `block` of three, for `batch` matrices; `spoiled` makes the last matrix indefinite.
fn case(batch: usize, block: usize, exact: bool, spoiled: bool, output: Output) -> Case {
    let word = |on: bool, text: &'static str| if on { text } else { "" };
    let label = format!(
        "{batch} blocks, number {block}, {output:?}{}{}",
        word(exact, " exact"),
        word(spoiled, " not positive definite")
    );
    Case::new(label, move |gpu| {
        let (source, mut matrices) = inputs(&mut Values::new((batch + block) as u64), exact, batch);
        if spoiled && let Some(last) = matrices.last_mut() {
            last.product[[SIDE - 1, SIDE - 1]] += 1e4;
        }
        trial(gpu, &source, &matrices, block, (exact, output))
    })
}

fn trial(
    gpu: &Gpu,
    source: &Array2<f32>,
    matrices: &[Matrix],
    block: usize,
    (exact, output): (bool, Output),
) -> Result<Trial> {
    let (batch, pitch, square) = (matrices.len(), SIDE + 4, SIDE * SIDE);
    let stride = SIDE * pitch;
    let words = match output {
        Output::Factor => batch * stride,
        Output::Inverse => batch * 2 * square,
        Output::Pivots => batch * 3,
    };
    let guarded = Guarded::new(gpu, words)?;
    let spare = |words| gpu.allocate("not looked at", words);
    let [mut factor, mut inverse, mut pivots] =
        [spare(batch * stride)?, spare(batch * 2 * square)?, spare(batch * 3)?];
    match output {
        Output::Factor => factor = guarded.buffer.clone(),
        Output::Inverse => inverse = guarded.buffer.clone(),
        Output::Pivots => pivots = guarded.buffer.clone(),
    }
    let source_words: Vec<f32> = source.iter().copied().collect();
    let product_words: Vec<f32> = matrices.iter().flat_map(|m| m.product.iter().copied()).collect();
    let penalties: Vec<f32> = matrices.iter().map(|m| m.penalty).collect();
    let launch = CholeskyBlock {
        source: &gpu.upload("block", &source_words)?,
        source_pitch: SIDE,
        penalties: &gpu.upload("penalties", &penalties)?,
        product: &gpu.upload("products", &product_words)?,
        product_stride: square,
        factor: &factor,
        pitch,
        factor_stride: stride,
        inverse: &inverse,
        pivots: &pivots,
        block,
        blocks: 3,
        batch,
    };
    let mut recording = Recording::new();
    recording.add(launch.launch()?);
    let expected = matrices.iter().flat_map(|matrix| wanted(source, matrix, block, pitch, (exact, output)));
    Ok(Trial { recording, output: guarded, expected: expected.collect() })
}

/// What one matrix's part of an output should be, where the kernel writes it.
fn wanted(
    source: &Array2<f32>,
    matrix: &Matrix,
    block: usize,
    pitch: usize,
    (exact, output): (bool, Output),
) -> Vec<Option<Bounded>> {
    let shifted = source.mapv(f64::from) + Array2::<f64>::eye(SIDE) * f64::from(matrix.penalty);
    let product = matrix.product.mapv(|v| if block > 0 { f64::from(v) } else { 0.0 });
    let diagonal = shifted.diag().to_vec();
    let found = oracle(&(shifted - product), &diagonal);
    let [of_factor, of_inverse, of_pivot] = bounds(&found);
    let bounded = |value, bound| Some(if exact { Bounded::exact(value) } else { Bounded { value, bound } });
    match output {
        Output::Factor => {
            let own = |i: usize| (i % pitch < SIDE).then(|| found.factor[[i / pitch, i % pitch]]);
            (0..SIDE * pitch).map(|i| own(i).and_then(|value| bounded(value, of_factor))).collect()
        }
        Output::Inverse => {
            let both = found.inverse.iter().chain(found.inverse.t());
            both.map(|value| bounded(*value, of_inverse)).collect()
        }
        Output::Pivots => {
            let bound = if found.pivot < 0.0 { 0.0 } else { of_pivot };
            (0..3).map(|at| (at == block).then_some(Bounded { value: found.pivot, bound })).collect()
        }
    }
}

/// Cases that hurt: the first block, whose product must not be looked at; later ones of several matrices,
/// exact because the bounds of rounded inverses are wide; matrices of which one is not positive definite.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 0, true, false, Output::Factor),
        case(3, 1, true, false, Output::Factor),
        case(3, 1, false, false, Output::Factor),
        case(1, 0, true, false, Output::Inverse),
        case(3, 2, true, false, Output::Inverse),
        case(5, 1, true, false, Output::Inverse),
        case(3, 2, false, false, Output::Inverse),
        case(3, 1, false, false, Output::Pivots),
        case(3, 1, false, true, Output::Pivots),
        case(20, 1, false, false, Output::Factor).timed(),
    ]
}

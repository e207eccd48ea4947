//! Batched matrix product of rows by rows: `c = alpha a bᵀ`.
//!
//! Both operands are read along the depth, so every product of the engine is written as rows by rows; what
//! lies the other way is turned first by [`super::transpose`], which costs n² against n³.

use super::case::{Case, Guarded, Trial, Values};
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Family, Gpu, Grid, Kernel, Launch, Matrix, Recording, Tile};
use crate::numbers::Bounded;
use ndarray::{Array2, ArrayView2};

/// The kernel. Tiles of 128 x 128, 128 x 64, 64 x 64 and 32 x 64 rows x columns.
pub static KERNEL: Kernel =
    Kernel::with_broadcast("gemm", include_str!("gemm.wgsl"), include_str!("gemm_broadcast.wgsl"), PARTS)
        .with_tiles(Family::Tiled, TILES)
        .with_tiles(Family::Broadcast, BROADCAST_TILES)
        .with_cooperative(include_str!("gemm_cooperative8.wgsl"), include_str!("gemm_cooperative16.wgsl"));

const TILES: &[Tile] = &[
    Tile { rows: 16, columns: 16 },
    Tile { rows: 16, columns: 8 },
    Tile { rows: 8, columns: 8 },
    Tile { rows: 4, columns: 8 },
];

/// 32 x 64 and 16 x 64. Which is faster is a matter of the driver's compiler: LLVM 15 of Mesa 22.3 makes more of
/// the large one, LLVM 19 of Mesa 25.0 of the small one.
const BROADCAST_TILES: &[Tile] = &[Tile { rows: 4, columns: 8 }, Tile { rows: 2, columns: 8 }];

/// `c[b] = alpha a[b] b[b]ᵀ` for a batch of matrices that lie at fixed distances in three buffers.
#[derive(Clone, Debug)]
pub struct Gemm<'a> {
    /// Rows of the left operand, `[rows, depth]`.
    pub a: Operand<'a>,
    /// Rows of the right operand, `[columns, depth]`.
    pub b: Operand<'a>,
    /// The product, `[rows, columns]`, in whole quads: up to three words beyond the last column of a row
    /// become 0.
    pub c: Operand<'a>,
    /// Depth of the sums: a multiple of four, the words beyond the last being zero.
    pub depth: usize,
    /// How many products.
    pub batch: usize,
    /// Factor of the product.
    pub alpha: f32,
    /// Whether tiles wholly below the diagonal may be left out.
    pub upper: bool,
}

/// One operand of a batched product: rows at a fixed pitch, matrices at a fixed distance.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The words.
    pub buffer: &'a Buffer,
    /// Rows of one matrix.
    pub rows: usize,
    /// Words from one row to the next.
    pub pitch: usize,
    /// Words from one matrix of the batch to the next; 0 uses the same one for all.
    pub stride: usize,
}

impl<'a> From<&'a Matrix> for Operand<'a> {
    fn from(m: &'a Matrix) -> Self {
        Operand { buffer: &m.buffer, rows: m.rows, pitch: m.pitch(), stride: 0 }
    }
}

impl<'a> Gemm<'a> {
    /// `c = a bᵀ` for three matrices.
    pub fn of(a: &'a Matrix, b: &'a Matrix, c: &'a Matrix) -> Self {
        let (a_operand, b_operand) = (Operand::from(a), Operand::from(b));
        Gemm {
            a: a_operand,
            b: b_operand,
            c: c.into(),
            depth: a.pitch().min(b.pitch()),
            batch: 1,
            alpha: 1.0,
            upper: false,
        }
    }

    /// The launch.
    ///
    /// # Errors
    /// Internal, if the operands do not fit each other or reach beyond their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let bug = |what: String| Err(Error::internal("gemm", what));
        let (rows, columns, depth) = (self.a.rows, self.b.rows, self.depth);
        let stored = columns.next_multiple_of(4);
        for (name, o, width) in [("a", self.a, depth), ("b", self.b, depth), ("c", self.c, stored)] {
            let end = (self.batch.max(1) - 1) * o.stride + (o.rows.max(1) - 1) * o.pitch + width;
            if o.pitch < width || end > o.buffer.words() {
                return bug(format!(
                    "{name} of {} rows x {width} ends at word {end} of {}",
                    o.rows,
                    o.buffer.words()
                ));
            }
        }
        if self.c.rows != rows {
            return bug(format!("c has {} rows, a has {rows}", self.c.rows));
        }
        let distances = [self.a, self.b, self.c].map(|o| [o.pitch, o.stride]);
        let quads = [distances.as_flattened(), &[depth]].concat();
        if quads.iter().any(|w| w % 4 != 0) || depth / 4 > crate::gpu::LONGEST_LOOP as usize {
            return bug(format!(
                "pitches, strides and depth {quads:?} must be multiples of 4, the depth at most 131,072"
            ));
        }
        let share = if self.upper { 0.5 } else { 1.0 };
        Ok(Launch::new(&KERNEL, Grid::Tiles([columns, rows, self.batch]))
            .constant("UPPER", f64::from(u8::from(self.upper)))
            .constant("WHOLE", f64::from(u8::from(columns.is_multiple_of(4))))
            .read("a", self.a.buffer)
            .read("b", self.b.buffer)
            .write("c", self.c.buffer)
            .set("rows", rows)
            .set("columns", columns)
            .set("depth_quads", depth / 4)
            .set("a_pitch_quads", self.a.pitch / 4)
            .set("b_pitch_quads", self.b.pitch / 4)
            .set("c_pitch_quads", self.c.pitch / 4)
            .set("a_batch_quads", self.a.stride / 4)
            .set("b_batch_quads", self.b.stride / 4)
            .set("c_batch_quads", self.c.stride / 4)
            .set_float("alpha", self.alpha)
            .cost(share * 2.0 * rows as f64 * columns as f64 * depth as f64 * self.batch as f64))
    }
}

/// The same in f64: value and error bound of every element of `a bᵀ`.
pub fn oracle(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, alpha: f32) -> Array2<Bounded> {
    Array2::from_shape_fn((a.nrows(), b.nrows()), |(m, n)| {
        let (mut value, mut magnitude) = (0f64, 0f64);
        for (x, y) in a.row(m).iter().zip(b.row(n)) {
            let term = f64::from(*x) * f64::from(*y) * f64::from(alpha);
            value += term;
            magnitude += term.abs();
        }
        Bounded::sum(value, magnitude, a.ncols() + 1)
    })
}

/// A plain product of the given shape; with `upper` of a matrix and itself, the upper triangle of tiles.
fn case(rows: usize, columns: usize, depth: usize, exact: bool, upper: bool) -> Case {
    let label = format!("{rows} x {columns} x {depth}{}{}", word(exact, " exact"), word(upper, " upper"));
    Case::new(label, move |gpu| {
        let mut values = Values::new((rows * 7919 + columns * 31 + depth) as u64);
        let a = random(&mut values, rows, depth, exact);
        let b = if upper { a.clone() } else { random(&mut values, columns, depth, exact) };
        trial(gpu, &a, &b, exact, upper)
    })
}

fn random(values: &mut Values, rows: usize, depth: usize, exact: bool) -> Array2<f32> {
    Array2::zeros((rows, depth)).mapv_into(|_: f32| values.fill(exact, 1)[0])
}

/// `a bᵀ` on the device, and what it should be.
fn trial(gpu: &Gpu, a: &Array2<f32>, b: &Array2<f32>, exact: bool, upper: bool) -> Result<Trial> {
    let (rows, columns) = (a.nrows(), b.nrows());
    let (left, right) = (Matrix::upload(gpu, "a", a.view())?, Matrix::upload(gpu, "b", b.view())?);
    // A quad more than there are columns.
    let pitch = columns.next_multiple_of(4) + 4;
    let words = rows * pitch;
    let output = Guarded::new(gpu, words)?;
    let c = Operand { buffer: &output.buffer, rows, pitch, stride: 0 };
    let gemm = Gemm {
        a: (&left).into(),
        b: (&right).into(),
        c,
        depth: left.pitch(),
        batch: 1,
        alpha: if exact { 2.0 } else { 0.7 },
        upper,
    };
    let mut recording = Recording::new();
    recording.add(gemm.launch()?);
    let want = oracle(a.view(), b.view(), gemm.alpha);
    let (_, interface) = KERNEL.tiled_source(gpu.family(), gpu.tile(&recording.launches()[0])?)?;
    let skipped = |r: usize, n: usize| {
        let (tall, wide) =
            (interface.constants["TILE_ROWS"] as usize, interface.constants["TILE_COLUMNS"] as usize);
        upper && (n / wide + 1) * wide <= r / tall * tall
    };
    let expected = (0..words).map(|i| {
        let (r, n) = (i / pitch, i % pitch);
        let stored = n < columns.next_multiple_of(4) && !skipped(r, n);
        stored.then(|| match want.get([r, n]) {
            Some(bounded) if exact => Bounded::exact(bounded.value),
            Some(bounded) => *bounded,
            None => Bounded::exact(0.0),
        })
    });
    Ok(Trial { recording, output, expected: expected.collect() })
}

/// What an operand's element at row and k is multiplied by.
type Factor = fn(usize, usize) -> f32;

/// A product of values that are multiplied by factors.
fn scaled(label: &str, exact: bool, left: Factor, right: Factor) -> Case {
    Case::new(format!("{label}{}", word(exact, " exact")), move |gpu| {
        let mut values = Values::new(70);
        let (mut a, mut b) = (random(&mut values, 41, 70, exact), random(&mut values, 37, 70, exact));
        a.indexed_iter_mut().for_each(|((row, k), x)| *x *= left(row, k));
        b.indexed_iter_mut().for_each(|((row, k), x)| *x *= right(row, k));
        trial(gpu, &a, &b, exact, false)
    })
}

/// Data for which f16 has no room, and numbers that are none.
fn scaled_cases() -> Vec<Case> {
    let huge_first = |_, k| if k == 3 { 1e30 } else { 1.0 };
    let even_rows_meet_it = |row, k| if k == 3 && row % 2 == 1 { 0.0 } else { 1.0 };
    let rows_from_1e30_to_tiny = |row, _| [1e30, 1.0, 7e4, 1e-4, 1e-30][row % 5];
    let no_numbers = |row, k| match (row, k) {
        (0, 5) => f32::INFINITY,
        (7, 9) => f32::NAN,
        (19, _) => 0.0,
        _ => 1.0,
    };
    let tiny = |_, _| 1.0 / (1u128 << 120) as f32;
    let large = |_, _| (1u128 << 100) as f32;
    vec![
        scaled("rows near 1e30", false, |_, _| 1e30, |_, _| 1.0),
        scaled("rows near 1e-30", false, |_, _| 1e-30, |_, _| 1.0),
        scaled("rows near 1e30 and 1e-30", false, |_, _| 1e30, |_, _| 1e-30),
        scaled("rows near 2^-120 and 2^100", true, tiny, large),
        scaled("rows from 1e30 to 1e-30", false, rows_from_1e30_to_tiny, |row, _| [1.0, 1e4, 1e-4][row % 3]),
        scaled("one element near 1e30", false, huge_first, |_, _| 1.0),
        scaled(
            "one element near 1e30, which half of the rows meet with 0",
            false,
            huge_first,
            even_rows_meet_it,
        ),
        scaled(
            "elements from 1 to 1e-8 in turn",
            false,
            |_, k| [1.0, 1e-8][k % 2],
            |_, k| [1e-8, 1.0][k % 2],
        ),
        scaled("infinity, NaN, and a row of zeros", false, no_numbers, |_, _| 1.0),
    ]
}

fn word(on: bool, text: &str) -> &str {
    if on { text } else { "" }
}

/// Sizes that hurt: one row, primes, a tile, a tile and one, a long depth, the upper half, a batch; and data
/// that does.
pub fn cases() -> Vec<Case> {
    let mut cases =
        vec![case(1, 2, 1, true, false), case(7, 5, 3, false, false), case(64, 64, 16, true, false)];
    cases.push(case(65, 63, 17, true, false));
    cases.push(case(33, 129, 70, false, false));
    cases.push(case(35, 68, 12, true, false));
    cases.push(case(40, 4, 9, false, false));
    cases.push(case(3, 2, 20_000, false, false));
    cases.push(case(200, 200, 37, true, true));
    cases.push(case(130, 130, 515, false, true));
    cases.push(batched());
    cases.extend(scaled_cases());
    cases.push(case(512, 512, 512, false, false).timed());
    cases
}

/// Three products at distances in one buffer, the left operand shared.
fn batched() -> Case {
    Case::new("batch of 3, shared a", |gpu| {
        let mut values = Values::new(5);
        let (rows, columns, depth) = (9usize, 11usize, 8usize);
        let (a, b) = (values.integers(rows * depth), values.integers(3 * columns * depth));
        let pitch = columns.next_multiple_of(4);
        let words = 3 * rows * pitch;
        let (left, right) = (gpu.upload("a", &a)?, gpu.upload("b", &b)?);
        let output = Guarded::new(gpu, words)?;
        let gemm = Gemm {
            a: Operand { buffer: &left, rows, pitch: depth, stride: 0 },
            b: Operand { buffer: &right, rows: columns, pitch: depth, stride: columns * depth },
            c: Operand { buffer: &output.buffer, rows, pitch, stride: rows * pitch },
            depth,
            batch: 3,
            alpha: -1.0,
            upper: false,
        };
        let mut recording = Recording::new();
        recording.add(gemm.launch()?);
        let expected = (0..words).map(|i| {
            let (batch, m, n) = (i / (rows * pitch), i / pitch % rows, i % pitch);
            if n >= columns {
                return Some(Bounded::exact(0.0));
            }
            let product: f32 =
                (0..depth).map(|k| a[m * depth + k] * b[(batch * columns + n) * depth + k]).sum();
            Some(Bounded::exact(f64::from(-product)))
        });
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

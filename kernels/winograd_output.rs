//! The last step of a Winograd convolution: products of all points to results, with bias, ReLU and pooling in
//! the same pass.

use super::case::{Case, Guarded, Trial, Values};
use super::conv2d::to_quads;
use super::fit::{check_maps, wrong};
use super::parts::PARTS;
use super::winograd::{Side, Span, Tiling, output_matrix};
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Maps, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array2, Array4};

/// The kernel.
pub static KERNEL: Kernel = Kernel::with_broadcast(
    "winograd_output",
    include_str!("winograd_output.wgsl"),
    include_str!("winograd_output_broadcast.wgsl"),
    PARTS,
);

/// What is done to results before they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// Negative results become zero.
    pub relu: bool,
    /// Rows and columns of the maps, of which the largest of every 2 x 2 is stored; `None` stores all.
    pub pooled_of: Option<[usize; 2]>,
}

/// `y = finish(A m Aᵀ + bias)` of some tiles.
pub struct WinogradOutput<'a> {
    /// The products: `[groups][points][span.count][pitch]`.
    pub m: &'a Buffer,
    /// Added to each channel: `[groups][quads of a group]` of vec4.
    pub bias: &'a Buffer,
    /// Output maps.
    pub y: &'a Maps,
    /// How maps are cut.
    pub tiling: Tiling,
    /// Which tiles.
    pub span: Span,
    /// Words from one tile's row to the next: a multiple of four.
    pub pitch: usize,
    /// What is done to results before they are stored.
    pub finish: Finish,
}

impl WinogradOutput<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let (y, t, name) = (self.y, &self.tiling, KERNEL.name());
        check_maps(name, &[("y", y)])?;
        let [height, width] = self.finish.pooled_of.unwrap_or([y.height, y.width]);
        let pools = self.finish.pooled_of.is_some();
        let even = t.rows.results.is_multiple_of(2) && t.columns.results.is_multiple_of(2);
        if pools && (!even || [height / 2, width / 2] != [y.height, y.width] || y.area() == 0) {
            return wrong(name, format!("{t:?} of {height} x {width} is not pooled to {y:?}"));
        }
        if !t.rows.covers(height) || !t.columns.covers(width) {
            return wrong(name, format!("{t:?} does not cover {height} x {width}"));
        }
        if t.groups == 0 || !y.quads().is_multiple_of(t.groups) || self.bias.words() < 4 * y.quads() {
            return wrong(name, format!("{t:?} to {y:?}: groups are of whole quads"));
        }
        let group_quads = y.quads() / t.groups;
        let words = t.groups * t.points() * self.span.count * self.pitch;
        if !self.pitch.is_multiple_of(4) || self.pitch < 4 * group_quads || self.m.words() < words {
            return wrong(name, format!("{} words with rows of {}", self.m.words(), self.pitch));
        }
        if self.span.first + self.span.count > y.images * t.tiles() {
            return wrong(name, format!("{:?} of {t:?}", self.span));
        }
        let quads = (self.span.count * y.quads()) as f64;
        let sums =
            (t.points() * t.rows.results + t.rows.results * t.columns.points * t.columns.results) as f64;
        Ok(Launch::new(&KERNEL, Grid::Tiles([group_quads, self.span.count, t.groups]))
            .constant("ROWS", t.rows.points as f64)
            .constant("COLUMNS", t.columns.points as f64)
            .constant("HEIGHT", t.rows.results as f64)
            .constant("WIDTH", t.columns.results as f64)
            .constant("RELU", f64::from(u8::from(self.finish.relu)))
            .constant("POOL", f64::from(u8::from(pools)))
            .read("m", self.m)
            .read("bias", self.bias)
            .write("y", &y.buffer)
            .set("first", self.span.first)
            .set("tiles", self.span.count)
            .set("tiles_down", t.rows.tiles)
            .set("tiles_across", t.columns.tiles)
            .set("out_quads", y.quads())
            .set("out_height", y.height)
            .set("out_width", y.width)
            .set("group_quads", group_quads)
            .set("pitch_quads", self.pitch / 4)
            .cost(4.0 * quads * sums))
    }
}

/// The results of one channel of a tile from its points' products `[rows.points, columns.points]`, in f64.
///
/// A product passes at most five roundings along an axis, and one more with the bias; ReLU and the largest of
/// four are no further from the exact ones than what they are taken of.
fn oracle(m: &Array2<f64>, bias: f64, t: &Tiling, relu: bool) -> Array2<Bounded> {
    let a_rows = output_matrix(t.rows.points, t.rows.results);
    let a_columns = output_matrix(t.columns.points, t.columns.results);
    Array2::from_shape_fn((t.rows.results, t.columns.results), |(r, c)| {
        let factors = m.indexed_iter().map(|((i, j), v)| (a_rows[[r, i]] * a_columns[[c, j]], v));
        // A point that a result does not see is not multiplied by zero, which NaN would survive.
        let terms = factors.filter(|(factor, _)| *factor != 0.0).map(|(factor, v)| factor * v);
        let (value, magnitude) = terms.fold((bias, bias.abs()), |(s, m), v: f64| (s + v, m + v.abs()));
        let value = if relu && value < 0.0 { 0.0 } else { value };
        Bounded { value, bound: 11.0 * UNIT * magnitude + 64.0 * TINY }
    })
}

/// The larger, NaN if one of them is.
fn larger(a: Bounded, b: Bounded) -> Bounded {
    let nan = a.value.is_nan() || b.value.is_nan();
    let value = if nan { f64::NAN } else { a.value.max(b.value) };
    Bounded { value, bound: a.bound.max(b.bound) }
}

/// Results of `[images, channels, height, width]`, and what is made of them.
struct Shape {
    results: [usize; 4],
    tiling: Tiling,
    relu: bool,
    pool: bool,
}

/// What every image's maps are, tile by tile; `m` is `[groups][points][tiles][pitch]`.
fn maps(shape: &Shape, m: &[f32], bias: &[f32], pitch: usize) -> Array4<Bounded> {
    let Shape { results: [images, channels, height, width], tiling: t, relu, pool } = shape;
    let (tiles, per_group) = (images * t.tiles(), channels / t.groups);
    let mut y = Array4::from_elem((*images, *channels, *height, *width), Bounded::exact(0.0));
    for (tile, channel) in (0..tiles).flat_map(|tile| (0..*channels).map(move |c| (tile, c))) {
        let (group, column) = (channel / per_group, channel % per_group);
        let points = Array2::from_shape_fn((t.rows.points, t.columns.points), |(i, j)| {
            let point = group * t.points() + i * t.columns.points + j;
            f64::from(m[(point * tiles + tile) * pitch + column])
        });
        let place = tile % t.tiles();
        let (top, left) =
            (place / t.columns.tiles * t.rows.results, place % t.columns.tiles * t.columns.results);
        for ((r, c), value) in oracle(&points, f64::from(bias[channel]), t, *relu).indexed_iter() {
            if let Some(word) = y.get_mut((tile / t.tiles(), channel, top + r, left + c)) {
                *word = *value;
            }
        }
    }
    if !pool {
        return y;
    }
    Array4::from_shape_fn((*images, *channels, height / 2, width / 2), |(i, k, r, c)| {
        let at = |dr, dc| y[[i, k, 2 * r + dr, 2 * c + dc]];
        larger(larger(at(0, 0), at(0, 1)), larger(at(1, 0), at(1, 1)))
    })
}

fn case(shape: Shape, exact: bool, strange: &'static [(usize, f32)]) -> Case {
    let Shape { results, tiling, relu, pool } = &shape;
    let word = |on: &bool, text| if *on { text } else { "" };
    let label = format!(
        "{results:?}: {}{}{}{}",
        tiling.label(),
        word(relu, " relu"),
        word(pool, " pool"),
        word(&exact, " exact")
    );
    Case::new(label, move |gpu| {
        let Shape { results: [images, channels, height, width], tiling, relu, pool } = shape;
        let tiles = images * tiling.tiles();
        let pitch = channels / tiling.groups + 4;
        let mut values = Values::new((channels * 29 + height) as u64);
        let mut m = values.fill(exact, tiling.groups * tiling.points() * tiles * pitch);
        for (at, value) in strange {
            m[*at] = *value;
        }
        let bias = values.fill(exact, channels);
        let want = maps(&shape, &m, &bias, pitch);
        let (_, _, out_height, out_width) = want.dim();
        let output = Guarded::new(gpu, Maps::words(images, [channels, out_height, out_width]))?;
        let y =
            Maps { buffer: output.buffer.clone(), images, channels, height: out_height, width: out_width };
        let finish = Finish { relu, pooled_of: pool.then_some([height, width]) };
        let (m, bias) = (gpu.upload("m", &m)?, gpu.upload("bias", &bias)?);
        let mut recording = Recording::new();
        // In two launches, so that a span that starts in the middle is part of every case.
        let half = tiles / 2;
        for span in [Span { first: 0, count: half }, Span { first: half, count: tiles - half }] {
            if span.count == 0 {
                continue;
            }
            let words = part(gpu, &m, &tiling, tiles, span, pitch)?;
            let launch = WinogradOutput { m: &words, bias: &bias, y: &y, tiling, span, pitch, finish };
            recording.add(launch.launch()?);
        }
        let exactly = |b: Bounded| if exact { Bounded::exact(b.value) } else { b };
        let expected = to_quads(want.view(), Bounded::exact(0.0));
        Ok(Trial { recording, output, expected: expected.into_iter().map(|b| Some(exactly(b))).collect() })
    })
}

/// The rows of some tiles of every matrix, as a buffer of their own.
fn part(
    gpu: &crate::gpu::Gpu,
    m: &Buffer,
    tiling: &Tiling,
    tiles: usize,
    span: Span,
    pitch: usize,
) -> Result<Buffer> {
    let words: Vec<f32> = gpu.download(m)?;
    let matrices = words.chunks(tiles * pitch).take(tiling.groups * tiling.points());
    let rows = matrices.flat_map(|matrix| &matrix[span.first * pitch..(span.first + span.count) * pitch]);
    gpu.upload("m", &rows.copied().collect::<Vec<f32>>())
}

/// Sizes that hurt: one result, every number of points and results, maps smaller than a tile, odd maps that
/// are pooled, groups, and NaN, which ReLU and pooling keep.
pub fn cases() -> Vec<Case> {
    let side = |points, results, tiles| Side { points, results, tiles };
    let tiling = |rows, columns, groups| Tiling { rows, columns, stride: 1, padding: 1, groups };
    let f4 = |tiles| side(6, 4, tiles);
    let shape = |results, tiling, relu, pool| Shape { results, tiling, relu, pool };
    vec![
        case(shape([1, 4, 1, 1], tiling(f4(1), f4(1), 1), false, false), false, &[]),
        case(shape([2, 4, 9, 7], tiling(f4(3), f4(2), 1), true, false), false, &[]),
        case(shape([1, 8, 7, 5], tiling(side(5, 3, 3), side(4, 2, 3), 1), false, false), true, &[]),
        case(shape([1, 12, 13, 9], tiling(side(8, 6, 3), side(6, 2, 5), 1), true, false), false, &[]),
        case(shape([2, 40, 3, 14], tiling(side(4, 2, 2), side(8, 6, 3), 1), false, true), false, &[]),
        case(shape([2, 16, 5, 6], tiling(f4(2), side(5, 3, 2), 2), true, false), true, &[]),
        case(shape([1, 8, 13, 11], tiling(f4(4), side(6, 2, 6), 1), true, true), true, &[]),
        case(shape([1, 8, 12, 13], tiling(side(8, 6, 2), f4(4), 2), true, true), false, &[]),
        case(
            shape([1, 4, 8, 8], tiling(f4(2), f4(2), 1), true, true),
            false,
            &[(0, f32::NAN), (9, f32::NAN)],
        ),
        large(),
    ]
}

/// 64 channels of 48 x 48 results, twice, pooled.
fn large() -> Case {
    let side = Side { points: 6, results: 4, tiles: 12 };
    let tiling = Tiling { rows: side, columns: side, stride: 1, padding: 1, groups: 1 };
    case(Shape { results: [2, 64, 48, 48], tiling, relu: true, pool: true }, false, &[]).timed()
}

//! The first step of a Winograd convolution: tiles of maps, transformed along rows and columns, as rows of
//! matrices.
//!
//! A NaN or an infinity in a pixel reaches all points of its tile, and so all results of the tile. Values
//! grow by at most the sum of a row of |B| along each axis: 100 times in all for eight points, 29 for six.

use super::case::{Case, Guarded, Trial};
use super::fit::{check_maps, wrong};
use super::parts::PARTS;
use super::trials::{random_maps, upload_maps};
use super::winograd::{Side, Span, Tiling, input_matrix};
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Maps, Recording};
use crate::numbers::{Bounded, TINY, UNIT};
use ndarray::{Array2, ArrayView4};

/// The kernel.
pub static KERNEL: Kernel = Kernel::with_broadcast(
    "winograd_input",
    include_str!("winograd_input.wgsl"),
    include_str!("winograd_input_broadcast.wgsl"),
    PARTS,
);

/// `v[group][point] [tile, channel] = B x Bᵀ` of some tiles.
pub struct WinogradInput<'a> {
    /// Input maps.
    pub x: &'a Maps,
    /// Where the rows go: `[groups][points][span.count][pitch]`.
    pub v: &'a Buffer,
    /// How maps are cut.
    pub tiling: Tiling,
    /// Which tiles.
    pub span: Span,
    /// Words from one tile's row to the next: a multiple of four, and at least the depth.
    pub pitch: usize,
}

impl WinogradInput<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the shapes do not fit each other or their buffers.
    pub fn launch(&self) -> Result<Launch> {
        let (x, t, name) = (self.x, &self.tiling, KERNEL.name());
        check_maps(name, &[("x", x)])?;
        if t.groups == 0 || t.stride == 0 || !x.quads().is_multiple_of(t.groups) || x.area() == 0 {
            return wrong(name, format!("{t:?} of {x:?}: groups are of whole quads"));
        }
        let depth_quads = t.depth_quads(x);
        if !self.pitch.is_multiple_of(4) || self.pitch < 4 * depth_quads {
            return wrong(name, format!("rows of {} words for {depth_quads} quads", self.pitch));
        }
        for side in [t.rows, t.columns] {
            if !side.covers(side.tiles * side.results) {
                return wrong(name, format!("there is no transform for {side:?}"));
            }
        }
        let words = t.groups * t.points() * self.span.count * self.pitch;
        if self.span.first + self.span.count > x.images * t.tiles() || self.v.words() < words {
            return wrong(name, format!("{:?} of {t:?} to {} words", self.span, self.v.words()));
        }
        let quads = (self.span.count * t.groups * depth_quads) as f64;
        let sums = (t.points() * (t.rows.points + t.columns.points)) as f64;
        Ok(Launch::new(&KERNEL, Grid::Tiles([depth_quads, self.span.count, t.groups]))
            .constant("ROWS", t.rows.points as f64)
            .constant("COLUMNS", t.columns.points as f64)
            .constant("STRIDE", t.stride as f64)
            .read("x", &x.buffer)
            .write("v", self.v)
            .set("first", self.span.first)
            .set("tiles", self.span.count)
            .set("tiles_down", t.rows.tiles)
            .set("tiles_across", t.columns.tiles)
            .set("tile_height", t.rows.results)
            .set("tile_width", t.columns.results)
            .set("in_quads", x.quads())
            .set("in_height", x.height)
            .set("in_width", x.width)
            .set("padding", t.padding)
            .set("group_quads", x.quads() / t.groups)
            .set("depth_quads", depth_quads)
            .set("pitch_quads", self.pitch / 4)
            .cost(4.0 * quads * sums))
    }
}

/// Points of every tile of `x [images, channels, height, width]`, `[tile][point] [channel]` with the channels
/// of all phases one after the other, in f64.
///
/// A product of the matrices passes at most five roundings along an axis, so the bound is ten roundoffs of
/// the sum of the absolute values; constants are exact.
fn oracle(x: ArrayView4<'_, f32>, t: &Tiling, group: usize) -> Vec<Vec<Vec<Bounded>>> {
    let (images, channels, height, width) = x.dim();
    let per_group = channels / t.groups;
    let (b_rows, b_columns) = (input_matrix(t.rows.points), input_matrix(t.columns.points));
    let padded = per_group.next_multiple_of(4);
    let tiles = (0..images * t.tiles()).map(|tile| {
        let (image, place) = (tile / t.tiles(), tile % t.tiles());
        let corner = |index: usize, side: Side| (index * side.results * t.stride) as i64 - t.padding as i64;
        let top = corner(place / t.columns.tiles, t.rows);
        let left = corner(place % t.columns.tiles, t.columns);
        let pixels = |channel: usize, phase: usize| {
            Array2::from_shape_fn((t.rows.points, t.columns.points), |(i, j)| {
                let row = top + (i * t.stride + phase / t.stride) as i64;
                let column = left + (j * t.stride + phase % t.stride) as i64;
                let inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
                if !inside || channel >= per_group {
                    return 0.0;
                }
                f64::from(x[[image, group * per_group + channel, row as usize, column as usize]])
            })
        };
        let depth = t.stride * t.stride * padded;
        let values: Vec<Array2<f64>> = (0..depth).map(|d| pixels(d % padded, d / padded)).collect();
        let one = |pixels: &Array2<f64>, point: usize| {
            let (i, j) = (point / t.columns.points, point % t.columns.points);
            let factors = pixels.indexed_iter().map(|((r, c), v)| (b_rows[[i, r]] * b_columns[[j, c]], v));
            // A pixel that a point does not see is not multiplied by zero, which NaN would survive.
            let terms = factors.filter(|(factor, _)| *factor != 0.0).map(|(factor, v)| factor * v);
            let (value, magnitude) = terms.fold((0.0, 0.0), |(s, m), v: f64| (s + v, m + v.abs()));
            Bounded { value, bound: 10.0 * UNIT * magnitude + 64.0 * TINY }
        };
        (0..t.points()).map(|point| values.iter().map(|v| one(v, point)).collect()).collect()
    });
    tiles.collect()
}

/// A shape `[images, channels, height, width]`, a tiling, and which tiles of it.
fn case(
    shape: [usize; 4],
    tiling: Tiling,
    span: Span,
    exact: bool,
    strange: &'static [(usize, f32)],
) -> Case {
    let label = format!("{shape:?}: {}{}", tiling.label(), if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let mut x = random_maps(shape, (shape[1] * 37 + shape[2]) as u64, exact);
        for (at, value) in strange {
            if let Some(v) = x.iter_mut().nth(*at) {
                *v = *value;
            }
        }
        let maps = upload_maps(gpu, &x)?;
        let depth = 4 * tiling.depth_quads(&maps);
        let pitch = depth + 4;
        let output = Guarded::new(gpu, tiling.groups * tiling.points() * span.count * pitch)?;
        let mut recording = Recording::new();
        recording.add(WinogradInput { x: &maps, v: &output.buffer, tiling, span, pitch }.launch()?);
        let mut expected = vec![None; output.buffer.words()];
        for group in 0..tiling.groups {
            let want = oracle(x.view(), &tiling, group);
            for (tile, points) in want.iter().skip(span.first).take(span.count).enumerate() {
                for (point, channels) in points.iter().enumerate() {
                    let row = (group * tiling.points() + point) * span.count + tile;
                    for (channel, value) in channels.iter().enumerate() {
                        let exactly = if exact { Bounded::exact(value.value) } else { *value };
                        expected[row * pitch + channel] = Some(exactly);
                    }
                }
            }
        }
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one pixel, ragged quads, every number of points on both axes, maps smaller than a tile,
/// phases, groups, a span in the middle, NaN and infinities, which stay in their tile.
pub fn cases() -> Vec<Case> {
    let side = |points, results, tiles| Side { points, results, tiles };
    let tiling = |rows, columns, stride, padding, groups| Tiling { rows, columns, stride, padding, groups };
    let all = |tiles| Span { first: 0, count: tiles };
    let f4 = |tiles| side(6, 4, tiles);
    vec![
        case([1, 1, 1, 1], tiling(f4(1), f4(1), 1, 1, 1), all(1), true, &[]),
        case([2, 3, 9, 7], tiling(f4(3), f4(2), 1, 1, 1), all(12), true, &[]),
        case([1, 6, 7, 5], tiling(side(5, 3, 3), side(4, 2, 3), 1, 1, 1), all(9), true, &[]),
        case([1, 9, 12, 11], tiling(side(8, 6, 2), side(6, 2, 5), 1, 2, 1), all(10), false, &[]),
        case([2, 40, 4, 13], tiling(side(4, 2, 2), side(8, 6, 3), 1, 1, 1), all(12), false, &[]),
        case([2, 16, 5, 6], tiling(f4(2), side(5, 3, 2), 1, 1, 2), Span { first: 3, count: 4 }, true, &[]),
        case([1, 3, 31, 27], tiling(f4(2), f4(2), 4, 2, 1), all(4), true, &[]),
        case([1, 8, 12, 9], tiling(side(5, 3, 2), f4(2), 2, 3, 2), all(4), false, &[]),
        case(
            [2, 2, 8, 8],
            tiling(f4(2), f4(2), 1, 0, 1),
            all(8),
            false,
            &[(0, f32::NAN), (7, f32::INFINITY), (255, f32::NEG_INFINITY)],
        ),
        large(),
    ]
}

/// 64 channels of 48 x 48 pixels, twice.
fn large() -> Case {
    let side = Side { points: 6, results: 4, tiles: 12 };
    let tiling = Tiling { rows: side, columns: side, stride: 1, padding: 1, groups: 1 };
    case([2, 64, 48, 48], tiling, Span { first: 0, count: 288 }, false, &[]).timed()
}

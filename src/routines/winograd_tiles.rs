//! Which tiles a convolution is cut into, and what its filters are when pixels of each phase are channels of
//! their own.

use super::winograd::{Channels, filter_words};
use crate::kernels::conv2d::{Geometry, output_side};
use crate::kernels::winograd::{Side, Tiling};
use ndarray::ArrayView4;

/// Results of a tile along an axis at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Four results of three weights, two of five: rounding within three times that of a direct sum.
    Four,
    /// Six results of three weights, four of five: about ten times.
    Six,
}

/// Points and results that there are, for filters of so many weights.
fn sides(weights: usize, reach: Reach) -> &'static [(usize, usize)] {
    match (weights, reach) {
        (3, Reach::Four) => &[(4, 2), (5, 3), (6, 4)],
        (3, Reach::Six) => &[(4, 2), (5, 3), (6, 4), (8, 6)],
        (5, Reach::Four) => &[(6, 2)],
        (5, Reach::Six) => &[(6, 2), (8, 4)],
        _ => &[],
    }
}

/// What one word of a transform costs, in operations of the product: a load or a store, and its sums.
/// Measured on lavapipe.
const WORD: f64 = 40.0;

/// Share of a direct convolution's operations below which the products pay: what is left goes to launches.
const PAYS: f64 = 0.8;

/// Words of transformed filters at most: what every adapter binds. A limit of the adapter's own would make
/// bits differ.
const FILTER_WORDS: usize = 32 << 20;

/// The cheapest tiling of a convolution of maps of `height` x `width`, by operations and words of the
/// transforms, and whether it pays beside the direct sum. It depends on shapes only, so that any batch has
/// the same bits; `None` where transformed filters are larger than adapters bind.
pub fn tiling(
    [height, width]: [usize; 2],
    channels: Channels,
    kernel: [usize; 2],
    geometry: Geometry,
    reach: Reach,
) -> Option<(Tiling, bool)> {
    let Geometry { stride, padding, groups, .. } = geometry;
    let results =
        [output_side(height, kernel[0], stride, padding)?, output_side(width, kernel[1], stride, padding)?];
    let whole = |channels: usize| channels.is_multiple_of(groups) && (channels / groups).is_multiple_of(4);
    if groups > 1 && !(whole(channels.inputs) && whole(channels.outputs)) {
        return None;
    }
    let axis = |which: usize| {
        let known = sides(kernel[which].div_ceil(stride), reach).iter();
        known.map(move |(points, size)| Side {
            points: *points,
            results: *size,
            tiles: results[which].div_ceil(*size),
        })
    };
    let tilings = axis(0).flat_map(|rows| axis(1).map(move |columns| Tiling::new(rows, columns, geometry)));
    let cost = |t: &Tiling| cost(t, channels);
    let bound = tilings.filter(|t| filter_words(t, channels) <= FILTER_WORDS);
    let best = bound.min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let quads = |channels: usize| (channels / groups).next_multiple_of(4) as f64;
    let taps = (kernel[0] * kernel[1] * results[0] * results[1] * groups) as f64;
    let direct = 2.0 * taps * quads(channels.inputs) * quads(channels.outputs);
    Some((best, cost(&best) < PAYS * direct))
}

/// Operations of an image: products, and what the transforms cost in their place.
fn cost(tiling: &Tiling, channels: Channels) -> f64 {
    let groups = tiling.groups as f64;
    let quads = |channels: usize| (channels / tiling.groups).next_multiple_of(4) as f64;
    let depth = quads(channels.inputs) * (tiling.stride * tiling.stride) as f64;
    let outputs = quads(channels.outputs);
    let (points, tiles) = (tiling.points() as f64, tiling.tiles() as f64);
    let results = (tiling.rows.results * tiling.columns.results) as f64;
    let words = 2.0 * points * depth + (points + results) * outputs;
    groups * tiles * (2.0 * points * depth * outputs + WORD * words)
}

/// The weights of an output in f64, `[taps of a phase][phases and channels]`: tap (s, t) of phase (p, q) is
/// tap (stride s + p, stride t + q) of the filter, and zero beyond.
pub(super) fn virtual_weights(
    weight: ArrayView4<'_, f32>,
    output: usize,
    tiling: &Tiling,
    depth: usize,
) -> Vec<f64> {
    let (_, per_group, height, width) = weight.dim();
    let (stride, padded) = (tiling.stride, per_group.next_multiple_of(4));
    let across = tiling.columns.weights();
    let mut words = vec![0f64; tiling.rows.weights() * across * depth];
    for (r, c) in (0..height).flat_map(|r| (0..width).map(move |c| (r, c))) {
        let (tap, phase) = (r / stride * across + c / stride, r % stride * stride + c % stride);
        let at = tap * depth + phase * padded;
        for channel in 0..per_group {
            words[at + channel] = f64::from(weight[[output, channel, r, c]]);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_no_adapter_binds_are_not_cut() {
        let geometry = Geometry { stride: 1, padding: 1, groups: 1, relu: false };
        let cut = |channels: usize| {
            let channels = Channels { inputs: channels, outputs: channels };
            tiling([16, 16], channels, [3, 3], geometry, Reach::Six).map(|(t, _)| filter_words(&t, channels))
        };
        assert!(cut(512).is_some_and(|words| words <= FILTER_WORDS));
        // 16 points of 1,448 x 1,448 quads and channels are the least there is.
        assert!(cut(1448).is_some_and(|words| words <= FILTER_WORDS));
        assert_eq!(cut(1452), None);
    }
}

//! Antialiased image resampling, value for value what Pillow's `Image.resize(size, BILINEAR or BICUBIC)`
//! gives.
//!
//! The published networks were trained on images that Pillow resized, so features only agree when the pixels
//! do. The method is separable: along each axis an output sample is a weighted mean of the input samples
//! under the filter, which is stretched by the factor of reduction (that is the antialiasing) and never
//! compressed when enlarging. Rows first, columns second; an axis that keeps its length is left alone. Pillow
//! rounds bytes after each of the two passes and weighs them in 22-bit fixed point; float samples are summed
//! in f64 and stored as f32.
//!
//! Pillow up to 12 always takes the rows first. Pillow 13 takes the columns first where the height shrinks
//! more than the width, which moves some bytes by a level; this module stays with the order of the versions
//! before, under which the published networks were trained.

use std::path::Path;

use crate::error::{Error, Result};

/// Bits behind the point of a byte weight: 32, less 8 for the sample and 2 for sign and overshoot.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// Height and width in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// The interpolating filter, in the words of Pillow and torchvision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// A triangle, one input pixel to each side.
    Bilinear,
    /// Keys' cubic convolution (IEEE Trans. ASSP 29, 1981) with a = -0.5, two input pixels to each side.
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = distance.abs();
        match self {
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// Weights along one axis: output `i` is the sum over `j` of `weights[i * width + j]` times input `first[i] +
/// j`.
struct Axis {
    first: Vec<usize>,
    count: Vec<usize>,
    width: usize,
    exact: Vec<f64>,
    fixed: Vec<i32>,
}

impl Axis {
    fn new(from: usize, to: usize, filter: Filter) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let width = support.ceil() as usize * 2 + 1;
        let mut axis = Axis {
            first: Vec::with_capacity(to),
            count: Vec::with_capacity(to),
            width,
            exact: vec![0.0; to * width],
            fixed: vec![0; to * width],
        };
        for i in 0..to {
            let centre = (i as f64 + 0.5) * scale;
            // Casts truncate towards zero, and a negative bound becomes 0, as it must.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let count = end.saturating_sub(first);
            let weights = &mut axis.exact[i * width..i * width + count];
            for (j, weight) in weights.iter_mut().enumerate() {
                // Multiplying by the reciprocal, not dividing: the last bit decides some roundings below.
                *weight = filter.weight(((j + first) as f64 - centre + 0.5) * (1.0 / stretch));
            }
            let sum: f64 = weights.iter().sum();
            for (weight, fixed) in weights.iter_mut().zip(&mut axis.fixed[i * width..]) {
                if sum != 0.0 {
                    *weight /= sum;
                }
                // Half away from zero; the cast truncates.
                let scaled = *weight * f64::from(1 << FRACTION_BITS);
                *fixed = if *weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 } as i32;
            }
            axis.first.push(first);
            axis.count.push(count);
        }
        axis
    }
}

/// Resamples images of one size to one other size; the weights are computed once.
pub struct Resizer {
    from: Size,
    to: Size,
    /// `None` where the width stays: that pass is skipped, as Pillow does.
    across: Option<Axis>,
    /// The same for the height.
    down: Option<Axis>,
}

impl Resizer {
    /// The weights for images of size `from` that shall have size `to`.
    ///
    /// # Errors
    /// [`Kind::Input`](crate::Kind::Input) when one of the sizes has no pixel.
    pub fn new(from: Size, to: Size, filter: Filter) -> Result<Self> {
        if [from.height, from.width, to.height, to.width].contains(&0) {
            return Err(Error::input(
                Path::new("resizing images"),
                format!("from {from} to {to} (height x width)"),
                "at least one pixel each way",
                "",
            ));
        }
        let axis = |from, to| (from != to).then(|| Axis::new(from, to, filter));
        Ok(Resizer { from, to, across: axis(from.width, to.width), down: axis(from.height, to.height) })
    }

    /// The size that images must have.
    pub fn from(&self) -> Size {
        self.from
    }

    /// The size that images will have.
    pub fn to(&self) -> Size {
        self.to
    }

    /// Resamples bytes. `data` is height x width x `channels`, interleaved, and so is the result. Bit for bit
    /// what Pillow gives for mode L (1 channel) and RGB (3).
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) when `data` has another length than its size says.
    pub fn bytes(&self, channels: usize, data: &[u8]) -> Result<Vec<u8>> {
        self.run(channels, data, across_bytes, down_bytes)
    }

    /// Resamples floats. `data` is height x width x `channels`, interleaved, and so is the result. What
    /// Pillow gives for each channel as an image of mode F. Bicubic weights are partly negative: the result
    /// may leave the range of the input.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) when `data` has another length than its size says.
    pub fn floats(&self, channels: usize, data: &[f32]) -> Result<Vec<f32>> {
        self.run(channels, data, across_floats, down_floats)
    }

    fn run<T: Copy + Default>(
        &self,
        channels: usize,
        data: &[T],
        across: fn(&Axis, usize, &[T], &mut [T]),
        down: fn(&Axis, usize, &[T], &mut [T]),
    ) -> Result<Vec<T>> {
        let expected = self.from.height * self.from.width * channels;
        if channels == 0 || data.len() != expected {
            return Err(Error::internal(
                "resizing images",
                format!("{} samples for {} pixels of {channels} channels", data.len(), self.from),
            ));
        }
        let mut rows = std::borrow::Cow::Borrowed(data);
        if let Some(axis) = &self.across {
            let (from, to) = (self.from.width * channels, self.to.width * channels);
            let mut wide = vec![T::default(); self.from.height * to];
            for (input, output) in rows.chunks_exact(from).zip(wide.chunks_exact_mut(to)) {
                across(axis, channels, input, output);
            }
            rows = wide.into();
        }
        if let Some(axis) = &self.down {
            let stride = self.to.width * channels;
            let mut tall = vec![T::default(); self.to.height * stride];
            for (i, output) in tall.chunks_exact_mut(stride).enumerate() {
                down(axis, i, &rows, output);
            }
            rows = tall.into();
        }
        Ok(rows.into_owned())
    }
}

/// Back from fixed point to a byte, clipped: bicubic weights overshoot.
fn clip(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Half a unit, so that [`clip`] rounds. The sums stay within i32, because the absolute weights of one output
/// add up to less than 2.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

fn across_bytes(axis: &Axis, channels: usize, input: &[u8], output: &mut [u8]) {
    for (i, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let (first, count) = (axis.first[i], axis.count[i]);
        let weights = &axis.fixed[i * axis.width..][..count];
        let taps = &input[first * channels..(first + count) * channels];
        // Three channels are nearly all there is, and a fixed number of sums keeps them in registers.
        if let [red, green, blue] = pixel {
            let (mut r, mut g, mut b) = (HALF, HALF, HALF);
            for (tap, weight) in taps.chunks_exact(3).zip(weights) {
                r += i32::from(tap[0]) * weight;
                g += i32::from(tap[1]) * weight;
                b += i32::from(tap[2]) * weight;
            }
            (*red, *green, *blue) = (clip(r), clip(g), clip(b));
            continue;
        }
        for (c, sample) in pixel.iter_mut().enumerate() {
            let taps = taps.iter().skip(c).step_by(channels);
            *sample = clip(taps.zip(weights).fold(HALF, |sum, (x, weight)| sum + i32::from(*x) * weight));
        }
    }
}

fn down_bytes(axis: &Axis, row: usize, input: &[u8], output: &mut [u8]) {
    let stride = output.len();
    let (first, count) = (axis.first[row], axis.count[row]);
    let mut sums = vec![HALF; stride];
    let taps = input[first * stride..].chunks_exact(stride);
    for (tap, weight) in taps.zip(&axis.fixed[row * axis.width..][..count]) {
        for (sum, x) in sums.iter_mut().zip(tap) {
            *sum += i32::from(*x) * weight;
        }
    }
    for (sample, sum) in output.iter_mut().zip(sums) {
        *sample = clip(sum);
    }
}

fn across_floats(axis: &Axis, channels: usize, input: &[f32], output: &mut [f32]) {
    for (i, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let (first, count) = (axis.first[i], axis.count[i]);
        let weights = &axis.exact[i * axis.width..][..count];
        for (c, sample) in pixel.iter_mut().enumerate() {
            let taps = input[first * channels..].iter().skip(c).step_by(channels);
            *sample = taps.zip(weights).fold(0.0, |sum, (x, weight)| sum + f64::from(*x) * weight) as f32;
        }
    }
}

fn down_floats(axis: &Axis, row: usize, input: &[f32], output: &mut [f32]) {
    let stride = output.len();
    let (first, count) = (axis.first[row], axis.count[row]);
    let mut sums = vec![0.0f64; stride];
    let taps = input[first * stride..].chunks_exact(stride);
    for (tap, weight) in taps.zip(&axis.exact[row * axis.width..][..count]) {
        for (sum, x) in sums.iter_mut().zip(tap) {
            *sum += f64::from(*x) * weight;
        }
    }
    for (sample, sum) in output.iter_mut().zip(sums) {
        *sample = sum as f32;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// One case of `tests/golden/resize.json`, which `tools/reference/resize.py` writes with the real Pillow.
    #[derive(serde::Deserialize)]
    struct Case {
        from: Size,
        to: Size,
        filter: Filter,
        channels: usize,
        /// FNV-1a, 64 bit, over all bytes of the result.
        bytes_hash: String,
        /// The first 24 bytes: a hash alone says nothing about what is wrong.
        bytes: Vec<u8>,
        /// Every `float_step`-th sample of the result of the float image.
        float_step: usize,
        floats: Vec<f32>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../tests/golden/resize.json")).unwrap()
    }

    /// The image that the reference draws by the same formula.
    fn drawing(size: Size, channels: usize) -> Vec<u8> {
        let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        pixels
            .flat_map(|(x, y)| (0..channels).map(move |c| ((x * 37 + y * 91 + c * 53 + x * y) % 256) as u8))
            .collect()
    }

    fn name(case: &Case) -> String {
        format!("{} to {}, {} channels, {:?}", case.from, case.to, case.channels, case.filter)
    }

    #[test]
    fn bytes_are_those_of_pillow() {
        assert!(cases().len() >= 16);
        for case in cases() {
            let resizer = Resizer::new(case.from, case.to, case.filter).unwrap();
            let got = resizer.bytes(case.channels, &drawing(case.from, case.channels)).unwrap();
            assert_eq!(got.len(), case.to.height * case.to.width * case.channels);
            assert_eq!(got[..case.bytes.len()], case.bytes, "{}", name(&case));
            let hash = got
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
            assert_eq!(format!("{hash:016x}"), case.bytes_hash, "{}", name(&case));
        }
    }

    #[test]
    fn floats_are_those_of_pillow() {
        for case in cases() {
            let data: Vec<f32> =
                drawing(case.from, case.channels).iter().map(|x| f32::from(*x) / 3.0 - 20.0).collect();
            let resizer = Resizer::new(case.from, case.to, case.filter).unwrap();
            let got = resizer.floats(case.channels, &data).unwrap();
            let picked: Vec<f32> = got.iter().step_by(case.float_step).copied().collect();
            assert_eq!(picked.len(), case.floats.len(), "{}", name(&case));
            for (got, want) in picked.iter().zip(&case.floats) {
                assert!((got - want).abs() <= 1e-6 * want.abs().max(1.0), "{}: {got} {want}", name(&case));
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let size = Size { height: 3, width: 5 };
        let data = drawing(size, 3);
        let resizer = Resizer::new(size, size, Filter::Bicubic).unwrap();
        assert_eq!(resizer.bytes(3, &data).unwrap(), data);
    }

    #[test]
    fn weights_stay_within_what_the_sums_can_hold() {
        for (from, to) in (1..60).flat_map(|from| (1..60).map(move |to| (from, to))) {
            let axis = Axis::new(from, to, Filter::Bicubic);
            for weights in axis.fixed.chunks_exact(axis.width) {
                let total: i32 = weights.iter().map(|w| w.abs()).sum();
                assert!(total < 2 << FRACTION_BITS, "{from} to {to}: {total}");
            }
        }
    }

    #[test]
    fn wrong_lengths_and_empty_sizes_are_errors() {
        let (some, none) = (Size { height: 3, width: 5 }, Size { height: 0, width: 5 });
        assert!(Resizer::new(some, none, Filter::Bilinear).is_err());
        assert!(Resizer::new(none, some, Filter::Bilinear).is_err());
        let resizer = Resizer::new(some, some, Filter::Bilinear).unwrap();
        assert!(resizer.bytes(3, &[0; 44]).is_err());
        assert!(resizer.floats(0, &[]).is_err());
    }
}

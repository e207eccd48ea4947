//! Rectification of maps or matrices into another buffer, NaN kept as PyTorch's `relu` does. Convolutions
//! rectify themselves; this one is for a layer whose values before rectification are wanted too.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::wrong;
use super::parts::PARTS;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, Launch, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("relu", include_str!("relu.wgsl"), PARTS);

/// `y = max(x, 0)`, word by word.
pub struct Relu<'a> {
    /// Input words, a multiple of four.
    pub x: &'a Buffer,
    /// As many output words, in another buffer.
    pub y: &'a Buffer,
}

impl Relu<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the buffers differ in length or do not hold whole quads.
    pub fn launch(&self) -> Result<Launch> {
        let words = self.x.words();
        if words != self.y.words() || !words.is_multiple_of(4) {
            return wrong(KERNEL.name(), format!("{words} words to {}, not as many quads", self.y.words()));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(words / 4))
            .read("x", self.x)
            .write("y", self.y)
            .set("items", words / 4)
            .cost(2.0 * words as f64))
    }
}

/// The same on the host: nothing is rounded.
pub fn oracle(x: &[f32]) -> Vec<Bounded> {
    x.iter().map(|v| Bounded::exact(if *v < 0.0 { 0.0 } else { f64::from(*v) })).collect()
}

fn case(words: usize, strange: &'static [f32]) -> Case {
    Case::new(format!("{words} words {strange:?}"), move |gpu| {
        let mut x = Values::new(words as u64).wide(words);
        x[..strange.len()].copy_from_slice(strange);
        let (input, output) = (gpu.upload("x", &x)?, Guarded::new(gpu, words)?);
        let mut recording = Recording::new();
        recording.add(Relu { x: &input, y: &output.buffer }.launch()?);
        let expected = oracle(&x).into_iter().map(Some).collect();
        Ok(Trial { recording, output, expected })
    })
}

/// Sizes that hurt: one quad, a prime number of them, values that comparisons lose.
pub fn cases() -> Vec<Case> {
    vec![
        case(4, &[]),
        case(4 * 257, &[]),
        case(8, &[f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.5, -1.5]),
        case(4 << 18, &[]).timed(),
    ]
}

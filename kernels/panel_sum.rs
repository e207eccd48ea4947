//! Compensated sum of panels: what keeps a Gram matrix over 300,000 features as exact as one over 500.

use super::case::{Case, Guarded, Trial, Values};
use super::parts::PARTS;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Grid, Kernel, LONGEST_LOOP, Launch, Recording};
use crate::numbers::{Bounded, TINY, UNIT};

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("panel_sum", include_str!("panel_sum.wgsl"), PARTS);

/// `high + low += sum of panels`, word by word.
pub struct PanelSum<'a> {
    /// The panels, one after the other.
    pub panels: &'a Buffer,
    /// How many.
    pub count: usize,
    /// Words of each.
    pub words: usize,
    /// The running sum.
    pub high: &'a Buffer,
    /// Its rounding errors.
    pub low: &'a Buffer,
}

impl PanelSum<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if a buffer is too short or there are too many panels.
    pub fn launch(&self) -> Result<Launch> {
        let fits = self.panels.words() >= self.count * self.words
            && self.high.words() >= self.words
            && self.low.words() >= self.words
            && self.count <= LONGEST_LOOP as usize;
        if !fits {
            return Err(Error::internal(
                "panel_sum",
                format!("{} panels of {} words", self.count, self.words),
            ));
        }
        Ok(Launch::new(&KERNEL, Grid::Items(self.words))
            .read("panels", self.panels)
            .write("high", self.high)
            .write("low", self.low)
            .set("words", self.words)
            .set("panels", self.count)
            .set("stride", self.words)
            .set("nothing", 0)
            .cost((self.count * self.words) as f64))
    }
}

/// The same in f64: the rounded sum of each word.
pub fn oracle(panels: &[f32], words: usize) -> Vec<Bounded> {
    let sum = |word: usize| panels.iter().skip(word).step_by(words).map(|v| f64::from(*v)).sum::<f64>();
    // The compensated sum is right to one rounding of the result, and a little of the rest's own.
    (0..words).map(|w| Bounded { value: sum(w), bound: 1.001 * UNIT * sum(w).abs() + TINY }).collect()
}

fn case(words: usize, count: usize, exact: bool) -> Case {
    Case::new(format!("{count} panels of {words} words{}", if exact { " exact" } else { "" }), move |gpu| {
        let panels = Values::new((words + count) as u64).fill(exact, words * count);
        let output = Guarded::new(gpu, words)?;
        gpu.write(&output.buffer, 0, &vec![0f32; words])?;
        let (input, low) = (gpu.upload("panels", &panels)?, gpu.upload("low", &vec![0f32; words])?);
        let sum = PanelSum { panels: &input, count, words, high: &output.buffer, low: &low };
        let mut recording = Recording::new();
        recording.add(sum.launch()?);
        let want = oracle(&panels, words);
        let expected = want.into_iter().map(|b| Some(if exact { Bounded::exact(b.value) } else { b }));
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

/// Sizes that hurt: one word, many panels, a prime.
pub fn cases() -> Vec<Case> {
    vec![
        case(1, 3, true),
        case(77, 1, true),
        case(1009, 200, true),
        case(64, 3000, false),
        // More workgroups than one axis of a grid holds, so that it is folded.
        case(65_535 * 64 + 1, 1, true),
        case(100_000, 40, true).timed(),
    ]
}

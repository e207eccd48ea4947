//! Multiplications and additions in registers: the peak of a device.

use super::case::{Case, Guarded, Trial, Values};
use super::fit::wrong;
use super::parts::PARTS;
use crate::error::Result;
use crate::gpu::{Buffer, Grid, Kernel, LONGEST_LOOP, Launch, Recording};
use crate::numbers::Bounded;

/// The kernel.
pub static KERNEL: Kernel = Kernel::new("multiply_add", include_str!("multiply_add.wgsl"), PARTS);

/// Chains of an invocation, and lanes of each.
const CHAINS: usize = 8 * 4;

/// `8 rounds` steps of `v = v factor + term` in eight chains for each vec4 of `y`, and their sum.
pub struct MultiplyAdd<'a> {
    /// The words, a multiple of four; changed in place.
    pub y: &'a Buffer,
    /// Eighths of the steps.
    pub rounds: usize,
    /// What values are multiplied with.
    pub factor: f32,
    /// What is added then.
    pub term: f32,
}

impl MultiplyAdd<'_> {
    /// The launch.
    ///
    /// # Errors
    /// Internal, if the words are no vec4s or the rounds more than a driver may run.
    pub fn launch(&self) -> Result<Launch> {
        let words = self.y.words();
        if !words.is_multiple_of(4) || self.rounds > LONGEST_LOOP as usize {
            return wrong(KERNEL.name(), format!("{words} words, {} rounds", self.rounds));
        }
        let items = words / 4;
        Ok(Launch::new(&KERNEL, Grid::Items(items))
            .write("y", self.y)
            .set("items", items)
            .set("rounds", self.rounds)
            .set_float("factor", self.factor)
            .set_float("term", self.term)
            .cost((2 * 8 * CHAINS * items * self.rounds) as f64))
    }
}

/// The same in f64, with as many roundings as steps.
pub fn oracle(y: f32, rounds: usize, factor: f32, term: f32) -> Bounded {
    let chain = |start: f64| {
        (0..8 * rounds).fold((start, start.abs()), |(value, magnitude), _| {
            let (factor, term) = (f64::from(factor), f64::from(term));
            (value * factor + term, magnitude * factor.abs() + term.abs())
        })
    };
    let chains = (0..8).map(|j| chain(f64::from(y) + f64::from(j)));
    let (value, magnitude) = chains.fold((0.0, 0.0), |(v, m), (value, magnitude)| (v + value, m + magnitude));
    Bounded::sum(value, magnitude, 16 * rounds + 9)
}

fn case(words: usize, rounds: usize, factor: f32, term: f32, exact: bool) -> Case {
    let label = format!("{words} words, {rounds} rounds{}", if exact { " exact" } else { "" });
    Case::new(label, move |gpu| {
        let values = Values::new(words as u64).fill(exact, words);
        let output = Guarded::new(gpu, words)?;
        gpu.write(&output.buffer, 0, &values)?;
        let mut recording = Recording::new();
        recording.add(MultiplyAdd { y: &output.buffer, rounds, factor, term }.launch()?);
        let want = |v: &f32| oracle(*v, rounds, factor, term);
        let expected = values.iter().map(|v| {
            let bounded = want(v);
            Some(if exact { Bounded::exact(bounded.value) } else { bounded })
        });
        Ok(Trial { recording, output, expected: expected.collect() })
    })
}

/// Sizes that hurt: one vec4, no step, as many steps as a loop may have, values that shrink.
pub fn cases() -> Vec<Case> {
    vec![
        case(4, 0, 1.0, 1.0, true),
        case(12, 32_768, 1.0, 0.0, true),
        case(260, 1, -2.0, 5.0, true),
        case(1028, 20, 0.97, 0.03, false),
        case(65_536, 64, 1.0, 1.0, true).timed(),
    ]
}

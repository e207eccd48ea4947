//! What a case is: inputs, a recording, and the oracle's answer.

use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Recording};
use crate::numbers::Bounded;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Uploads a case's inputs to a device and makes its recording.
pub type Build = dyn Fn(&Gpu) -> Result<Trial>;

/// One case of a kernel: a label, and a function that sets it up on a device.
pub struct Case {
    /// Shapes and peculiarities, for the test's output.
    pub label: String,
    /// Whether it is worth timing: large enough to say something about speed.
    pub timed: bool,
    /// Uploads the inputs and makes the recording.
    pub build: Box<Build>,
}

impl Case {
    /// A case that is only checked.
    pub fn new(label: impl Into<String>, build: impl Fn(&Gpu) -> Result<Trial> + 'static) -> Self {
        Case { label: label.into(), timed: false, build: Box::new(build) }
    }

    /// The same case, timed by the bench as well.
    pub fn timed(mut self) -> Self {
        self.timed = true;
        self
    }
}

/// A case on a device: run the recording, then compare the output with the oracle's values.
pub struct Trial {
    /// The launches.
    pub recording: Recording,
    /// Where the result will be.
    pub output: Guarded,
    /// The oracle's value of every word of the output; `None` where the kernel must not write.
    pub expected: Vec<Option<Bounded>>,
}

/// Words of guard on either side of an output.
const GUARD: usize = 256;

/// What outputs and guards are filled with before a run: a NaN that no arithmetic makes.
const POISON: u32 = 0x7fc5_a5a5;

/// An output between two guard bands, all of it poisoned.
pub struct Guarded {
    whole: Buffer,
    /// The output itself.
    pub buffer: Buffer,
}

impl Guarded {
    /// Allocates and poisons.
    ///
    /// # Errors
    /// As [`Gpu::allocate`].
    pub fn new(gpu: &Gpu, words: usize) -> Result<Self> {
        let whole = gpu.upload("guarded output", &vec![POISON; words + 2 * GUARD])?;
        let buffer = whole.slice(GUARD, words);
        Ok(Guarded { whole, buffer })
    }
}

impl Trial {
    /// Runs the trial and compares. `Ok(error)` is the largest error relative to the largest value.
    ///
    /// # Errors
    /// As [`Gpu::run`]; the inner error says which word is wrong.
    pub fn check(&self, gpu: &Gpu) -> Result<std::result::Result<f64, String>> {
        gpu.run(&self.recording)?;
        self.compared(gpu)
    }

    /// Compares what the first run has left, as [`Trial::check`].
    ///
    /// # Errors
    /// As [`Gpu::download`].
    pub fn compared(&self, gpu: &Gpu) -> Result<std::result::Result<f64, String>> {
        let words: Vec<u32> = gpu.download(&self.output.whole)?;
        Ok(self.compare(&words))
    }

    fn compare(&self, words: &[u32]) -> std::result::Result<f64, String> {
        let (body, expected) = (&words[GUARD..words.len() - GUARD], &self.expected);
        if body.len() != expected.len() {
            return Err(format!("the oracle has {} words, the output {}", expected.len(), body.len()));
        }
        let guards = words[..GUARD].iter().chain(&words[words.len() - GUARD..]);
        if guards.copied().any(|w| w != POISON) {
            return Err("a guard band was written".into());
        }
        let values = || expected.iter().flatten().map(|b| b.value).filter(|v| v.is_finite());
        let largest = values().fold(0.0, |m: f64, v| m.max(v.abs()));
        let (low, high) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        if expected.iter().flatten().count() > 1 && low >= high {
            return Err("the oracle's values have no spread, so the case shows nothing".into());
        }
        let mut worst = 0f64;
        for (i, (word, want)) in body.iter().zip(expected).enumerate() {
            match want {
                None if *word != POISON => return Err(format!("word {i} must not be written")),
                None => {}
                Some(want) => {
                    let got = f32::from_bits(*word);
                    if *word == POISON || !want.admits(got) {
                        return Err(format!("word {i} is {got}, not {} +- {:.1e}", want.value, want.bound));
                    }
                    worst = worst.max(want.distance(got));
                }
            }
        }
        Ok(worst / largest.max(f64::MIN_POSITIVE))
    }
}

/// Seeded values for cases.
pub struct Values(ChaCha8Rng);

impl Values {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Values(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Small integers in -3..=3: sums of up to a million products of them are exact in f32.
    pub fn integers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| (self.0.next_u32() % 7) as f32 - 3.0).collect()
    }

    /// Values over several orders of magnitude, of both signs.
    pub fn wide(&mut self, n: usize) -> Vec<f32> {
        (0..n)
            .map(|_| {
                let unit = self.0.next_u32() as f32 / u32::MAX as f32 - 0.5;
                let exponent = (self.0.next_u32() % 9) as i32 - 4;
                unit * 2f32.powi(exponent)
            })
            .collect()
    }

    /// Integers for exact cases, wide values otherwise.
    pub fn fill(&mut self, exact: bool, n: usize) -> Vec<f32> {
        if exact { self.integers(n) } else { self.wide(n) }
    }
}

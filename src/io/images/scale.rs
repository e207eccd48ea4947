//! What the numbers of a set of images mean: one rule for files, arrays and experiments.
//!
//! | stored as | black | white |
//! |---|---|---|
//! | bool | 0 | 1 |
//! | u8 | 0 | 255 |
//! | other whole numbers (u16, i16, u32, i32, u64, i64) | 0 | 2^bits - 1 |
//! | floats within 0..1 | 0 | 1 |
//! | floats that are all whole numbers from 0 to 255, some above 1 | 0 | 255 |
//! | other floats | on a scale of their own | |
//!
//! The bits are the fewest of 8, 10, 12, 14 and 16 that hold the largest value of the whole set, or more
//! where a file says more of itself (PNG's sBIT, TIFF's MaxSampleValue). Whole numbers below 0 or above
//! 65,535 are refused, and so is i8.

use std::path::Path;

use super::picture::Samples;
use crate::error::{Error, Result};
use crate::io::npy::Element;

/// White among bytes, the scale on which whole numbers of any width are resized and normalised.
pub(super) const WHITE: f32 = 255.0;
/// How far floats may lie outside 0..1 and still count as within: rounding of whoever scaled them.
const SLACK: f32 = 1e-3;
/// Bits that cameras and files have.
const BITS: [u32; 5] = [8, 10, 12, 14, 16];

/// What floats are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floats {
    /// From 0 to 1.
    Unit,
    /// Whole numbers from 0 to 255.
    Bytes,
    /// From 0 to 255, and between.
    Levels,
    /// On a scale of their own.
    Own,
}

/// What the numbers of a set mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Of whole numbers that are wider than a byte.
    bits: u32,
    floats: Floats,
}

impl Scale {
    /// Floats that are whole numbers from 0 to 255.
    pub const BYTES: Scale = Scale { bits: 8, floats: Floats::Bytes };
    /// Floats from 0 to 255.
    pub const LEVELS: Scale = Scale { bits: 8, floats: Floats::Levels };
    /// Floats from 0 to 1.
    pub const UNIT: Scale = Scale { bits: 8, floats: Floats::Unit };
    /// Floats as they are.
    pub const OWN: Scale = Scale { bits: 8, floats: Floats::Own };

    /// White among values stored as `element`; none where floats have a scale of their own.
    fn white(&self, element: Element) -> Option<f32> {
        match (element, self.floats) {
            (Element::Bool, _) => Some(1.0),
            (Element::U8, _) => Some(WHITE),
            (Element::F16 | Element::F32 | Element::F64, Floats::Unit) => Some(1.0),
            (Element::F16 | Element::F32 | Element::F64, Floats::Bytes | Floats::Levels) => Some(WHITE),
            (Element::F16 | Element::F32 | Element::F64, Floats::Own) => None,
            _ => Some(((1_u32 << self.bits) - 1) as f32),
        }
    }

    /// Values stored as `element` on the scale on which they are used: whole numbers from 0 to 255, floats as
    /// they are.
    pub fn levels(&self, element: Element, values: &mut [f32]) {
        let white = self.white(element).unwrap_or(WHITE);
        if !is_float(element) && white != WHITE {
            values.iter_mut().for_each(|value| *value = *value * WHITE / white);
        }
    }

    /// Values as they are stored to samples.
    pub(super) fn samples(&self, element: Element, mut values: Vec<f32>) -> Samples {
        self.levels(element, &mut values);
        let white = if is_float(element) { self.white(element) } else { Some(WHITE) };
        let bytes = match element {
            Element::Bool | Element::U8 => true,
            Element::F16 | Element::F32 | Element::F64 => self.floats == Floats::Bytes,
            _ => self.bits == 8,
        };
        if bytes {
            return Samples::Bytes(values.iter().map(|value| *value as u8).collect());
        }
        Samples::Floats { values, white }
    }
}

/// Whether an element is a float.
pub(super) fn is_float(element: Element) -> bool {
    matches!(element, Element::F16 | Element::F32 | Element::F64)
}

/// Whether the type of an element alone does not say what its values mean.
pub(super) fn is_open(element: Element) -> bool {
    !matches!(element, Element::Bool | Element::U8)
}

/// What has been seen of a set's values.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of whole numbers, without bool; none where there are none.
    largest: Option<f32>,
    /// The fewest bits that a file says its samples have.
    said: u32,
    /// Whether some of them are wider than a byte.
    wide: bool,
    /// The smallest and the largest finite float.
    floats: Option<[f32; 2]>,
    /// Whether some float is no whole number.
    fraction: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { largest: None, said: BITS[0], wide: false, floats: None, fraction: false }
    }
}

impl Seen {
    /// Looks at values stored as `element`, at `place`.
    ///
    /// # Errors
    /// [`crate::Kind::Input`] for whole numbers that no image has.
    pub fn look(&mut self, element: Element, values: &[f32], place: &Path) -> Result<()> {
        if is_float(element) {
            let finite = values.iter().copied().filter(|value| value.is_finite());
            let [low, high] = finite.fold([f32::MAX, f32::MIN], |[l, h], v| [l.min(v), h.max(v)]);
            self.fraction |= values.iter().any(|value| value.fract() != 0.0);
            let [l, h] = self.floats.unwrap_or([f32::MAX, f32::MIN]);
            self.floats = Some([l.min(low), h.max(high)]);
            return Ok(());
        }
        if element == Element::Bool || values.is_empty() {
            return Ok(());
        }
        let [low, high] = values.iter().fold([f32::MAX, f32::MIN], |[l, h], v| [l.min(*v), h.max(*v)]);
        let wrong = |found: String| {
            let wanted = "whole numbers from 0 (black) to at most 65535";
            Error::input(place, found, wanted, "Scale the images to 0..255 and save them as uint8")
        };
        if element == Element::I8 {
            return Err(wrong("the images are int8, which cannot hold 0 to 255".into()));
        }
        if low < 0.0 || high > 65_535.0 {
            return Err(wrong(format!("{} images with values from {low} to {high}", element.name())));
        }
        self.wide |= element != Element::U8;
        self.largest = Some(self.largest.map_or(high, |largest| largest.max(high)));
        Ok(())
    }

    /// Takes account of bits that a file says its samples have.
    pub(super) fn hear(&mut self, bits: u32) {
        self.said = self.said.max(bits.min(BITS[4]));
    }

    /// Both together.
    pub(super) fn join(mut self, other: &Seen) -> Self {
        self.largest = [self.largest, other.largest].into_iter().flatten().reduce(f32::max);
        self.said = self.said.max(other.said);
        self.wide |= other.wide;
        self.fraction |= other.fraction;
        let floats = [self.floats, other.floats].into_iter().flatten();
        self.floats = floats.reduce(|[a, b], [c, d]| [a.min(c), b.max(d)]);
        self
    }

    /// Whether further values of an element could change nothing.
    pub fn is_settled(&self, element: Element) -> bool {
        match element {
            Element::Bool => true,
            Element::U8 => self.largest.is_some_and(|largest| largest > 1.0),
            Element::U16 => self.largest.is_some_and(|largest| largest >= 16_384.0),
            element if is_float(element) => {
                self.fraction && self.floats.is_some_and(|[_, high]| high > 1.0 + SLACK)
            }
            _ => false,
        }
    }

    /// The scale of the set. `given` are its bits, where they are known.
    ///
    /// # Errors
    /// [`crate::Kind::Input`] when a value does not fit into the bits given.
    pub fn scale(&self, given: Option<u32>, place: &Path) -> Result<Scale> {
        let largest = self.largest.unwrap_or(0.0);
        let hold = |bits: u32| largest < (1_u32 << bits) as f32;
        let bits = match given {
            Some(bits) if self.wide && !hold(bits) => {
                let found = format!("a value of {largest} among images of {bits} bits");
                let wanted = format!("values up to {}", (1_u32 << bits) - 1);
                return Err(Error::input(place, found, wanted, "Scale the images as those before them"));
            }
            Some(bits) => bits,
            None => BITS.into_iter().find(|bits| hold(*bits) && *bits >= self.said).unwrap_or(BITS[4]),
        };
        let floats = match self.floats {
            Some([low, high]) if low >= -SLACK && high <= 1.0 + SLACK => Floats::Unit,
            Some([low, high]) if !self.fraction && low >= 0.0 && high <= WHITE => Floats::Bytes,
            _ => Floats::Own,
        };
        Ok(Scale { bits, floats })
    }

    /// What values are after [`Scale::levels`]: one of the four constants.
    pub fn read(&self, scale: &Scale) -> Scale {
        let levels = if self.wide && scale.bits != BITS[0] { Floats::Levels } else { Floats::Bytes };
        Scale { floats: if self.floats.is_some() { scale.floats } else { levels }, ..Scale::BYTES }
    }

    /// The bits of whole numbers wider than a byte, if there are any.
    pub fn bits(&self, scale: &Scale) -> Option<u32> {
        self.wide.then_some(scale.bits)
    }

    /// What a person should know of the reading.
    pub fn notes(&self, scale: &Scale, given: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(largest) = self.largest else { return notes };
        if self.wide && scale.bits < BITS[4] {
            let white = (1_u32 << scale.bits) - 1;
            let why = if given { "as those before them" } else { "the fewest that hold it" };
            notes.push(format!(
                "the largest value of the images is {largest}: they are taken as {} bits, {why}, with white at \
                 {white}",
                scale.bits
            ));
        }
        if (largest == 1.0) && scale.bits == BITS[0] {
            notes.push(
                "the images hold whole numbers of 0 and 1 only, where white is 255: they are nearly black; \
                 save them as bool if 1 is white"
                    .into(),
            );
        }
        notes
    }
}

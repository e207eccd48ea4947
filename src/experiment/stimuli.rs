//! The images of an experiment, read when they are asked for.

use std::ops::Range;

use ndarray::ArrayD;

use crate::error::{Error, Result};

/// Images of one size.
pub struct Stimuli {
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// What the recording calls each image: its number there, or the name of its file.
    pub ids: Vec<String>,
    /// Mean and standard deviation of all pixels that the recording states (Sensorium), for models that want it.
    pub normalisation: Option<(f32, f32)>,
}

impl Stimuli {
    /// How many images.
    #[allow(clippy::len_without_is_empty, reason = "an experiment without images does not open")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The images `range`: (images, height, width), and (images, height, width, 3) in colour; bytes as 0 to 255.
    ///
    /// # Errors
    /// A range outside the images; data that cannot be read.
    pub fn read(&self, range: Range<usize>) -> Result<ArrayD<f32>> {
        Err(Error::internal("stimuli", format!("images {range:?} are not read yet")))
    }

    /// Whether every pixel is a whole number from 0 to 255. Looks at all images where the file's type does not say.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn is_bytes(&self) -> Result<bool> {
        Err(Error::internal("stimuli", "not read yet"))
    }
}
